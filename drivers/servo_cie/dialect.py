"""What differs between CIE and SCI beside their channels, and how a command becomes a question."""

from msgspec import Struct

from drivers.asking import Question
from drivers.framing.servo import Text


class Dialect(Struct, frozen=True):
    """What differs between CIE and SCI beside the channels."""

    hello: tuple[Question, ...]
    """Who is there; the last of them names the device, and the set-up goes on from its answer."""
    version_digits: int
    newest: int
    """The highest protocol version that the tables are written for."""
    is_binary: bool
    """Answers to RADAx are binary, alarms have a priority each."""
    has_flow_control: bool


def question(verb: str, period_s: float = 0.0, *, before: bytes = b"") -> Question:
    """One command as a question."""
    return Question(verb, before + Text(verb).to_bytes(), period_s)
