"""Nellcor pulse oximeters that print lines of text on their data port."""
