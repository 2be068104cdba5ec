"""Maquet SERVO-i and SERVO-s ventilators over the Computer Interface Emulator (CIE); the engine of the family."""
