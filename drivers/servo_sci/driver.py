"""Getinge Servo-u, Servo-n and Servo-air over SCI, protocol versions 0001 to 0010: the box asks, the device answers.

    box ─▶ ┌─────────┬───────────────┬─────┐      ┌────────┬───────────────┬─────┐ ─▶ box
           │ command │ check, 2 hex  │ EOT │      │ answer │ check, 2 hex  │ EOT │    text
           └─────────┴───────────────┴─────┘      └────────┴───────────────┴─────┘
                                                  ┌───────┬───┬─────┬───────┐
                                                  │ hi lo │ … │ 7FH │ check │ ─▶ box  answers to RADAx
                                                  └───────┴───┴─────┴───────┘

Getinge, "Servo Connectivity Interface" reference manual 68 80 036_14, sections on commands, binary data and channel
tables. The frames, the dialogue and the stream are those of CIE: framing/servo.py and the engine in servo_cie/.
"""

from typing import ClassVar

from drivers.framing.servo import ESC
from drivers.servo_cie.dialect import Dialect, question
from drivers.servo_cie.engine import ServoEngine
from drivers.servo_sci.options import Options as SciOptions


class ServoSciDriver(ServoEngine):
    """One Servo-u, Servo-n or Servo-air. It has no BASIC mode; RCTY clears its tables and version."""

    name: ClassVar[str] = "servo_sci"
    version: ClassVar[int] = 1
    Options: ClassVar[type[SciOptions]] = SciOptions
    dialect: ClassVar[Dialect] = Dialect(
        hello=(question("RPTY", before=ESC), question("RCTY"), question("RCFGDT")),
        version_digits=4,
        newest=10,
        is_binary=True,
        has_flow_control=False,
    )
