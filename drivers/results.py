"""What laboratory results have in common, by whatever protocol they come: numbers, words, identity, what is known.

Missing is not 0 and not normal, and said in words is not missing: what is not plainly one number has no value, and is
an answer where the profile says so, else it has a reason. A result is known by its content, so that a session that is
sent again makes no second one and a changed result makes a new version.
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
ANSWER_LENGTH = 256
"""A longer text is a comment; a GeneXpert's words have 256 characters at most (Cepheid 301-2002)."""
PATTERN_LENGTH = 200
UNKNOWN_ANSWER = "unknown_answer"
"""Reason: a word where the result stands, which nobody has named."""
Absence = Literal["not_measured", "no_result", "invalid", "masked"]
"""What a word in the place of a result may mean, where it means that there is none."""

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
_NO_ANSWER = re.compile(r"(INVALID|ERROR|NO RESULT)\b.*", re.IGNORECASE | re.DOTALL | re.ASCII)
"""Words that begin so are no answer, whatever follows."""
_UNSAID = ("", "not_measured", "not_numeric")
"""Reasons of a word beside which a number may stand."""
_LOINC = re.compile(r"([0-9]{1,7})-([0-9])")


class Number(Struct, frozen=True):
    """What a value field holds: a number and its comparator, an answer in words, both, or neither and the reason."""

    value: Decimal | None
    comparator: Comparator
    reason: str
    """Why there is nothing; beside a value or an answer: why it is doubted."""
    answer: str = ""

    @property
    def is_absent(self) -> bool:
        """Neither number nor answer."""
        return self.value is None and not self.answer


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


class Answers:
    """Which words of one device are results: those that its profile knows; others in their place are doubted.

    `any_word`: no patterns are given, and the document or the field's own type says that each word is one.

    Nobody guesses what a damaged word was. Signs that cannot be read, and a bracket that is alone (a line of 7 bits
    makes `NC)gatif` of `Négatif`: C3 A9 becomes 43 29), are doubted; what became another letter is not seen.
    """

    def __init__(self, patterns: Iterable[str], *, any_word: bool = False) -> None:
        self._patterns = tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)
        self._any_word = any_word and not self._patterns

    def read(self, text: str, number: Number) -> Number:
        """What `text` says, which was read as `number`: an answer, if it is no number and not a word for nothing."""
        bare = text.strip()
        if number.reason != "not_numeric" or len(bare) > ANSWER_LENGTH or not (self._patterns or self._any_word):
            return number
        nothing = _NO_ANSWER.fullmatch(bare)
        if nothing:
            return Number(None, "", _WORDS[nothing[1].upper()])
        is_whole = bare.isprintable() and "\ufffd" not in bare
        if is_whole and any(pattern.fullmatch(bare) for pattern in self._patterns):
            return Number(None, "", "", bare)
        if not bare[:1].isalpha():  # nor is `1,5`, `>` or `5 mg` a word
            return number
        is_plain = self._any_word and is_whole and bare.count("(") == bare.count(")")
        return Number(None, "", "" if is_plain else UNKNOWN_ANSWER, bare)

    def read_beside(self, word: str, said: Number, figure: Number | None) -> Number:
        """A word, read as `said`, and the number in a place of its own; None where nothing stands there.

        The number counts unless the word says that there is none, and is doubted beside a word that nobody knows; a
        word alone is never a number.
        """
        answer = self.read(word, said)
        if answer.value is None and answer.reason not in (*_UNSAID, UNKNOWN_ANSWER):
            return answer
        if figure is None:
            return Number(None, "", "not_numeric") if answer.value is not None else answer
        if figure.value is None:
            return Number(None, "", figure.reason, answer.answer)
        is_plain = bool(answer.answer and not answer.reason) or answer.reason == "not_measured"
        return Number(figure.value, figure.comparator, "" if is_plain else UNKNOWN_ANSWER, answer.answer)


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
    """Validity and reason of a number or answer and its flags: `*` makes it doubtful, as one that is not `plain`."""
    if number.is_absent:
        return "not_available", number.reason
    if not has_unit and number.value is not None:
        return "not_available", "unit_unknown"
    if any("*" in flag for flag in flags):
        return "questionable", "unreliable"
    if any(flag not in plain for flag in flags):
        return "questionable", "unknown_flag"
    return ("questionable", number.reason) if number.reason else ("valid", "")


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

    def __init__(self, answer: Callable[[Fault | None], bytes] | None = None) -> None:
        self._answer = answer
        self.replies = bytearray()
        self.faults: list[Fault] = []
        self.frames = 0
        self._found: list[AnyObservation] = []
        self._promised_from = 0
        """How many bytes of reply stood before the first observation."""
        self._device: Device | None = None
        self._known = KnownResults()

    def settle(self, fault: Fault | None) -> None:
        """A text was taken, or something is wrong: it is counted, and answered by a driver that answers."""
        if fault is not None:
            self.faults.append(fault)
        if self._answer is not None:
            self.replies += self._answer(fault)

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


def require_patterns(patterns: Iterable[str]) -> None:
    """Raise `ValueError` for what is no regular expression; msgspec passes it on with the path of the option."""
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"answers: {pattern!r} is no pattern ({error}): 1+ is written 1\\+") from error
        if not pattern.strip() or len(pattern) > PATTERN_LENGTH:
            raise ValueError(f"answers: {pattern!r}: write each word apart, with 1 to {PATTERN_LENGTH} characters")


def require_loinc(codes: Mapping[str, str]) -> None:
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
