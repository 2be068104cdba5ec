"""Horiba ABX Micros 60, which sends its results in the ABX format."""
