"""Hamilton G5 and Galileo ventilators: one parameter a question."""
