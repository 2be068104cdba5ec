"""Masimo pulse oximeters that print ASCII-1 lines."""
