"""Dräger MEDIBUS 4.03: ventilators and anaesthesia machines on a serial line."""
