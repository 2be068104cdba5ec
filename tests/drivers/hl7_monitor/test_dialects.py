"""What a result becomes by the dialect's table, and what it becomes without a row."""

from decimal import Decimal
from typing import cast

import pytest
import tomli

from drivers import catalog
from drivers.contract import StreamDriver
from drivers.observation import Device
from tests.drivers.hl7_monitor.made import (
    BPM,
    HEART_RATE,
    Caller,
    calling,
    heart_rate,
    listening,
    obx,
    only,
    oru,
    raw,
    settled,
)
from tests.drivers.masimo_ascii.port import values

GENERIC, MDC = catalog.profile("hl7_monitor", "generic"), catalog.profile("hl7_monitor", "mdc")

WORDS = [
    ({"value": "72"}, "72", "valid"),
    ({"value": "36.50"}, "36.50", "valid"),
    ({"value": "-5"}, "-5", "valid"),
    ({"value": ""}, "", "missing"),
    ({"value": '""'}, "", "missing"),
    ({"value": "--"}, "", "not_numeric"),
    ({"value": "DOE"}, "", "not_numeric"),
    ({"value": "7 2"}, "", "not_numeric"),
    ({"value": "1e3"}, "", "not_numeric"),
    ({"value": "72", "status": "R"}, "72", "valid"),
    ({"value": "72", "status": "C"}, "72", "valid"),
    ({"value": "72", "status": "P"}, "72", "ongoing"),
    *(({"value": "72", "status": status}, "", "not_obtained") for status in "INOSUX"),
    *(({"value": "72", "status": status}, "", "withdrawn") for status in "DW"),
    ({"value": "200", "flags": "H~A"}, "200", "valid"),
    ({"value": "72", "flags": "INV"}, "72", "flagged"),
    ({"value": "72", "flags": "H~TEST"}, "72", "flagged"),
    ({"value": "72", "unit": "/min^/min^UCUM"}, "72", "valid"),
    ({"value": "72", "unit": ""}, "", "unit_unknown"),
    ({"value": "72", "unit": "264865^MDC_DIM_BEAT_PER_MIN^MDC"}, "", "unit_unknown"),
    ({"value": "72", "kind": "SN"}, "", "unknown_code"),
]


@pytest.mark.parametrize(("how", "value", "why"), WORDS)
def test_values_of_a_row(how: dict[str, str], value: str, why: str) -> None:
    made = settled()
    seen = made.rx(oru(heart_rate(**how)))
    assert only(seen) == (value, why)
    assert "DOE" not in repr(seen)


@pytest.mark.parametrize("code", ["147842^MDC_ECG^MDC", "147842", "147843^MDC_ECG_HEART_RATE^MDC"])
def test_code_and_name_must_agree(code: str) -> None:
    assert only(listening("mdc").rx(oru(obx(code, "72", unit=BPM)))) == ("", "unit_unknown")


def test_a_value_needs_two_messages_that_agree_on_its_place() -> None:
    made = listening("mdc")

    def sub(sub_id: str) -> str:
        return only(made.rx(oru(heart_rate("72", sub=sub_id))))[1]

    assert [sub(s) for s in ("1", "1", "2", "1", "2", "2")] == [
        "unconfirmed",
        "valid",
        "unconfirmed",
        "unconfirmed",
        "unconfirmed",
        "valid",
    ]
    made.rx(oru(heart_rate("60", sub="1"), heart_rate("90", sub="2")))
    assert sub("2") == "unit_unknown"
    made.take(made.driver.start(made.now))
    assert sub("2") == "unconfirmed"


def test_a_slow_sender_is_confirmed_all_the_same() -> None:
    made = settled()
    assert only(made.rx(oru(heart_rate("60")), 3600.0)) == ("60", "valid")
    assert [o.connection for o in made.seen if isinstance(o, Device)][-2:] == ["stale", "connected"]
    assert only(made.rx(oru(heart_rate("60"), bed="ICU^^BED8"), 3600.0)) == ("60", "unconfirmed")


def test_an_unconfirmed_spot_measurement_is_said_again() -> None:
    made = listening("mdc")
    message = oru(heart_rate("60", time="20261125075500"))
    assert [values(made.rx(message)) for _n in range(3)] == [
        [("147842", "60", "unconfirmed")],
        [("147842", "60", "valid")],
        [],
    ]


def test_a_code_that_stands_twice_is_two_measurements() -> None:
    made = listening("mdc")
    both = raw(made.rx(oru(heart_rate("60", sub="1.1"), heart_rate("90", sub="1.2"))))
    assert both == {"147842@1.1": f"60 {BPM}", "147842@1.2": f"90 {BPM}"}


def test_raw_texts() -> None:
    made = listening()
    seen = made.rx(
        oru(
            obx("A", "5", unit="mV"),
            obx("B", "^1^:^2", kind="SN"),
            obx("C", "AC^Assist^L", kind="CWE"),
            obx("D", "", unit="mV"),
            obx("E", "DOE"),
            obx("F", "1" * 200),
            obx("G", "1", unit="u" * 200),
        )
    )
    assert raw(seen) == {"A": "5 mV", "B": "^1^:^2", "C": "AC^Assist^L", "D": " mV", "E": ""}
    assert dict((code, why) for code, _v, why in values(seen)) == {
        "A": "unit_unknown",
        "B": "unknown_code",
        "C": "unknown_code",
        "D": "missing",
        "E": "unit_unknown",
    }
    assert [(f.reason, f.detail) for f in made.faults] == [("long_text", "2")]


SITE = """
vendor = "a site"
models = ["gateway"]
tier = "sketch"
options = { invalid = ["-100", "-100.00"] }
metric = [
  { code = "101", name = "heart_rate", unit = "/min", extra = { units = [""] } },
  { code = "200", name = "temp", unit = "Cel", extra = { units = ["C", "degC"], invalid = ["0.0"] } },
  { code = "500@2116", name = "art_sys", unit = "mm[Hg]", extra = { units = ["", "mmHg"] } },
  { code = "FREE", unit = "mV", en = "Something" },
]
"""


def _site(**options: object) -> Caller:
    table = tomli.loads(SITE, parse_float=Decimal)
    profile = catalog.read_profile("site", "hl7_monitor", GENERIC.protocol, table)
    return calling(cast(StreamDriver, catalog.create(profile, options)))


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        (obx("101^HR", "60", sub="2101"), ("101", "60", "valid")),
        (obx("101^HR", "-100", sub="2101"), ("101", "", "missing")),
        (obx("101^HR", "60", unit="bpm"), ("101", "", "unit_unknown")),
        (obx("200^T", "36.6", unit="degC"), ("200", "36.6", "valid")),
        (obx("200^T", "0.0", unit="C"), ("200", "", "missing")),
        (obx("200^T", "97.9", unit="F"), ("200", "", "unit_unknown")),
        (obx("500^ART-Sys", "120", sub="2116"), ("500@2116", "120", "valid")),
        (obx("500^ART-Sys", "120", sub="2117"), ("500@2117", "", "unit_unknown")),
        (obx("FREE", "1", unit="mV"), ("FREE", "", "unit_unknown")),
    ],
)
def test_a_dialect_is_a_table(segment: str, expected: tuple[str, str, str]) -> None:
    made = _site()
    made.rx(oru(segment))
    made.rx(oru(segment))
    assert values(made.seen)[-1] == expected


def test_a_single_invalid_text() -> None:
    assert values(_site(invalid="-10").rx(oru(obx("101", "-10")))) == [("101", "", "missing")]


def test_every_row_has_its_name_and_unit_from_the_code_table() -> None:
    for metric in MDC.metric:
        assert metric.term
        assert (str(metric.term.code), metric.term.ucum) == (metric.code, metric.unit)
        assert metric.term.unit_code
        assert metric.mdc.startswith("MDC_")
    assert HEART_RATE.startswith(MDC.by_code["147842"].code)
