"""One result as the box reads it beside what the display or print-out shows: the same, or in which way not."""

import re
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from typing import ClassVar

from msgspec import Struct

from drivers.observation import Result
from gateway import language
from gateway.commissioning import Comparison, Side
from gateway.errors import JisrError
from gateway.language import N_
from provisioning.errors import AskedWrongly
from provisioning.units import apart, is_none, is_same, scale_of

POWERS = (1, 2, 3, 4, 5, 6, 9, 12)
TYPED_LENGTH = 120
PRECISION = 400
"""Digits: what a device sends may have an exponent of 99, and nothing is rounded here but on purpose."""

_TYPED = re.compile(r"(<=|>=|≤|≥|<|>)?\s*([+-]?[0-9]{1,20}(?:[.,][0-9]{1,20})?)(?![0-9.,])\s*(.*)", re.DOTALL)
_SIGNS = {"≤": "<=", "≥": ">=", None: ""}


class NothingShown(AskedWrongly):
    """An empty line."""

    sentence = N_("{test}: type what the display shows, with its unit, for example 12.5 g/dL.")


class NotPlain(AskedWrongly):
    """Digits that could be read in two ways."""

    sentence = N_(
        "{test}: {typed} can be read in two ways. Write the number without blanks or marks between its thousands, "
        "and with a point: 1250 or 12.5."
    )


class Mismatch(JisrError):
    """The two are not the same: nothing is stored."""

    sentence: ClassVar[str] = N_(
        "{test}: the box reads {box}, the display shows {shown}. Make sure that it is the result received on {at} "
        "UTC; if it is, the profile or an option of {device} is wrong."
    )


class OtherScale(Mismatch):
    """Apart by a power of ten, in the same unit."""

    sentence = N_(
        "{test}: the box reads {box}, the display shows {shown}: the scale is wrong, by a factor of {factor}. Choose "
        "the profile that belongs to this analyzer, or set its decimal places as the driver's page says."
    )


class Converted(Mismatch):
    """The same quantity in another unit."""

    sentence = N_(
        "{test}: the box reads {box}, the display shows {shown}: the same quantity in another unit, by a factor of "
        "{factor}. Compare with the unit that the analyzer sends: on the print-out, or by its settings."
    )


class OtherUnit(Mismatch):
    """The same digits of something else."""

    sentence = N_(
        "{test}: the box reads {box}, the display shows {shown}: the number is the same and the unit is not. Set the "
        "unit of this test in the options of {device}, or the unit that the analyzer sends."
    )


class OtherUnitAndValue(Mismatch):
    """Nothing that decimal prefixes explain."""

    sentence = N_(
        "{test}: the box reads {box}, the display shows {shown}: another unit, and another number. Compare with the "
        "unit that the analyzer sends: on the print-out, or by its settings."
    )


class UnitNotShown(Mismatch):
    """Only the number was typed."""

    sentence = N_(
        "{test}: the box reads {box}, and no unit was given for {shown}. Type the unit as well; if the display has "
        "none, take the print-out."
    )


class UnitNotSent(Mismatch):
    """The box has no unit to compare."""

    sentence = N_(
        "{test}: the display shows {shown}, and the box has no unit for this test. Set it in the options of {device} "
        "where the driver's page has one for it, or compare another result."
    )


class Rounded(Mismatch):
    """They agree as far as the shorter one goes."""

    sentence = N_(
        "{test}: the box reads {box}, the display shows {shown}: one of them is rounded. Take the one with all "
        "digits, on the print-out as a rule, or compare another result."
    )


class OtherComparator(Mismatch):
    """`<0.5` is not 0.5."""

    sentence = N_(
        "{test}: the box reads {box}, the display shows {shown}: the sign before the number is not the same. Type it "
        "as the display has it; if you did, the profile of {device} is wrong."
    )


class OtherWord(Mismatch):
    """A word and another word, or a word and a number."""

    sentence = N_(
        "{test}: the box reads {box}, the display shows {shown}. Type the word as the print-out has it, or compare a "
        "result that is a number."
    )


class Shown(Struct, frozen=True):
    """What a person typed: a number with comparator and unit, or a word."""

    typed: str
    value: Decimal | None = None
    comparator: str = ""
    unit: str = ""


def parse_shown(test: str, typed: str) -> Shown:
    """Read what was typed; a decimal comma only in French. Raises `NothingShown`, `NotPlain`."""
    text = " ".join(typed.split())
    if not text or len(text) > TYPED_LENGTH or not text.isprintable():
        raise NothingShown(test=test)
    found = _TYPED.fullmatch(text)
    if found is None:
        if text[0].isdigit():
            raise NotPlain(test=test, typed=text)
        return Shown(text)
    sign, digits, unit = found.groups()
    is_split = unit[:1].isdigit() and not re.match(r"1(?:0\D|[eE]|/|$)|10\^", unit)
    if is_split or ("," in digits and language.current() != "fr"):
        raise NotPlain(test=test, typed=text)
    return Shown(text, Decimal(digits.replace(",", ".")), _SIGNS.get(sign, sign or ""), unit)


def plain(text: str) -> str:
    """A device's words for a terminal, which obeys what is not printable."""
    return "".join(sign if sign.isprintable() else "·" for sign in text)


def number_text(value: Decimal) -> str:
    """Digits as they were printed, with the language's decimal sign."""
    text = f"{value:f}"
    return text.replace(".", ",") if language.current() == "fr" else text


def read_text(seen: Result) -> str:
    """What the box reads, for people: with the device's own word for the unit where that is all there is."""
    if seen.value is None:
        return plain(seen.answer)
    unit = plain(seen.unit or seen.vendor_unit)
    return f"{seen.comparator}{number_text(seen.value)}" + (f" {unit}" if not is_none(unit) else "")


def compare(device: str, seen: Result, shown: Shown) -> Comparison:
    """Both sides, where they are the same. Raises the leaf of `Mismatch` that says how they are not."""
    at = seen.at[:19].replace("T", " ")
    facts = {"test": plain(seen.test), "box": read_text(seen), "shown": shown.typed, "device": device, "at": at}
    if seen.value is None or shown.value is None:
        if seen.value is not None or shown.value is not None or _word(seen.answer) != _word(shown.typed):
            raise OtherWord(**facts)
        return Comparison(seen.test, Side(seen.answer), Side(shown.typed))
    if shown.comparator != seen.comparator:
        raise OtherComparator(**facts)
    with localcontext(prec=PRECISION):
        _compare_numbers(seen.value, shown.value, seen, shown, facts)
    box = Side(f"{seen.value:f}", seen.comparator, seen.unit, seen.vendor_unit)
    return Comparison(seen.test, box, Side(f"{shown.value:f}", shown.comparator, shown.unit))


def _compare_numbers(value: Decimal, typed: Decimal, seen: Result, shown: Shown, facts: dict[str, str]) -> None:
    """Unit first: a number says nothing without it."""
    units = [unit for unit in (seen.unit, seen.vendor_unit) if not is_none(unit)]
    if units and is_none(shown.unit):
        raise UnitNotShown(**facts)
    if not units and not is_none(shown.unit):
        raise UnitNotSent(**facts)
    if units and not _is_shown_unit(units, shown.unit):
        raise _other_unit(value, typed, units[0], shown.unit, facts)
    if value != typed:
        raise _other_value(value, typed, facts)


def _is_shown_unit(units: list[str], shown: str) -> bool:
    """The published unit is what counts, where there is one; the device's own word only where nobody can read it.

    Else a wrong table of units would never be seen: the device's word is the same on the display and on the line.
    """
    published, sent = units[0], units[-1]
    if is_same(published, shown):
        return True
    is_readable = scale_of(shown) is not None and scale_of(published) is not None
    return not is_readable and is_same(sent, shown)


def _other_value(value: Decimal, typed: Decimal, facts: dict[str, str]) -> Mismatch:
    power = _power_between(value, typed)
    if power:
        return OtherScale(**facts, factor=str(10 ** abs(power)))
    return Rounded(**facts) if _agree_rounded(value, typed) else Mismatch(**facts)


def _other_unit(value: Decimal, typed: Decimal, unit: str, shown: str, facts: dict[str, str]) -> Mismatch:
    power = apart(unit, shown)
    if power and value.scaleb(power) == typed:
        return Converted(**facts, factor=str(10 ** abs(power)))
    if value == typed:
        return OtherUnit(**facts)
    return OtherUnitAndValue(**facts)


def _power_between(value: Decimal, typed: Decimal) -> int:
    """The power of ten that makes one the other, also where the shorter one was rounded; 0: none."""
    for power in (*POWERS, *(-power for power in POWERS)):
        moved = value.scaleb(power)
        if typed and (moved == typed or (_digits(typed) > 1 and _agree_rounded(moved, typed))):
            return power
    return 0


def _digits(value: Decimal) -> int:
    return len(value.as_tuple().digits)


def _agree_rounded(one: Decimal, other: Decimal) -> bool:
    """Whether the longer of the two, cut to the decimals of the shorter, is the shorter."""
    shorter, longer = sorted((one, other), key=lambda each: -int(each.as_tuple().exponent))
    step = Decimal(1).scaleb(int(shorter.as_tuple().exponent))
    roundings = (ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_DOWN)
    return bool(shorter) and any(longer.quantize(step, rounding=way) == shorter for way in roundings)


def _word(text: str) -> str:
    return " ".join(text.split()).casefold()
