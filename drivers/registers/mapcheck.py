"""Everything that is wrong in a map file, at once: line, what was found, what would be right, nearest spelling."""

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import tomli
from msgspec import Struct

from drivers.nomenclature import terms
from drivers.registers.maplines import Lines, Path
from drivers.registers.maprules import (
    FIELD,
    FILE,
    N_,
    NAMES_OF,
    NUMBER_ONLY,
    REASON,
    REGISTER,
    SPELLINGS,
    Rule,
    is_whole,
)
from drivers.registers.points import BIT_TABLES, WIDE
from drivers.registers.tomlnumbers import parse

SHOWN = 60
KEY_VALUE = N_("{key} = {value}")
UNKNOWN_KEY = N_("{key}: this key is not known here")
MISSING = N_("{key} is missing")
NOT_TOML = N_("this is not TOML: {detail}")
TAKEN = N_("{what} is already taken on line {line}")
WRONG_HERE = N_("{key}: it does not belong to this register")

ONLY_NUMBERS = N_("leave it out: it is for numbers, not for words, bits and alerts")
ONLY_ONE_BIT = N_("an alert is one bit: a coil, a discrete input, a bit of a register, or a field with bit")
ALERT_OR_VALUES = N_("either alert or values, not both")
LABELS = N_("name from the code table, or both en and fr")
OTHER_KIND = N_("a name whose kind in the code table fits: a number, a word or an alert")
ORDERED = N_("low is less than high")
COIL_IS_BIT = N_('type = "bit": coils and discrete inputs hold one bit')
NEEDS_BIT = N_("which bit of the register, 0 to 15: bit = 3")
NEEDS_FIELD = N_("one [[register.field]] block for each field of the bits")
NO_BIT = N_('leave it out, or write type = "bit" on a holding or input register')
NO_FIELD = N_('leave it out, or write type = "bits" on a holding or input register')
FIELD_BITS = N_("bit = 3, or bits = [4, 7]")
TWO_WORDS = N_("65534 at most: it takes two registers")
NEEDS_ORDER = N_('word_order = "high_first" or "low_first", for the file or for this register; it is never guessed')
NEEDS_UNIT = N_('unit = "Cel" or another UCUM unit; unit = "unknown" if the document does not print it')
OWN_PLACE = N_("each bit of a register described once")
OWN_CODE = N_('a code of its own: write code = "…" where two printed numbers are the same')
NO_WORDS = N_("an integer type: a float has no words")
RAW_VALUE = N_("whole numbers that fit the type, such as [0x7FFF, -1]")
REASON_WORD = N_("a word such as sensor_off: small letters, digits and _")
SENTINEL_TYPE = N_('a type: "u16", "i16", "u32", "i32", "f32" or "bits"')
A_TABLE = N_("a block under its own header in double square brackets")


class MapProblem(Struct, frozen=True):
    """One mistake. `found` is `template` filled with `facts`, so that it can be told in another language."""

    line: int
    found: str
    expected: str
    nearest: str = ""
    template: str = ""
    facts: dict[str, str] = {}


class BadMap(ValueError):
    """A map file that cannot be used; `problems` has everything that is wrong in it."""

    def __init__(self, problems: Iterable[MapProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"line {each.line}: {each.found}" for each in self.problems))


def check_map(text: str) -> list[MapProblem]:
    """All problems of a map file, by line; none means that it can be used."""
    try:
        document = parse(text)
    except tomli.TOMLDecodeError as error:
        line = getattr(error, "lineno", 1)
        facts = {"detail": str(getattr(error, "msg", error))}
        return [MapProblem(line, NOT_TOML.format(**facts), N_("TOML 1.0"), "", NOT_TOML, facts)]
    check = _Check(text)
    check.file(document)
    return sorted(check.problems, key=lambda problem: problem.line)


class _Check:
    def __init__(self, text: str) -> None:
        self.problems: list[MapProblem] = []
        self._lines = Lines(text)
        self._places: dict[tuple[str, int, int], int] = {}
        self._codes: dict[str, int] = {}
        self._has_order = False

    def add(self, path: Path, template: str, expected: str, nearest: str = "", **facts: object) -> None:
        told = {key: str(value) for key, value in facts.items()}
        line = self._lines.line(path)
        self.problems.append(MapProblem(line, template.format(**told), expected, nearest, template, told))

    def file(self, document: Mapping[str, Any]) -> None:
        good = self._keys(document, FILE, ())
        self._has_order = "word_order" in good
        for kind, table in good.get("sentinels", {}).items():
            if kind in ("u16", "i16", "u32", "i32", "f32", "bits") and isinstance(table, dict):
                self._sentinels(table, kind, ("sentinels", kind))
            else:
                self.add(("sentinels", kind), UNKNOWN_KEY, SENTINEL_TYPE, _nearest(kind, REGISTER["type"]), key=kind)
        for index, register in enumerate(good.get("register", ())):
            path: Path = ("register", index)
            if isinstance(register, dict):
                self._register(register, path)
            else:
                self.add(path, KEY_VALUE, A_TABLE, key="register", value=shown(register))

    def _keys(self, table: Mapping[str, Any], rules: Mapping[str, Rule], path: Path) -> dict[str, Any]:
        """The keys that are right by themselves; the others are noted."""
        good: dict[str, Any] = {}
        for key, value in table.items():
            rule = rules.get(key)
            if rule is None:
                close = difflib.get_close_matches(key, rules, n=1)
                known = N_("one of the keys that MAPS.md lists for this place")
                self.add((*path, key), UNKNOWN_KEY, known, close[0] if close else "", key=shown(key))
            elif rule.test(value):
                good[key] = value
            else:
                nearest = _nearest(value, rule)
                self.add((*path, key), KEY_VALUE, rule.expected, nearest, key=key, value=shown(value))
        for key, rule in rules.items():
            if rule.is_required and key not in table:
                self.add(path, MISSING, rule.expected, key=key)
        return good

    def _register(self, table: Mapping[str, Any], path: Path) -> None:
        good = self._keys(table, REGISTER, path)
        kind, is_coil = good.get("type"), good.get("table") in BIT_TABLES
        if "sentinels" in good and kind:
            self._sentinels(good["sentinels"], kind, (*path, "sentinels"))
        if kind and is_coil and kind != "bit":
            self.add((*path, "type"), KEY_VALUE, COIL_IS_BIT, "bit", key="type", value=shown(kind))
            return
        if kind in WIDE:
            self._wide(table, good, path)
        if "bit" in table and (is_coil or kind not in (None, "bit")):
            self.add((*path, "bit"), WRONG_HERE, NO_BIT, key="bit")
        elif kind == "bit" and not is_coil and "bit" not in table:
            self.add(path, MISSING, NEEDS_BIT, key="bit")
        if "field" in table and kind not in (None, "bits"):
            self.add((*path, "field"), WRONG_HERE, NO_FIELD, key="field")
        elif kind == "bits":
            self._fields(table, good, path)
        if kind and kind != "bits":
            self._occupy(good, kind, good.get("bit"), path)
            self._metric(table, good, path, is_bit=kind == "bit", is_float=kind == "f32")
            if "printed" in good:
                self._own_code(str(good.get("code", good["printed"])), path)

    def _wide(self, table: Mapping[str, Any], good: Mapping[str, Any], path: Path) -> None:
        if good.get("address") == 65535:
            self.add((*path, "address"), KEY_VALUE, TWO_WORDS, key="address", value=65535)
        if "word_order" not in table and not self._has_order:
            self.add(path, MISSING, NEEDS_ORDER, key="word_order")

    def _fields(self, table: Mapping[str, Any], good: Mapping[str, Any], path: Path) -> None:
        if "field" not in table:
            self.add(path, MISSING, NEEDS_FIELD, key="field")
        for index, field in enumerate(good.get("field", ())):
            here: Path = (*path, "field", index)
            if not isinstance(field, dict):
                self.add(here, KEY_VALUE, A_TABLE, key="field", value=shown(field))
                continue
            own = self._keys(field, FIELD, here)
            if ("bit" in field) == ("bits" in field):
                self.add(here, MISSING if "bit" not in field else WRONG_HERE, FIELD_BITS, key="bit")
            elif span := span_of(own):
                self._occupy(good, "bits", span, here)
                if "printed" in good:
                    self._own_code(field_code(good, own, span), here)
            self._metric(field, own, here, is_bit="bit" in field, is_float=False)

    def _metric(
        self, table: Mapping[str, Any], good: Mapping[str, Any], path: Path, *, is_bit: bool, is_float: bool
    ) -> None:
        kind = kind_of(table, is_bit=is_bit)
        if "alert" in table and "values" in table:
            self.add((*path, "values"), WRONG_HERE, ALERT_OR_VALUES, key="values")
        if kind == "alert" and not is_bit:
            self.add((*path, "alert"), WRONG_HERE, ONLY_ONE_BIT, key="alert")
        if kind == "enumeration" and is_float:
            self.add((*path, "values"), WRONG_HERE, NO_WORDS, key="values")
        if kind != "numeric":
            for key in NUMBER_ONLY:
                if key in table:
                    self.add((*path, key), WRONG_HERE, ONLY_NUMBERS, key=key)
        elif "unit" not in table:
            self.add(path, MISSING, NEEDS_UNIT, key="unit")
        if "name" not in table and not ("en" in table and "fr" in table):
            self.add(path, MISSING, LABELS, key="name")
        if "name" in good and terms()[good["name"]].kind not in NAMES_OF[kind]:
            self.add((*path, "name"), KEY_VALUE, OTHER_KIND, key="name", value=shown(good["name"]))
        if "low" in good and "high" in good and good["low"] >= good["high"]:
            self.add((*path, "low"), KEY_VALUE, ORDERED, key="low", value=shown(good["low"]))

    def _occupy(self, good: Mapping[str, Any], kind: str, bits: int | tuple[int, int] | None, path: Path) -> None:
        """Each bit of the device has one meaning: what two registers share is a mistake in an address."""
        if "address" not in good or "table" not in good:
            return
        low, high = (
            (0, 31 if kind in WIDE else 15) if bits is None else (bits, bits) if isinstance(bits, int) else bits
        )
        line = self._lines.line(path)
        for bit in range(low, high + 1):
            place = (good["table"], good["address"] + bit // 16, bit % 16)
            taken = self._places.setdefault(place, line)
            if taken != line:
                what = f"{place[0]} {place[1]}" + ("" if bits is None else f" bit {bit}")
                self.add(path, TAKEN, OWN_PLACE, what=what, line=taken)
                return

    def _own_code(self, code: str, path: Path) -> None:
        line = self._lines.line(path)
        taken = self._codes.setdefault(code, line)
        if taken != line:
            self.add(path, TAKEN, OWN_CODE, what=shown(code), line=taken)

    def _sentinels(self, table: Mapping[str, Any], kind: str, path: Path) -> None:
        bits = 32 if kind in WIDE else 16
        fits = is_whole(-(1 << bits - 1), (1 << bits) - 1)
        for reason, values in table.items():
            if not REASON.fullmatch(reason):
                self.add((*path, reason), UNKNOWN_KEY, REASON_WORD, key=shown(reason))
            if not (isinstance(values, list) and values and all(map(fits, values))):
                self.add((*path, reason), KEY_VALUE, RAW_VALUE, key=reason, value=shown(values))


def kind_of(table: Mapping[str, Any], *, is_bit: bool) -> str:
    """What a register or field is: an alert, a word, or a number. A bit without more is a word, off or on."""
    if "alert" in table:
        return "alert"
    return "enumeration" if is_bit or "values" in table else "numeric"


def span_of(field: Mapping[str, Any]) -> tuple[int, int] | None:
    """Lowest and highest bit of a field, if it says so."""
    if "bits" in field:
        return field["bits"][0], field["bits"][1]
    return (field["bit"], field["bit"]) if "bit" in field else None


def field_code(register: Mapping[str, Any], field: Mapping[str, Any], span: tuple[int, int]) -> str:
    """The vendor code of a field: its own, or the register's with the bits behind a point, `1030.4-7`."""
    whole = register.get("code", register["printed"])
    bits = str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"
    return str(field.get("code", f"{whole}.{bits}"))


def shown(value: object) -> str:
    """A value as TOML would write it, cut to what fits into a sentence."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=not value.isprintable())
    elif isinstance(value, list):
        text = f"[{', '.join(map(shown, value[:8]))}]"
    else:
        text = "{ … }" if isinstance(value, dict) else str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _nearest(value: object, rule: Rule) -> str:
    words = rule.words() if isinstance(value, str) and len(value) <= SHOWN else ()
    if SPELLINGS.get(str(value).casefold()) in words:
        return SPELLINGS[str(value).casefold()]
    folded = {word.casefold(): word for word in reversed(words)}
    close = difflib.get_close_matches(str(value).casefold(), folded, n=1)
    return folded[close[0]] if close else ""
