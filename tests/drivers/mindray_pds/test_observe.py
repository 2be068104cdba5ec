"""What the numbers say: units, orders, absences, measurements made once, limits, alarms, unknown rows."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.observation import Alert, Device, Enumeration, Numeric, Vendor
from tests.drivers.mindray_pds.messages import (
    Bench,
    alerts,
    at,
    bench,
    by_code,
    ce,
    message,
    nm,
    profile,
    snapshot,
    values,
    vital,
)

TIME = "20240314094100"


def one(what: str, of: int | str, value: str, tail: str = "", **options: Any) -> tuple[str, str]:
    """One row in a message of its own: digits and reason."""
    made = bench(**options)
    return values(made.rx(message(204, nm(what, of, value, tail))))[what.partition("^")[0]]


def test_the_documents_example() -> None:
    made = bench()
    seen = made.rx(message(204, nm("101^HR", 2101, "60"), nm("105^I", 2101, "-100.00")))
    assert values(seen) == {"101": ("60", "valid"), "105": ("", "missing")}
    hr = by_code(seen)["101"]
    assert isinstance(hr, Numeric)
    assert (hr.metric, hr.unit, hr.category) == ("MDC_ECG_HEART_RATE", "/min", "measurement")


@pytest.mark.parametrize(
    ("code", "metric"),
    [
        ("170", "MDC_PRESS_BLD_NONINV_SYS"),
        ("171", "MDC_PRESS_BLD_NONINV_DIA"),
        ("172", "MDC_PRESS_BLD_NONINV_MEAN"),
        ("174", "MDC_PRESS_BLD_MEAN"),
        ("175", "MDC_PRESS_BLD_SYS"),
        ("176", "MDC_PRESS_BLD_DIA"),
        ("186", "MDC_PRESS_BLD_MEAN"),
        ("187", "MDC_PRESS_BLD_SYS"),
        ("188", "MDC_PRESS_BLD_DIA"),
        ("500", "MDC_PRESS_BLD_ART_SYS"),
        ("501", "MDC_PRESS_BLD_ART_MEAN"),
        ("502", "MDC_PRESS_BLD_ART_DIA"),
        ("503", "MDC_PRESS_BLD_ART_PULM_SYS"),
        ("504", "MDC_PRESS_BLD_ART_PULM_MEAN"),
        ("505", "MDC_PRESS_BLD_ART_PULM_DIA"),
        ("506", "MDC_PRESS_BLD_AORT_SYS"),
        ("507", "MDC_PRESS_BLD_AORT_MEAN"),
        ("508", "MDC_PRESS_BLD_AORT_DIA"),
        ("515", "MDC_PRESS_BLD_ART_FEMORAL_SYS"),
        ("516", "MDC_PRESS_BLD_ART_FEMORAL_MEAN"),
        ("517", "MDC_PRESS_BLD_ART_FEMORAL_DIA"),
        ("605", "MDC_PRESS_BLD_VEN_CENT_MEAN"),
    ],
)
def test_three_orders_of_systolic_diastolic_and_mean(code: str, metric: str) -> None:
    row = profile().by_code[code]
    assert (row.mdc, row.unit) == (metric, "mm[Hg]")


@pytest.mark.parametrize(
    ("what", "of", "value", "found"),
    [
        ("101^HR", 2101, "60", ("60", "valid")),
        ("101^HR", 2101, "0", ("0", "valid")),
        ("162^PI", 2103, "1.20", ("1.20", "valid")),
        ("101^HR", 2101, "-100", ("", "missing")),
        ("101^HR", 2101, "-100.00", ("", "missing")),
        ("101^HR", 2101, "-10", ("", "missing")),
        ("101^HR", 2101, "-10.00", ("", "missing")),
        ("101^HR", 2101, "-11", ("", "out_of_range")),
        ("101^HR", 2101, "-0", ("", "out_of_range")),
        ("101^HR", 2101, "", ("", "missing")),
        ("101^HR", 2101, "06", ("", "not_numeric")),
        ("101^HR", 2101, "6 ", ("", "not_numeric")),
        ("101^HR", 2101, "6e1", ("", "not_numeric")),
        ("101^HR", 2101, "+60", ("", "not_numeric")),
        ("101^HR", 2101, "NaN", ("", "not_numeric")),
        ("101^HR", 2101, "٦٠", ("", "not_numeric")),
        ("106^ST-II", 2101, "-0.12", ("-0.12", "valid")),
        ("106^II", 2101, "2.00", ("2.00", "valid")),
        ("106^II", 2101, "-2.01", ("", "out_of_range")),
        ("106^II", 2101, "-10", ("", "missing")),
        ("106^II", 2101, "-100.00", ("", "missing")),
        ("500^ART-Sys", 2116, "-10", ("-10", "valid")),
        ("500^ART-Sys", 2116, "-50", ("-50", "valid")),
        ("500^ART-Sys", 2116, "-51", ("", "out_of_range")),
        ("500^ART-Sys", 2116, "-100", ("", "missing")),
        ("605^CVP", "", "-2", ("-2", "valid")),
        ("101^Herzfrequenz", 2101, "60", ("60", "valid")),
        ("101", 2101, "60", ("60", "valid")),
        ("101^HR", "", "60", ("60", "valid")),
        ("101^HR", 2103, "60", ("", "module")),
        ("161^SpO2", 2103, "98", ("", "name")),
        ("500^ART-Mean", 2116, "93", ("", "name")),
        ("600^T1", 2104, "36.8", ("", "name")),
        ("200^Temp", 2104, "36.8", ("36.8", "valid")),
    ],
)
def test_a_value_or_the_reason_why_there_is_none(
    what: str, of: int | str, value: str, found: tuple[str, str]
) -> None:
    assert one(what, of, value) == found


def test_twice_in_a_message_another_type_another_unit() -> None:
    made = bench()
    seen = made.rx(message(204, nm("101^HR", 2101, "60"), nm("101^HR", 2101, "61"), nm("160^SpO2", 2103, "97")))
    assert values(seen) == {"101": ("", "duplicate"), "160": ("97", "valid")}
    assert values(made.rx(message(204, ce("101^HR", 2101, "60"))))["101"] == ("", "type")
    assert values(made.rx(message(204, "OBX||NM|101^HR|2101|60|/s|||||F")))["101"] == ("", "unit")
    assert values(made.rx(message(204, "OBX||NM|101^HR|2101|60|/min|||||F")))["101"] == ("60", "valid")
    assert made.reasons() == ["contradiction"] * 4


def test_the_monitors_own_list_clears_module_and_name() -> None:
    made = bench()
    made.rx(message(11, ce("2023^", "", "2119^SpO2"), ce("2025^", 2119, "161^SpO2"), ce("2025^", 2119, "9999^New")))
    assert values(made.rx(message(204, nm("161^SpO2", 2119, "61"))))["161"] == ("61", "valid")
    made.start()
    assert values(made.rx(message(204, nm("161^SpO2", 2119, "61"))))["161"] == ("", "module")


def test_nibp_without_its_time_is_questionable_and_said_once() -> None:
    """Its row may say PERIODIC or nothing: it is a measurement of some time ago all the same."""
    made = bench()
    for tail in ("", "||PERIODIC|", "||APERIODIC|"):
        seen = made.rx(message(204, nm("101^HR", 2101, "60"), nm("170^Sys", 2105, "120", tail)), 1.0)
        first = {} if tail else {"170": ("120", "no_time")}
        assert values(seen) == {"101": ("60", "valid"), **first}
    assert values(made.rx(message(204, nm("170^Sys", 2105, "121", f"|||{TIME}")))) == {"170": ("121", "valid")}
    assert values(made.rx(message(204, nm("170^Sys", 2105, "121")))) == {}, "the last one, now without its time"
    assert values(made.rx(message(204, nm("170^Sys", 2105, "121", f"|||{TIME}")))) == {}
    alone = bench()
    alone.rx(message(204, nm("170^Sys", 2105, "120")))
    assert {o.operating for o in alone.seen if isinstance(o, Device)} == {"unknown"}


def test_a_measurement_is_published_once_with_its_own_time() -> None:
    made = bench()
    rows = (nm("170^Sys", 2105, "120", at(TIME)), nm("171^Dia", 2105, "80", at(TIME)))
    seen = made.rx(message(503, *rows))
    assert values(seen) == {"170": ("120", "valid"), "171": ("80", "valid")}
    assert {o.device_time for o in seen if isinstance(o, Numeric)} == {TIME}
    assert made.rx(message(503, *rows)) == []
    made.start()
    assert values(made.rx(message(503, *rows))) == {}, "a connection that came back tells the same measurement"
    later = nm("170^Sys", 2105, "120", at("20240314094600"))
    assert values(made.rx(message(503, later))) == {"170": ("120", "valid")}


def test_a_measurement_that_was_not_made() -> None:
    made = bench()
    none = message(503, nm("170^Sys", 2105, "-100", at("0" * 14)), nm("171^Dia", 2105, "80", at("0" * 14)))
    seen = made.rx(none)
    assert values(seen) == {"170": ("", "missing"), "171": ("", "missing")}
    assert {o.device_time for o in seen if isinstance(o, Numeric)} == {""}
    assert made.rx(none) == []
    seen = made.rx(message(503, nm("170^Sys", 2105, "120", "||APERIODIC|")))
    assert values(seen) == {"170": ("120", "no_time")}


def test_a_measurement_is_not_withdrawn_by_silence() -> None:
    made = bench()
    made.rx(vital() + message(503, nm("170^Sys", 2105, "120", at(TIME))))
    for _n in range(20):
        made.rx(message(106), 1.0)
    assert values(made.seen)["170"] == ("120", "valid")
    assert values(made.seen)["101"] == ("", "silence")


def limits(*rows: tuple[int, int, str]) -> bytes:
    """Kind 51."""
    return message(51, *(nm(f"{what}^", of, value) for what, of, value in rows))


def test_limits_confirm_each_other() -> None:
    made = bench()
    seen = made.rx(limits((2002, 101, "120"), (2003, 101, "50")))
    assert values(seen) == {"2002.101": ("120", "valid"), "2003.101": ("50", "valid")}
    assert {o.category for o in seen if isinstance(o, Numeric)} == {"setting"}
    assert made.rx(limits((2002, 101, "120"), (2003, 101, "50"))) == []
    assert values(made.rx(limits((2002, 101, "120"), (2003, 101, "50")), 60.0)).keys() == {"2002.101", "2003.101"}


@pytest.mark.parametrize(
    "rows",
    [
        ((2002, 101, "120"),),
        ((2002, 101, "120"), (2003, 160, "90")),
        ((2002, 101, "50"), (2003, 101, "120")),
        ((2002, 101, "120"), (2002, 101, "121"), (2003, 101, "50")),
    ],
)
def test_a_limit_alone_is_confirmed_when_it_comes_again(rows: tuple[tuple[int, int, str], ...]) -> None:
    made = bench()
    first = values(made.rx(limits(*rows)))
    assert first["2002.101"][1] == "unconfirmed"
    if len(rows) < 3:
        second = values(made.rx(limits(*rows)))
        assert second["2002.101"] == (rows[0][2], "valid")
        assert values(made.rx(limits(*rows))).get("2002.101") is None


def test_a_limit_that_is_no_number_and_one_of_an_unknown_parameter() -> None:
    made = bench()
    seen = made.rx(limits((2002, 101, "120"), (2003, 101, "-100"), (2002, 999, "7"), (2009, 101, "8")))
    assert values(seen) == {
        "2002.101": ("120", "valid"),
        "2003.101": ("", "missing"),
        "2002.999": ("", "unit_unknown"),
        "2009.101": ("", "unit_unknown"),
    }
    assert values(made.rx(message(51, ce("2002^", 101, "1^x")))) == {"2002.101": ("", "unknown_code")}


def test_limits_have_the_unit_of_what_they_limit() -> None:
    for row in profile().metric:
        kind, _, code = row.code.partition(".")
        if code:
            assert kind in ("2002", "2003")
            assert row.category == "setting"
            assert row.unit == profile().by_code[code].unit
            assert row.extra.get("sign") == profile().by_code[code].extra.get("sign")


@pytest.mark.parametrize(
    ("level", "priority", "validity"),
    [
        ("1", "high", "valid"),
        ("2", "medium", "valid"),
        ("3", "low", "valid"),
        ("4", "none", "valid"),
        ("5", "unknown", "questionable"),
    ],
)
@pytest.mark.parametrize("text", ["***HR TOO LOW", "LOW", "心率过低", ""])
def test_the_level_is_the_priority_and_the_text_never(level: str, priority: str, validity: str, text: str) -> None:
    made = bench()
    seen = [o for o in made.rx(message(54, ce(level, 1, f"10002^{text}"))) if isinstance(o, Alert)]
    assert [(o.priority, o.vendor_priority, o.validity, o.alert) for o in seen] == [
        (priority, level, validity, "physiological"),
    ]


def test_alarms_go_on_once_change_and_end() -> None:
    made = bench()
    both = message(54, ce("1", 1, "10002^A"), ce("3", 1, "10033^B"))
    assert alerts(made.rx(both)) == [("10002", "on", "high", "1"), ("10033", "on", "low", "3")]
    assert made.rx(both) == []
    assert made.rx(message(56)) == []
    assert alerts(made.rx(message(54, ce("2", 1, "10002^A"), ce("3", 1, "10033^B")))) == [
        ("10002", "on", "medium", "2"),
    ]
    assert alerts(made.rx(message(56, ce("4", "", "205^C")))) == [("205", "on", "none", "4")]
    assert alerts(made.rx(message(54))) == [("10002", "off", "medium", "2"), ("10033", "off", "low", "3")]
    assert alerts(made.rx(message(56))) == [("205", "off", "none", "4")]


def test_alarms_end_also_after_a_new_connection() -> None:
    made = bench()
    made.rx(message(54, ce("1", 1, "10002^A")))
    made.start()
    assert alerts(made.rx(message(54))) == [("10002", "off", "high", "1")]


def test_alarms_time_text_and_doubles() -> None:
    made = bench()
    rows = (ce("3", 1, "10002^low"), ce("1", 2, r"10002^a\T\b" + "x" * 200, f"|||{TIME}"), ce("1", 1, "no code"))
    (seen,) = (o for o in made.rx(message(54, *rows)) if isinstance(o, Alert))
    assert (seen.priority, seen.device_time) == ("high", TIME)
    assert seen.vendor is not None
    assert seen.vendor.text == "a&b" + "x" * 77
    assert made.reasons() == ["alarm"]
    assert made.rx(message(54, *reversed(rows))) == []


def test_rows_among_the_alarms_that_are_none() -> None:
    """Seen from a monitor: 2040 beside physiological alarms, 2041 beside technical ones."""
    made = bench()
    rows = (ce("2", 1, "10076^**T1 Too Low", f"|||{TIME}"), ce("2040^", "", "0^"))
    seen = made.rx(message(54, *rows))
    assert alerts(seen) == [("10076", "on", "medium", "2")]
    (state,) = (o for o in seen if isinstance(o, Enumeration))
    assert state.vendor == Vendor("2040", "0^")
    assert (state.value, state.reason, state.category) == (None, "unknown_code", "setting")
    assert made.rx(message(54, *rows)) == []
    assert alerts(made.rx(message(54, ce("2040^", "", "1^On")))) == [("10076", "off", "medium", "2")]
    seen = made.rx(message(56, ce("4", "", "5^ECG Lead Off"), *[ce("2041^", 101, "0^")] * 2))
    assert alerts(seen) == [("5", "on", "none", "4")]
    assert [o.vendor.code for o in seen if isinstance(o, Enumeration) and o.vendor] == ["2041.101"]
    assert made.reasons() == ["unknown_parameter"] * 2


def test_alarms_end_when_another_device_answers() -> None:
    made = bench()
    made.rx(message(54, ce("1", 1, "10002^A")) + message(56, ce("4", "", "5^B")))
    seen = [o for o in made.rx(message(204, version="2.6") * 2) if isinstance(o, Alert)]
    assert [(o.presence, o.validity, o.reason) for o in seen] == [("off", "not_available", "wrong_device")] * 2
    assert alerts(made.rx(message(54, ce("1", 1, "10002^A")))) == [("10002", "on", "high", "1")]


def test_no_more_alarms_than_can_be_kept() -> None:
    made = bench()
    seen = made.rx(message(54, *(ce("1", 1, f"{10000 + n}^A") for n in range(200))))
    assert len(alerts(seen)) == 128
    assert made.reasons() == ["alarm"] * 72


@pytest.mark.parametrize(
    ("encoding", "data", "text"),
    [
        ("", "é".encode(), "é"),
        ("", b"\xe9", "é"),
        ("gbk", "心率".encode("gbk"), "心率"),
        ("utf-8", b"\xff!", "\ufffd!"),
    ],
)
def test_texts_of_alarms_in_their_encoding(encoding: str, data: bytes, text: str) -> None:
    made = bench(encoding=encoding)
    (seen,) = (o for o in made.rx(message(54, ce("1", 1, "10002^@")).replace(b"@", data)) if isinstance(o, Alert))
    assert seen.vendor is not None
    assert seen.vendor.text == text


def test_modules_are_the_devices_identity() -> None:
    made = bench()
    made.rx(message(11, ce("2023^", "", "2103^SpO2"), ce("2025^", 2103, "160^SpO2"), ce("2023^", "", "odd")))
    seen = made.rx(message(11, ce("2023^", "", "2101^ECG")))
    assert [o.identity for o in seen if isinstance(o, Device)] == [{"modules": "2101 ECG, 2103 SpO2"}]
    assert made.rx(message(11, ce("2023^", "", "2101^ECG"))) == []
    assert made.reasons() == ["module"]
    assert made.rx(message(11)) == []
    fresh = bench()
    assert [o.identity for o in fresh.rx(message(11)) if isinstance(o, Device)] == [{}]


def test_unknown_rows_are_published_as_sent() -> None:
    made = bench()
    rows = (nm("999^New", 2199, "12.50"), ce("1025^Mode", 2200, "3^SIMV"), nm("998^Odd", 2199, "x"))
    seen = by_code(made.rx(message(204, *rows)))
    assert {c: (o.vendor.text, o.value, o.reason) for c, o in seen.items() if o.vendor} == {
        "999": ("12.50", None, "unit_unknown"),
        "1025": ("3^SIMV", None, "unknown_code"),
    }
    assert made.reasons() == ["unknown_parameter"] * 3
    assert made.rx(message(204, *rows)) == []
    assert made.reasons() == ["unknown_parameter"], "what is never published is counted each time"


@pytest.mark.parametrize("kind", [53, 58, 205])
def test_levels_and_settings_are_published_as_sent(kind: int) -> None:
    made = bench()
    seen = by_code(made.rx(message(kind, ce("2037^", 101, "3^"), nm("2038^", "", "7"))))
    assert isinstance(seen["2037.101"], Enumeration)
    assert {c: (o.vendor.text, o.category) for c, o in seen.items() if o.vendor} == {
        "2037.101": ("3^", "setting"),
        "2038": ("7", "setting"),
    }


def test_a_row_of_parameter_0_does_not_spoil_its_message() -> None:
    made = bench()
    seen = made.rx(
        message(204, nm("0^RR", 0, "20"), nm("160^SpO2", 2103, "98")) + message(205, ce("2037^", "", "3^"))
    )
    assert values(seen) == {
        "0": ("", "unit_unknown"),
        "160": ("98", "valid"),
        "2037": ("", "unknown_code"),
    }


def test_no_more_unknown_rows_than_can_be_kept() -> None:
    made = bench()
    seen = made.rx(message(204, *(nm(f"{3000 + n}", "", "1") for n in range(300))))
    assert len(by_code(seen)) == 256


def test_a_snapshot_is_read_for_one_bed() -> None:
    made = bench(bed="192.168.8.188")
    assert values(made.rx(snapshot("ICU&7", "60"))) == {"101": ("60", "valid")}
    assert made.rx(snapshot("ICU&8", "99")) == []
    assert values(made.rx(snapshot("ICU&7", "61"))) == {"101": ("61", "valid")}
    assert "other_bed" in made.reasons()
    assert values(made.rx(snapshot("ICU&8", "98"))) == {"101": ("", "other_bed")}
    assert made.rx(snapshot("ICU&7", "62")) == []
    assert made.rx(snapshot("ICU&8", "98")) == []
    made.start()
    assert values(made.rx(snapshot("ICU&8", "99"))) == {"101": ("99", "valid")}


def test_one_module_that_is_pulled_out() -> None:
    made = bench()
    made.rx(vital())
    for n in range(15):
        made.rx(message(204, nm("101^HR", 2101, str(60 + n))), 1.0)
    found = values(made.seen)
    assert found["160"] == ("", "silence")
    assert {o.reason for o in made.seen if isinstance(o, Numeric) and o.vendor and o.vendor.code == "101"} == {""}
    assert found["101"] == ("74", "valid")
    assert made.reasons() == []


@given(text=st.text(st.characters(whitelist_categories=("Nd", "Po", "Pd", "Lu")), max_size=9))
def test_a_valid_value_is_the_number_that_was_sent(text: str) -> None:
    made: Bench = bench()
    row = nm("500^ART-Sys", 2116, text.replace("|", "").replace("\\", ""))
    for seen in made.rx(message(204, row)):
        if isinstance(seen, Numeric) and seen.value is not None:
            assert seen.vendor is not None
            assert str(seen.value) == seen.vendor.text
            assert seen.value >= Decimal(-50)
