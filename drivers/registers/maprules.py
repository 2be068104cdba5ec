"""What each key of a map file may be: one table for the file, one for a register, one for a field of bits."""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, Literal, get_args

from msgspec import Struct

from drivers.contract import Table
from drivers.nomenclature import terms
from drivers.observation import Category
from drivers.profile import Tier
from drivers.registers.plan import MAX_COILS, MAX_REGISTERS
from drivers.registers.points import Type, WordOrder

UNKNOWN_UNIT = "unknown"
"""`unit = "unknown"`: the document does not print it, so the raw words are published and no number."""
MORE_UNITS = (
    "[degF]",
    "K",
    "mbar",
    "bar",
    "kPa",
    "hPa",
    "Pa",
    "MPa",
    "mm[Hg]",
    "[psi]",
    "[in_i'H2O]",
    "cm[H2O]",
    "[cft_i]/min",
    "L/min",
    "L/h",
    "m3/h",
    "m/s",
    "mV",
    "kV",
    "mA",
    "kA",
    "kW",
    "MW",
    "var",
    "kvar",
    "V.A",
    "kV.A",
    "W.h",
    "kW.h",
    "MW.h",
    "kHz",
    "/min",
    "/h",
    "s",
    "min",
    "h",
    "d",
    "ms",
    "1",
    "%",
    "[ppm]",
    "[ppb]",
    "[ppth]",
    "L",
    "m3",
    "mm",
    "cm",
    "m",
    "kg",
    "g",
    "dB",
    "lx",
    "uS/cm",
)
SPELLINGS = {
    "s16": "i16",
    "int16": "i16",
    "sint16": "i16",
    "uint16": "u16",
    "word": "u16",
    "s32": "i32",
    "int32": "i32",
    "sint32": "i32",
    "uint32": "u32",
    "dword": "u32",
    "float": "f32",
    "float32": "f32",
    "real": "f32",
    "bool": "bit",
    "bitmap": "bits",
    "big": "high_first",
    "little": "low_first",
    "°c": "Cel",
    "c": "Cel",
    "degc": "Cel",
    "celsius": "Cel",
    "°f": "[degF]",
    "degf": "[degF]",
    "rpm": "/min",
    "psi": "[psi]",
    "ppm": "[ppm]",
    "none": "1",
}
"""What manuals write, to what a map writes."""
NAMES_OF: dict[str, tuple[str, ...]] = {
    "numeric": ("numeric", "setting", "result"),
    "enumeration": ("enumeration", "setting"),
    "alert": ("alert",),
}
"""Kind of a point to the kinds of the code table that may name it."""

Alerts = Literal["physiological", "technical", "unknown"]
Priorities = Literal["high", "medium", "low", "none", "unknown"]
Signals = Literal["raise", "lower", "leave"]


def N_(sentence: str) -> str:  # noqa: N802 - gettext's own name; this ground floor imports nothing of the gateway
    """Mark a sentence for translation; it is translated where it is shown."""
    return sentence


class Rule(Struct, frozen=True):
    """One key: a test of its value, what would be right in words, and the words it may be, if they are few."""

    test: Callable[[Any], bool]
    expected: str
    words: Callable[[], tuple[str, ...]] = tuple
    is_required: bool = False


def is_number(value: object) -> bool:
    """A TOML integer or decimal; not true, not inf."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool) and Decimal(value).is_finite()


def is_whole(low: int, high: int) -> Callable[[Any], bool]:
    """A test for an integer of that range."""
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_text(value: object) -> bool:
    """One line that a person can read."""
    return isinstance(value, str) and 0 < len(value) <= 120 and value.isprintable() and bool(value.strip())


def are_texts(value: object) -> bool:
    """A list of such lines."""
    return isinstance(value, list) and all(map(is_text, value))


def is_pattern(pattern: str) -> Callable[[Any], bool]:
    """A test for text of that form."""
    form = re.compile(pattern)
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


def _is_period(value: object) -> bool:
    return is_number(value) and Decimal("0.5") <= Decimal(value) <= 86400  # type: ignore[arg-type]


def _is_scale(value: object) -> bool:
    return is_number(value) and value != 0 and Decimal("1e-12") <= abs(Decimal(value)) <= Decimal("1e12")  # type: ignore[arg-type]


def _is_bits(value: object) -> bool:
    fits = is_whole(0, 15)
    return isinstance(value, list) and len(value) == 2 and all(map(fits, value)) and value[0] < value[1]


def _is_values(value: object) -> bool:
    number = re.compile(r"-?[0-9]{1,10}")
    return (
        isinstance(value, dict)
        and bool(value)
        and all(number.fullmatch(key) and is_text(value[key]) for key in value)
    )


def _is_modem(value: object) -> bool:
    lines = get_args(Signals)
    return isinstance(value, dict) and all(key in ("dtr", "rts") and value[key] in lines for key in value)


def _choice(literal: Any, expected: str, *, is_required: bool = False) -> Rule:
    words: tuple[str, ...] = get_args(literal)
    return Rule(lambda value: isinstance(value, str) and value in words, expected, lambda: words, is_required)


@cache
def units() -> tuple[str, ...]:
    """UCUM units that a map may state: those of the code table, and what registers often hold."""
    return tuple(sorted({term.ucum for term in terms().values() if term.ucum} | set(MORE_UNITS)))


_TEXT = N_("a line of text in quotation marks")
_TEXTS = N_('a list of texts, such as ["Model A", "Model B"]')
_NUMBER = N_("a number without quotation marks, such as 12.5")
_PERIOD = N_("seconds from 0.5 to 86400, without quotation marks")
_ORDER = N_('"high_first" or "low_first": which of the two registers comes first')
_TABLE = N_("a table under a header in square brackets")
_TYPE = N_('"u16", "i16", "u32", "i32", "f32", "bit" or "bits"')
_NAME = N_("a name of the code table; or leave it out and write en and fr")
_SENTINELS = N_("a table from reason to raw values, such as { sensor_off = [0x7FFF] }")

_NAMED: dict[str, Rule] = {
    "code": Rule(is_text, _TEXT),
    "name": Rule(lambda value: isinstance(value, str) and value in terms(), _NAME, lambda: tuple(terms())),
    "en": Rule(is_text, _TEXT),
    "fr": Rule(is_text, _TEXT),
    "category": _choice(Category, N_('"measurement", "calculation" or "setting"')),
    "values": Rule(_is_values, N_('a table from number to word, such as { 1 = "closed", 2 = "open" }')),
    "unit": Rule(
        lambda value: isinstance(value, str) and value in (UNKNOWN_UNIT, *units()),
        N_('a UCUM unit such as "Cel", "kPa", "%" or "1"; "unknown" if the document does not print it'),
        lambda: (UNKNOWN_UNIT, *units()),
    ),
    "low": Rule(is_number, _NUMBER),
    "high": Rule(is_number, _NUMBER),
    "step": Rule(is_number, _NUMBER),
    "alert": _choice(Alerts, N_('"physiological", "technical" or "unknown"')),
    "priority": _choice(Priorities, N_('"high", "medium", "low", "none" or "unknown"')),
    "bit": Rule(is_whole(0, 15), N_("a bit from 0 (least significant) to 15")),
}

FILE: dict[str, Rule] = {
    "vendor": Rule(is_text, _TEXT, is_required=True),
    "models": Rule(lambda value: are_texts(value) and bool(value), _TEXTS, is_required=True),
    "tier": _choice(Tier, N_('"sketch", "bench", "captured" or "field"')),
    "firmware": Rule(are_texts, _TEXTS),
    "line": Rule(is_pattern(r"[0-9]{2,7} [78][NEO][12]"), N_('line settings such as "9600 8E1"')),
    "modem": Rule(_is_modem, N_('a table such as { dtr = "raise", rts = "lower" }')),
    "unit": Rule(is_whole(0, 255), N_("the Modbus unit id, a whole number from 0 to 255")),
    "poll_s": Rule(_is_period, _PERIOD),
    "word_order": _choice(WordOrder, _ORDER),
    "bridge": Rule(is_whole(0, 124), N_("a whole number from 0 to 124")),
    "max_registers": Rule(is_whole(2, MAX_REGISTERS), N_("a whole number from 2 to 125")),
    "max_coils": Rule(is_whole(1, MAX_COILS), N_("a whole number from 1 to 2000")),
    "sentinels": Rule(lambda value: isinstance(value, dict), _TABLE),
    "register": Rule(
        lambda value: isinstance(value, list) and 0 < len(value) <= 2000,
        N_("one [[register]] block for each register, at most 2000"),
        is_required=True,
    ),
}
REGISTER: dict[str, Rule] = {
    "printed": Rule(is_text, N_("the number as the document prints it, in quotation marks"), is_required=True),
    "table": _choice(Table, N_('"holding", "input", "coil" or "discrete"'), is_required=True),
    "address": Rule(
        is_whole(0, 65535),
        N_("the zero-based address, 0 to 65535: often the printed number less one"),
        is_required=True,
    ),
    "type": _choice(Type, _TYPE, is_required=True),
    "word_order": _choice(WordOrder, _ORDER),
    "scale": Rule(_is_scale, N_("a number other than 0, without quotation marks: value = raw × scale")),
    "sentinels": Rule(lambda value: isinstance(value, dict), _SENTINELS),
    "zero": _choice(Literal["value", "absent"], N_('"value" or "absent"')),
    "poll_s": Rule(_is_period, _PERIOD),
    "field": Rule(lambda value: isinstance(value, list) and bool(value), N_("one [[register.field]] block each")),
    **_NAMED,
}
FIELD: dict[str, Rule] = {
    "bits": Rule(_is_bits, N_("lowest and highest bit, such as [4, 7]")),
    **_NAMED,
}
NUMBER_ONLY = ("unit", "scale", "low", "high", "step")
REASON = re.compile(r"[a-z][a-z0-9_]{0,39}")
