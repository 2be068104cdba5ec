"""Ten sessions of a real Erba XL, sent again by the analyzer simulator, which keeps the rules of the link.

The recordings stand beside the checkout and are never copied into it; without them the test is skipped.
"""

import random
from functools import cache
from pathlib import Path

from simulators.devices.astm import Astm
from simulators.devices.astm_frames import frames_of

CAPTURES = Path(__file__).parents[2] / ".." / "shared" / "captures" / "erba_xl_astm"
ENQ, EOT = b"\x05", b"\x04"
_AGAIN = 3
"""Sessions that come once more, as from an operator who presses the key again."""


@cache
def sessions() -> tuple[bytes, ...]:
    """The message in each: one frame from H to L, which the simulator frames to the very bytes of the recording."""
    found = []
    for path in sorted(CAPTURES.glob("*.bin")):
        data = path.read_bytes()
        message = data[3:-6]
        assert ENQ + b"".join(frames_of(message, "whole")) + EOT == data, path.name
        found.append(message)
    return tuple(found)


def analyzer_of(messages: tuple[bytes, ...], seed: int) -> Astm:
    """An analyzer with all its faults that has these messages to send, and some of them twice."""
    chance = random.Random(f"recordings {seed}")
    faults = frozenset(Astm.FAULTS) - {chance.choice(("lost_ack", "frame_gap"))}
    made = Astm(seed, faults, {"model": "erba_xl", "fault_rate": chance.choice(("0.02", "0.1", "0.25"))})
    made.load([*messages, *chance.sample(messages, _AGAIN)])
    return made
