"""How a device writes its numbers, found from what it wrote: digits behind the point, padding, unit.

A form is only used where it gives back every text of a column exactly; else the texts are told one by one.
"""

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

MIXED, LITERAL = -1, -2
"""For `digits`: it differs from value to value; or the value is no plain number of a size that fits a column."""
EACH, SHOWN, WORDS = 0, 1, 2
"""For `text`: told one by one; made from the value; hexadecimal words, as of registers."""
MOST_DIGITS = 18
WORDS_MOST = 3
WIDEST = 64
LONGEST_NUMBER = 20
"""Characters of a value that may be in a column."""

_WORDS = re.compile(r"[0-9A-F]{4}(?: [0-9A-F]{4}){0,2}")


class Form(Struct, frozen=True, array_like=True):
    """What is alike in the values and texts of one series."""

    digits: int
    """Digits behind the point of each value: 0 to 18, `MIXED` or `LITERAL`."""
    text: int
    before: str = ""
    width: int = 0
    """Of the number in the text, filled from the left with `fill`; for `WORDS` how many there are."""
    fill: str = ""
    point: str = "."
    after: str = ""

    def is_sound(self) -> bool:
        """Whether a reader can follow it."""
        return (
            LITERAL <= self.digits <= MOST_DIGITS
            and EACH <= self.text <= WORDS
            and 0 <= self.width <= (WORDS_MOST if self.text == WORDS else WIDEST)
            and len(self.fill) <= 1
            and len(self.point) == 1
            and len(self.before) <= WIDEST
            and len(self.after) <= WIDEST
        )

    def show(self, value: str) -> str:
        """The text the device sends for a value."""
        if self.point != ".":
            value = value.replace(".", self.point)
        if self.fill == "0":
            value = value.zfill(self.width)
        elif self.fill:
            value = value.rjust(self.width, self.fill)
        return f"{self.before}{value}{self.after}"


def digits_of(values: Sequence[str]) -> tuple[int, list[int], list[int]]:
    """`Form.digits`, the values without their points, and for MIXED the digits behind the point of each."""
    joined = ",".join(values)
    if "E" in joined or max(map(len, values)) > LONGEST_NUMBER:
        return LITERAL, [], []
    numbers = [int(one) for one in joined.replace(".", "").split(",")]
    if "-" in joined and any(value[0] == "-" and not number for value, number in zip(values, numbers, strict=True)):
        return LITERAL, [], []  # a negative zero is no whole number
    if "." not in joined:
        return 0, numbers, []
    each = [len(value) - 1 - at if (at := value.find(".")) >= 0 else 0 for value in values]
    if max(each) > MOST_DIGITS:
        return LITERAL, [], []
    return (each[0], numbers, []) if min(each) == max(each) else (MIXED, numbers, each)


def text_of(number: int, digits: int) -> str:
    """A number with its point, as a Decimal of so many digits is written."""
    if not digits:
        return str(number)
    whole = str(abs(number)).zfill(digits + 1)
    return f"{'-' if number < 0 else ''}{whole[:-digits]}.{whole[-digits:]}"


def form_of(digits: int, values: Sequence[str], texts: Sequence[str]) -> Form:
    """The form that gives back every text from its value, or one that says that there is none."""
    if values == texts:
        return Form(digits, SHOWN)
    for candidate in _candidates(digits, values, texts):
        if [candidate.show(value) for value in values] == texts:
            return candidate
    if len({len(text) for text in texts}) == 1 and all(map(_WORDS.fullmatch, texts)):
        return Form(digits, WORDS, width=(len(texts[0]) + 1) // 5)
    return Form(digits, EACH)


def _candidates(digits: int, values: Sequence[str], texts: Sequence[str]) -> Iterator[Form]:
    """Judged by the text with the most around its number: there the padding shows."""
    value, text = max(zip(values, texts, strict=True), key=lambda pair: len(pair[1]) - len(pair[0]))
    for point in ".,":
        shown = value.replace(".", point)
        head, found, after = text.rpartition(shown)
        if not found or max(len(head), len(after)) > WIDEST:
            continue
        yield Form(digits, SHOWN, head, 0, "", point, after)
        for fill in " 0":
            before = head.rstrip(fill)
            width = len(head) - len(before) + len(shown)
            if before != head and width <= WIDEST:
                yield Form(digits, SHOWN, before, width, fill, point, after)


def words_of(text: str) -> int:
    """Hexadecimal words as one number."""
    return int(text.replace(" ", ""), 16)


def text_of_words(number: int, words: int) -> str:
    """The number as that many words, or more digits if it is larger: the caller checks the size."""
    digits = f"{number:0{4 * words}X}"
    return " ".join(digits[at : at + 4] for at in range(0, 4 * words, 4))


# -- a device's own time ------------------------------------------------------------------------------------------

_RUN = re.compile("[0-9]{1,9}")
_DIGIT = re.compile("[0-9]")


def face_of(text: str) -> tuple[str, list[int]]:
    """A text with its digits replaced by zeros, and its runs of at most nine digits as numbers."""
    return _DIGIT.sub("0", text), [int(run) for run in _RUN.findall(text)]


class Face:
    """Writes numbers into the places that the zeros keep."""

    def __init__(self, zeros: str) -> None:
        self._limits = [10 ** len(run) for run in _RUN.findall(zeros)]
        self._pattern = _RUN.sub(lambda run: f"%0{len(run.group())}d", zeros.replace("%", "%%"))

    def __len__(self) -> int:
        return len(self._limits)

    def show(self, numbers: Sequence[int]) -> str | None:
        """The text; None where a number does not fit its place."""
        if not all(0 <= number < limit for number, limit in zip(numbers, self._limits, strict=True)):
            return None
        return self._pattern % tuple(numbers)
