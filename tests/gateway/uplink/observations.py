"""Any observation there can be: strategies made from the structs themselves, so that new kinds and fields are in."""

import string
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st
from msgspec import Struct

from drivers.observation import AnyObservation, ClockTrust, Mark, Numeric, Vendor, Waveform, from_json, to_json

KINDS: tuple[type[AnyObservation], ...] = get_args(AnyObservation)
ODD_NUMBERS = (
    "1E+400",
    "-1E-400",
    "-0.0",
    "0.00",
    "0E+3",
    "0E-12",
    "1.10",
    "-0.5",
    "9" * 40,
    "0." + "1" * 40,
    "1E-7",
)
ODD_TEXTS = (
    "",
    "\0",
    "%05d",
    "é",
    "ضغط",
    "\U0001f9ea",
    "\u2028",
    "097%",
    "0" * 300,
    "99999999999999999999",
    "a\nb",
    '"\\',
)

texts = st.one_of(st.text(max_size=12), st.sampled_from(ODD_TEXTS), st.text(string.printable, max_size=20))
integers = st.one_of(st.integers(-300, 300), st.integers(-(1 << 63), (1 << 63) - 1))
decimals = st.one_of(
    st.sampled_from(ODD_NUMBERS).map(Decimal),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.decimals(-1000, 1000, allow_nan=False, allow_infinity=False, places=2),
)
floats = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 10**9).map(lambda ms: ms / 1000), st.just(-0.0)
)
instants = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z"),
    st.sampled_from(
        ("", "2026-11-24T09:15:02.120Z", "2026-02-30T00:00:00.000Z", "2026-11-24T09:15:02Z", "0000-01-01")
    ),
)
samples = st.lists(st.one_of(st.none(), st.integers(-2000, 2000), integers), max_size=80).map(tuple)


def of(told: Any) -> st.SearchStrategy[Any]:
    """Anything of a type, as far as observations use types."""
    simple = {str: texts, int: integers, float: floats, Decimal: decimals, NoneType: st.none(), bool: st.booleans()}
    if told in simple:
        return simple[told]
    origin, inner = get_origin(told), get_args(told)
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (Union, UnionType):
        return st.one_of(*map(of, inner))
    if origin is tuple:
        return st.lists(of(inner[0]), max_size=5).map(tuple)
    if origin is dict:
        return st.dictionaries(of(inner[0]), of(inner[1]), max_size=4)
    assert issubclass(told, Struct), told
    return any_struct(told)


def any_struct(kind: type[Struct]) -> st.SearchStrategy[Any]:
    """A struct with any of its optional fields left out."""
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    hints = get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        fits = (
            samples
            if field.name == "samples"
            else instants
            if field.name == "at" and kind is not Mark
            else of(hints[field.name])
        )
        (required if field.required else optional)[field.name] = fits
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: kind(**given))


def settle(observation: AnyObservation) -> AnyObservation:
    """As it is once it was JSON: `-0` has no JSON of its own, and what a frame says stands in no observation."""
    return from_json(to_json(msgspec.structs.replace(observation, gateway="", epoch=0, lane=None, seq=0)))


anything = st.one_of(*map(any_struct, KINDS)).map(settle)


@st.composite
def streams(draw: st.DrawFn) -> list[AnyObservation]:
    """What devices really do: the same few stems over and over, at moments, with other values."""
    stems = draw(st.lists(st.one_of(any_struct(Numeric), any_struct(Waveform), anything), min_size=1, max_size=4))
    sources = draw(st.lists(st.tuples(texts, texts), min_size=1, max_size=2))
    forms = draw(st.lists(st.sampled_from(("{}", "{:>6}", "{:0>5}", "{} mmHg", "<{:>7}>", "-", "00FF")), min_size=1))
    found: list[AnyObservation] = []
    at = draw(st.integers(0, 10**12))
    for step in draw(st.lists(st.integers(-10, 4000), max_size=6)):
        at += step
        device, place = draw(st.sampled_from(sources))
        clock = draw(st.sampled_from((None, ClockTrust("ntp", 12, "b", at / 1000 + 1), ClockTrust("none"))))
        text = draw(st.sampled_from(("", f"24/11/26 09:13:{at % 60:02d}", f"{at}")))
        for stem in draw(st.lists(st.sampled_from(stems), max_size=4)):
            changes: dict[str, Any] = {"device": device, "place": place, "clock": clock, "device_time": text}
            changes["at"] = f"2026-11-24T09:15:{at // 1000 % 60:02d}.{at % 1000:03d}Z"
            if isinstance(stem, Numeric) and draw(st.booleans()):
                value = draw(st.one_of(st.decimals(-99, 99, places=1), st.integers(0, 99).map(Decimal), decimals))
                changes |= {"value": value, "vendor": Vendor("V", draw(st.sampled_from(forms)).format(value))}
            if isinstance(stem, Waveform):
                changes |= {"samples": draw(samples), "start": draw(st.integers(0, 500))}
            found.append(settle(msgspec.structs.replace(stem, **changes)))
    return found
