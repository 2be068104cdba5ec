"""What laboratory results have in common, by whatever protocol they come: numbers, content identity, what is known.

Missing is not 0 and not normal: whatever is not plainly one number has no value, and a reason. A result is known by
its content, so that a session that is sent again makes no second one and a changed result makes a new version.
"""

import re
from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Literal

from msgspec import Struct

from drivers.contract import Fault, Output
from drivers.framing.stx import NAK
from drivers.observation import AnyObservation, Device, Result, Validity

Comparator = Literal["", "<", ">", "<=", ">="]
Status = Literal["final", "preliminary", "corrected", "cancelled", "questionable", "unknown"]

MEMORY_IDENTITIES = 2048
NUMBERS_ENTRIES = 1024
NUMBERS_LENGTH = 24
"""A longer value field is read anew each time, so that the memory is bounded too."""
IDENTITY_BYTES = 16

_DUPLICATE = Fault("duplicate_result")
_DIGITS = r"[0-9]{1,20}(?:%s[0-9]{1,20})?"
_NUMBER = r"(<=|>=|<|>)? *([+-]?(?:%s)(?:[eE][+-]?[0-9]{1,2})?)"
_POINT = re.compile(_NUMBER % (_DIGITS % r"\." + r"|\.[0-9]{1,20}"))
_COMMA = re.compile(_NUMBER % (_DIGITS % ","))
_SIGNS: dict[str, Comparator] = {"": "", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
_DASHES = re.compile(r"[-. ]*-[-. ]*")
_WORDS = {
    "": "not_measured",
    "NA": "not_measured",
    "N/A": "not_measured",
    "NO RESULT": "no_result",
    "INVALID": "invalid",
    "ERROR": "invalid",
}
_LOINC = re.compile(r"([0-9]{1,7})-([0-9])")


class Number(Struct, frozen=True):
    """What a value field holds: a number and its comparator, or None and the reason."""

    value: Decimal | None
    comparator: Comparator
    reason: str


def read_number(text: str, *, decimal_comma: bool = False) -> Number:
    """Read a value field; with `decimal_comma` a point is no decimal sign. Digits stay as they were sent."""
    bare = text.strip()
    found = (_COMMA if decimal_comma else _POINT).fullmatch(bare)
    if found:
        sign, digits = found.groups("")
        return Number(Decimal(digits.replace(",", ".")), _SIGNS[sign], "")
    if "*" in bare:
        return Number(None, "", "masked")
    if _DASHES.fullmatch(bare):
        return Number(None, "", "not_measured")
    return Number(None, "", _WORDS.get(bare.upper(), "not_numeric"))


class Numbers:
    """Reads the value fields of one device, which repeats few; what it remembers is bounded."""

    def __init__(self, read: Callable[[str], Number]) -> None:
        self._read = read
        self._known: dict[str, Number] = {}

    def read(self, text: str) -> Number:
        """What `text` holds, remembered."""
        known = self._known.get(text)
        if known is None:
            known = self._read(text)
            if len(text) <= NUMBERS_LENGTH:
                if len(self._known) >= NUMBERS_ENTRIES:
                    self._known.clear()
                self._known[text] = known
        return known

    def forget(self) -> None:
        """Fields are read by other signs from now on."""
        self._known.clear()


def judge(
    number: Number, flags: Iterable[str] = (), plain: Container[str] = (), *, has_unit: bool = True
) -> tuple[Validity, str]:
    """Validity and reason of a number and its flags: `*` makes it doubtful, and so does one that is not `plain`."""
    if number.value is None:
        return "not_available", number.reason
    if not has_unit:
        return "not_available", "unit_unknown"
    if any("*" in flag for flag in flags):
        return "questionable", "unreliable"
    if any(flag not in plain for flag in flags):
        return "questionable", "unknown_flag"
    return "valid", ""


def status_untold(validity: Validity, reason: str) -> Status:
    """The status of a result where the device tells none."""
    return "questionable" if validity == "questionable" or reason == "masked" else "unknown"


def content_identity(content: str, met: set[str]) -> str:
    r"""Digest of what makes a result this one: specimen, test, time, value, unit, flags, status, set apart by `\r`.

    `met` holds the identities of this message so far and gets this one: equal results of one message are replicates,
    told apart by their count, so that the message sent again has the same identities.
    """
    identity = _digest(content)
    count = 1
    while identity in met:
        count += 1
        identity = _digest(f"{content}\r{count}")
    met.add(identity)
    return identity


def _digest(content: str) -> str:
    return sha256(content.encode()).digest()[:IDENTITY_BYTES].hex()


class KnownResults:
    """The identities of the last 2,048 results that were given out."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._oldest: deque[str] = deque()

    def is_repeat(self, seen: Result) -> bool:
        """Known already; else it is from now on.

        Without specimen and time nothing tells two results apart, and neither is dropped.
        """
        identity = seen.identity
        if identity in self._known:
            return True
        if seen.specimen or seen.device_time or seen.started:
            if len(self._oldest) >= MEMORY_IDENTITIES:
                self._known.discard(self._oldest.popleft())
            self._known.add(identity)
            self._oldest.append(identity)
        return False


class Step:
    """What an analyzer's driver meets and answers in one step, until it is given out.

    Commit before ACK: the first reply after an observation promises that it is kept. If it cannot be committed, NAK
    stands in the place of that reply, and nothing after it is said.
    """

    def __init__(self) -> None:
        self.replies = bytearray()
        self.faults: list[Fault] = []
        self.frames = 0
        self._found: list[AnyObservation] = []
        self._promised_from = 0
        """How many bytes of reply stood before the first observation."""
        self._device: Device | None = None
        self._known = KnownResults()

    def identify(self, identity: dict[str, str]) -> None:
        """The device is there: given out once, and when it says something else of itself."""
        device = Device(connection="connected", validity="valid", identity=identity)
        if device != self._device:
            self._device = device
            self.observe(device)

    def publish(self, results: Iterable[Result]) -> None:
        """Results; what was given out before is counted."""
        for result in results:
            if self._known.is_repeat(result):
                self.faults.append(_DUPLICATE)
            else:
                self.observe(result)

    def observe(self, one: AnyObservation) -> None:
        """Whatever it is, it is given out."""
        if not self._found:
            self._promised_from = len(self.replies)
        self._found.append(one)

    def output(self, wake_at: float | None = None) -> Output:
        """All of it; a new step begins."""
        send = bytes(self.replies)
        is_promised = bool(self._found) and self._promised_from < len(send)
        output = Output(
            send=send,
            observations=tuple(self._found),
            faults=tuple(self.faults),
            wake_at=wake_at,
            frames=self.frames,
            refusal=send[: self._promised_from] + NAK if is_promised else b"",
        )
        self.replies.clear()
        self.faults.clear()
        self._found.clear()
        self.frames = 0
        return output


def refuse_no_loinc(codes: Mapping[str, str]) -> None:
    """Raise `ValueError` for what cannot be a LOINC code; msgspec passes it on with the path of the option."""
    for name, code in codes.items():
        if not is_loinc(code):
            raise ValueError(f"{code!r}, the LOINC code for {name!r}, has a wrong form or check digit")


def is_loinc(code: str) -> bool:
    """Whether a code has the form of a LOINC code and the right check digit (the Luhn sum): 789-8, not 789-9."""
    found = _LOINC.fullmatch(code)
    if found is None:
        return False
    total = 0
    for place, digit in enumerate(reversed(found[1])):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return -total % 10 == int(found[2])
