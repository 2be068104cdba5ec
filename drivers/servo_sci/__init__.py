"""Getinge Servo-u, Servo-n and Servo-air ventilators over the Servo Connectivity Interface (SCI)."""
