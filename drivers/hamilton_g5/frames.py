"""Questions and answers of the Hamilton block protocol, and the scanner that finds the answers.

    question        │ STX 02H │ parameter 1 │ ETX 03H │ CR 0DH │
    value           │ STX │ parameter 1 │ value 5        │ ETX │ CR │      9 bytes
    software        │ STX │ parameter 1 │ dev 1 │ text 4 │ ETX │ CR │      9 bytes, parameters 124 to 127
    number          │ STX │ d1 │ d2 │ text 4            │ ETX │ CR │      9 bytes, d1 one of A V B R C
                    │ STX │ d1 │ text 4                 │ ETX │ CR │      8 bytes, any other d1
    refused         │ STX │ R E R R O R                 │ ETX │ CR │      9 bytes

One public program for the Galileo and the G5, sections "response types" A, B1, B2 and B3: no document of the maker
was seen. There is no checksum, so an answer is read by its length, and every character must be printable. Parameters
34 and 120 are samples of curves, whose bytes may be anything: they are never asked for.
"""

import re

from msgspec import Struct

from drivers.contract import NOISE, Fault

NUMBER = 86
SOFTWARE = (124, 125)
NUMBER_LETTERS = "AVBRC"
REFUSED = "RERROR"
_TOKEN = re.compile(
    rb"\x02(?P<answer>[ -~]{5,6})\x03\r|(?P<broken>\x02[ -~]{1,6}\x03?)|(?P<noise>\x02+(?=\x02)|\x02|[^\x02]+)",
    re.DOTALL,
)
_UNFINISHED = re.compile(rb"\x02[ -~]{0,6}\x03?\Z")
_LONGEST_PART = 8


def question(parameter: int) -> bytes:
    """The frame that asks for one parameter."""
    return bytes((0x02, parameter, 0x03, 0x0D))


class Answer(Struct, frozen=True):
    """What stands between STX and ETX: five or six characters."""

    content: str

    @classmethod
    def from_bytes(cls, data: bytes) -> "Answer | Fault":
        """A whole frame; a fault says why it is none."""
        token = _TOKEN.fullmatch(data)
        if token is None or token["answer"] is None:
            return Fault("framing", rejected=True)
        return cls(token["answer"].decode("ascii"))

    def to_bytes(self) -> bytes:
        """The frame as it is sent."""
        return b"\x02" + self.content.encode("ascii") + b"\x03\r"

    @property
    def is_refusal(self) -> bool:
        """`RERROR`: the question was not understood, or has no answer."""
        return self.content == REFUSED

    @property
    def parameter(self) -> int:
        """The parameter whose value it is; 0 for an answer of eight bytes, which names none."""
        return ord(self.content[0]) if len(self.content) == len(REFUSED) else 0

    @property
    def value(self) -> str:
        """The five characters behind the parameter."""
        return self.content[1:]

    def is_number(self) -> bool:
        """Whether it can be the ventilator's number: which letters begin the long form is known."""
        return (self.content[0] in NUMBER_LETTERS) == (len(self.content) == len(REFUSED))


class Scanner:
    """Bytes in any split; answers and faults out. Holds at most one unfinished answer."""

    def __init__(self) -> None:
        self._held = b""

    def drop(self) -> None:
        """Forget what was half received."""
        self._held = b""

    def feed(self, data: bytes) -> list[Answer | Fault]:
        """What became whole with these bytes."""
        data = self._held + data
        unfinished = _UNFINISHED.search(data, max(0, len(data) - _LONGEST_PART))
        end = unfinished.start() if unfinished else len(data)
        self._held = data[end:]
        return [_item(token) for token in _TOKEN.finditer(data, 0, end)]


def _item(token: re.Match[bytes]) -> Answer | Fault:
    if token["answer"] is not None:
        return Answer(token["answer"].decode("ascii"))
    return Fault("framing", rejected=True) if token["broken"] else Fault(NOISE)
