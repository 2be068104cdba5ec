"""Keys and values of any table against a struct, without stopping at the first mistake."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec import inspect as shape
from msgspec.structs import FieldInfo

from gateway.config.places import Path, Places
from gateway.config.problem import BadValue, Problem, Sentence, listed, nearest_of, say, shown
from gateway.language import N_

UNKNOWN_KEY = N_("unknown key {key} in {where}")
KEYS_HERE = N_("one of the keys {keys}")
MISSING_KEY = N_("missing key {key} in {where}")
MISSING_TABLE = N_("there is no table [{key}]")
WRONG_VALUE = N_("{key} = {value} in {where} cannot be used")
NOT_A_TABLE = N_("{key} = {value} stands where a table must be")
A_TABLE = N_("the line [{key}], and its keys on the lines after it")
THE_FILE = N_("the file")

TRUE_OR_FALSE = N_("true or false, without quotation marks")
WHOLE_NUMBER = N_("a whole number, without quotation marks")
WHOLE_NUMBER_BETWEEN = N_("a whole number from {low} to {high}, without quotation marks")
NUMBER = N_("a number, without quotation marks")
TEXT = N_("text between quotation marks")
ONE_OF = N_("one of {values}")
LIST = N_("a list between square brackets, each of them {each}")
TABLE = N_("a table: key = value, between braces")
EITHER = N_("{one}, or {other}")

LATER: dict[Path, str] = {
    ("privacy",): N_("[privacy] is not in this version of Jisr"),
}
"""Keys that the design has and this version has not: refused with a sentence of their own, never passed over."""
LEAVE_OUT = N_("take the key out")


class Checker:
    """Collects what is wrong in one file."""

    def __init__(self, file: str, places: Places) -> None:
        self.file, self.places = file, places
        self.problems: list[Problem] = []
        self.misspelt: set[Path] = set()
        """Keys that an unknown one seems to mean: told once, as a spelling, and not as missing too."""

    def add(self, path: Path, found: Sentence, expected: Sentence | None = None, nearest: str = "") -> None:
        """A mistake at this key."""
        self.problems.append(Problem.of(self.file, self.places.line(path), found, expected, nearest))

    def refuse(self, path: Path, bad: BadValue) -> None:
        """A mistake that a grammar has found."""
        self.add(path, say(bad.sentence, **bad.facts), bad.right, bad.nearest)

    def missing(self, path: Path, where: str, expected: Sentence) -> None:
        """A key that must be there; shown where its table begins."""
        if path not in self.misspelt:
            self.add(path[:-1], say(MISSING_KEY, key=shown(path[-1]), where=where), expected)

    def misspelt_in(self, path: Path) -> set[str | int]:
        """The keys of one table that an unknown key seems to mean."""
        return {key for *above, key in self.misspelt if tuple(above) == path}

    def table(
        self, raw: Mapping[str, Any], kind: type[Struct], path: Path, where: str, given: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Check one table and those inside it; returns what was right in it. `given`: keys set elsewhere."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        good: dict[str, Any] = {}
        for key, value in raw.items():
            here = (*path, key)
            if self._is_later(here):
                continue
            if key not in fields:
                self._unknown(here, where or say(THE_FILE), fields)
            elif isinstance(fields[key].type, type) and issubclass(fields[key].type, Struct):
                self._inner(good, here, value, fields[key].type, where)
            else:
                self._value(good, here, value, fields[key], where)
        for key, field in fields.items():
            if field.required and key not in raw and key not in given:
                if where:
                    self.missing((*path, key), where, right_for(field.type))
                elif (key,) not in self.misspelt:
                    self.add((), say(MISSING_TABLE, key=key), say(A_TABLE, key=key))
        return good

    def _is_later(self, path: Path) -> bool:
        sentence = LATER.get(path)
        if sentence:
            self.add(path, say(sentence), say(LEAVE_OUT))
        return bool(sentence)

    def _unknown(self, path: Path, where: str | Sentence, known: Iterable[str]) -> None:
        nearest = nearest_of(path[-1], known)
        self.misspelt.add((*path[:-1], nearest))
        expected = None if nearest else say(KEYS_HERE, keys=listed(known))
        self.add(path, say(UNKNOWN_KEY, key=shown(path[-1]), where=where), expected, nearest)

    def _inner(self, good: dict[str, Any], path: Path, value: object, kind: type[Struct], where: str) -> None:
        key = str(path[-1])
        if isinstance(value, dict):
            good[key] = self.table(value, kind, path, f"{where} {key}" if where else f"[{key}]")
        else:
            right = say(TABLE) if where else say(A_TABLE, key=key)
            self.add(path, say(NOT_A_TABLE, key=key, value=shown(value)), right)

    def _value(self, good: dict[str, Any], path: Path, value: object, field: FieldInfo, where: str) -> None:
        key = str(path[-1])
        try:
            good[key] = msgspec.convert(value, field.type)
        except msgspec.ValidationError:
            found = say(WRONG_VALUE, key=key, value=shown(value), where=where)
            words = [word for word in _words(field.type) if isinstance(word, str) and word]
            nearest = nearest_of(value, words)
            self.add(path, found, right_for(field.type), nearest)


def right_for(annotation: Any) -> Sentence:
    """What a key may hold, in words: its own description, or one made from its type."""
    if get_origin(annotation) is Annotated:
        for meta in get_args(annotation)[1:]:
            if isinstance(meta, Meta) and meta.description:
                return say(meta.description)
    return _describe(shape.type_info(annotation))


def _words(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return _words(get_args(annotation)[0])
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _describe(kind: shape.Type) -> Sentence:
    match kind:
        case shape.Metadata():
            return _describe(kind.type)
        case shape.BoolType():
            return say(TRUE_OR_FALSE)
        case shape.IntType(ge=int(low), le=int(high)):
            return say(WHOLE_NUMBER_BETWEEN, low=low, high=high)
        case shape.IntType():
            return say(WHOLE_NUMBER)
        case shape.FloatType() | shape.DecimalType():
            return say(NUMBER)
        case shape.LiteralType():
            return say(ONE_OF, values=listed(shown(value) for value in kind.values))
        case shape.ListType() | shape.VarTupleType() | shape.SetType() | shape.FrozenSetType():
            return say(LIST, each=_describe(kind.item_type))
        case shape.UnionType():
            return _either([_describe(each) for each in kind.types if not isinstance(each, shape.NoneType)])
        case shape.DictType() | shape.StructType():
            return say(TABLE)
        case _:
            return say(TEXT)


def _either(words: list[Sentence]) -> Sentence:
    joined = words[0]
    for word in words[1:]:
        joined = say(EITHER, one=joined, other=word)
    return joined
