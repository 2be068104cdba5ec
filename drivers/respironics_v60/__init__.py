"""Philips Respironics V60 and V200 ventilators: reports asked for by four letters."""
