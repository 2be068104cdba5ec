"""Maquet SERVO-i and SERVO-s over CIE, protocol versions 001 to 005: the box asks, the ventilator answers.

    box ─▶ ┌─────────┬───────────────┬─────┐      ┌────────┬───────────────┬─────┐ ─▶ box
           │ command │ check, 2 hex  │ EOT │      │ answer │ check, 2 hex  │ EOT │
           └─────────┴───────────────┴─────┘      └────────┴───────────────┴─────┘
    RADC ─▶ ┌────────────────┬─────┬───────┬───────────────┬─────┬───────┐
            │ 81H 80H … diff │ 7FH │ check │ B │ hi lo │ … │ 7FH │ check │ …    until ESC, standby or a full buffer
            └────────────────┴─────┴───────┴───────────────┴─────┴───────┘

Maquet, "Computer Interface Emulator SERVO-i / SERVO-s" reference manual 65 43 388_12, sections on BASIC and EXTENDED
mode, command descriptions and channel tables. framing/servo.py takes the bytes apart, engine.py holds the dialogue,
tables.py and channels.py the meaning of the answers, curves.py the stream; what differs between devices is data.
"""

from typing import ClassVar

from drivers.asking import Question
from drivers.framing.servo import ESC
from drivers.servo_cie.dialect import Dialect, question
from drivers.servo_cie.engine import ServoEngine
from drivers.servo_cie.options import Options as CieOptions


class ServoCieDriver(ServoEngine):
    """One SERVO-i or SERVO-s. BASIC mode says hello without a check; RCTY leads to EXTENDED mode."""

    name: ClassVar[str] = "servo_cie"
    version: ClassVar[int] = 1
    Options: ClassVar[type[CieOptions]] = CieOptions
    dialect: ClassVar[Dialect] = Dialect(
        hello=(Question("HO", ESC + b"HO\x04"), question("RCTY")),
        version_digits=3,
        newest=5,
        is_binary=False,
        has_flow_control=True,
    )
