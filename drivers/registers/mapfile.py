"""A map file as a profile: `[[register]]` blocks become metrics with a place. Written for people in MAPS.md."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from drivers.profile import Metric, ModemLines, Profile
from drivers.registers.mapcheck import BadMap, check_map, field_code, kind_of, span_of
from drivers.registers.maprules import UNKNOWN_UNIT
from drivers.registers.points import BIT_TABLES, WIDE, Source
from drivers.registers.tomlnumbers import parse

POLL_S = 10.0
OFF_ON = {"0": "off", "1": "on"}
ENGINE = ("unit", "bridge", "max_registers", "max_coils")
"""Keys of the file that are the engine's options: the configuration may say otherwise."""
OF_METRIC = ("name", "category", "step", "low", "high", "en", "fr")


def read_map(text: str) -> Profile:
    """The profile of a map file, without name, driver and protocol. Raises `BadMap` with every problem."""
    problems = check_map(text)
    if problems:
        raise BadMap(problems)
    document = parse(text)
    return Profile(
        vendor=document["vendor"],
        models=tuple(document["models"]),
        tier=document.get("tier", "sketch"),
        firmware=tuple(document.get("firmware", ())),
        line=document.get("line", ""),
        modem=msgspec.convert(document.get("modem", {}), ModemLines),
        metric=tuple(_metrics(document)),
        options={key: document[key] for key in ENGINE if key in document},
    )


def _metrics(document: Mapping[str, Any]) -> Iterator[Metric]:
    for register in document["register"]:
        if register["type"] == "bits":
            for field in register["field"]:
                span = span_of(field)
                assert span is not None  # noqa: S101 - check_map
                yield _metric(document, register, field, field_code(register, field, span), span)
        else:
            bit = register.get("bit")
            span = None if bit is None else (bit, bit)
            yield _metric(document, register, register, str(register.get("code", register["printed"])), span)


def _metric(
    document: Mapping[str, Any],
    register: Mapping[str, Any],
    own: Mapping[str, Any],
    code: str,
    span: tuple[int, int] | None,
) -> Metric:
    """One metric; `own` is the field where the register has fields, else the register itself."""
    is_bit = register["type"] == "bit" or "bit" in own
    kind = kind_of(own, is_bit=is_bit)
    unit = own.get("unit", "")
    facts = {key: own[key] for key in OF_METRIC if key in own}
    values = own.get("values", OFF_ON if kind == "enumeration" else {})
    return msgspec.convert(
        {
            **facts,
            "code": code,
            "kind": kind,
            "unit": "" if unit == UNKNOWN_UNIT else unit,
            "values": values,
            "extra": {"source": _source(document, register, own, span)},
        },
        Metric,
    )


def _source(
    document: Mapping[str, Any],
    register: Mapping[str, Any],
    own: Mapping[str, Any],
    span: tuple[int, int] | None,
) -> Source:
    return Source(
        table=register["table"],
        address=register["address"],
        type=register["type"],
        poll_s=float(register.get("poll_s", document.get("poll_s", POLL_S))),
        word_order=register.get("word_order", document.get("word_order", "high_first")),
        scale=Decimal(register.get("scale", 1)),
        sentinels=_sentinels(document, register),
        zero=register.get("zero", "value"),
        bits=span,
        alert=own.get("alert", ""),
        priority=own.get("priority", "unknown"),
    )


def _sentinels(document: Mapping[str, Any], register: Mapping[str, Any]) -> dict[int, str]:
    """The register's own, else the file's for this type; a negative raw value by its two's complement."""
    if register["table"] in BIT_TABLES:
        return {}
    kind = register["type"]
    tables = document.get("sentinels", {})
    table: Mapping[str, list[int]] = register.get("sentinels", tables.get(kind, {}))
    mask = 0xFFFFFFFF if kind in WIDE else 0xFFFF
    return {value & mask: reason for reason, values in table.items() for value in values}
