"""Puritan Bennett 840 and 980 ventilators: reports on request, curves on a port of their own."""
