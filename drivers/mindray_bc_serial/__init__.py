"""Mindray BC-2800 and BC-3000 Plus, which send their results as text of fixed columns over a serial line."""
