"""Modbus registers: one engine, and a map file for each device family."""

from drivers.registers.mapcheck import MapProblem, check_map

__all__ = ["MapProblem", "check_map"]
