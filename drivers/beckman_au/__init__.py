"""Olympus and Beckman Coulter AU chemistry analyzers, whose text each laboratory lays out itself."""
