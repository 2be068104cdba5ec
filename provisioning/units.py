"""Units as displays and print-outs write them, far enough to see that two are one, or apart by a power of ten.

Only spellings of the same unit and decimal prefixes are known here. Nothing converts by a substance (mmol/L to
mg/dL): that takes a molar mass, and is never guessed.
"""

import re
from collections import Counter

from msgspec import Struct

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_RAISED = re.compile("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_POWER = re.compile(r"[x×*·]?(?:10(?:\*\*|\*|\^|[eE])|1[eE])\+?(\d{1,2})(?=/|$)")
"""`10*3/uL` (UCUM), `10^3/uL`, `x10³/µL`, `10E3/uL`, `1E03/mm3`."""
_WHOLE = {
    "G/L": "10*9/L",
    "T/L": "10*12/L",
    "K/uL": "10*3/uL",
    "M/uL": "10*6/uL",
    "G/l": "10*9/L",
    "T/l": "10*12/L",
    "K/ul": "10*3/uL",
    "M/ul": "10*6/uL",
}
"""Counts of cells: giga and tera per litre as French print-outs have it, thousands and millions per microlitre."""
_CUBES = {"um3": "fL", "um^3": "fL", "mm3": "uL", "mm^3": "uL", "cm3": "mL", "cm^3": "mL", "dm3": "L", "dm^3": "L"}
_BASES = ("mol", "Eq", "IU", "L", "g", "U")
_PREFIXES = {"": 0, "k": 3, "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15}
_MEGA = {"MU": ("U", 6), "MIU": ("IU", 6)}
"""Only here does a capital M stand on its own: `ML` is a printer that has no small letters."""
_NONE = {"", "-", "1"}


class Scale(Struct, frozen=True):
    """A unit taken apart: 10 to the `power` of what `dimension` says."""

    dimension: tuple[tuple[str, int], ...]
    power: int


def spelt(unit: str) -> str:
    """One spelling for all there are of it: no blanks, `u` for micro, `10*3` for a power, `L`, `IU`."""
    text = unit.translate({ord("µ"): "u", ord("μ"): "u"})
    text = _RAISED.sub(lambda found: f"^{found[0].translate(_SUPERSCRIPTS)}", text)
    text = re.sub(r"\s+", "", text)
    text = _POWER.sub(lambda found: f"10*{int(found[1])}", text, count=1) if _POWER.match(text) else text
    head, slash, rest = text.partition("/")
    parts = [head, *rest.split("/")] if slash else [head]
    text = "/".join(_part(part) for part in parts)
    return _WHOLE.get(text, text)


def _part(text: str) -> str:
    text = text.replace("[IU]", "IU").replace("[iU]", "IU").replace("UI", "IU")
    text = _CUBES.get(text, text)
    return f"{text[:-1]}L" if text.endswith("l") and text[:-1] in ("", *_PREFIXES) and text != "mol" else text


def scale_of(unit: str) -> Scale | None:
    """The unit taken apart, or None where it is not made of what is known here."""
    text = spelt(unit)
    if text in _NONE:
        return Scale((), 0)
    if text == "%":
        return Scale((), -2)
    over, *under = text.split("/")
    found: Counter[str] = Counter()
    power = 0
    for part, sign in ((over, 1), *((part, -1) for part in under)):
        term = _term(part)
        if term is None or (not part and sign < 0):
            return None
        power += sign * term[1]
        if term[0]:
            found[term[0]] += sign
    return Scale(tuple(sorted((base, count) for base, count in found.items() if count)), power)


def _term(text: str) -> tuple[str, int] | None:
    """Base and power of one part: `dL`, `10*3`, or nothing before the slash."""
    if not text or text == "1":
        return "", 0
    if text.startswith("10*") and text[3:].isdigit():
        return "", int(text[3:])
    if text in _MEGA:
        return _MEGA[text]
    for base in _BASES:
        if text.endswith(base) and text.removesuffix(base) in _PREFIXES:
            return base, _PREFIXES[text.removesuffix(base)]
    return None


def is_none(unit: str) -> bool:
    """Whether it says that there is no unit."""
    return spelt(unit) in _NONE


def is_same(one: str, other: str) -> bool:
    """Whether two words mean one unit. A person does not care for capitals; where they matter they count."""
    if spelt(one) == spelt(other):
        return True
    left, right = scale_of(one), scale_of(other)
    if left is not None and right is not None:
        return left == right
    return spelt(one).casefold() == spelt(other).casefold()


def apart(one: str, other: str) -> int | None:
    """The power of ten between two units of the same quantity: one `g/L` is 10^-1 `g/dL`. None: not the same one."""
    left, right = scale_of(one), scale_of(other)
    if left is None or right is None or left.dimension != right.dimension:
        return None
    return left.power - right.power
