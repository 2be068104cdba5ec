"""Reports in, observations out; what is asked and when; who is refused; what can be sent at all."""

import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contract import StreamDriver
from drivers.observation import Alert, Device, Enumeration, Numeric
from tests.contract.play import Said, busiest_minute, is_allowed, wake_until
from tests.drivers.respironics_v60.test_reports import misca, vrpt

PROFILES = {name: catalog.profile("respironics_v60", name) for name in ("v60", "v200")}
ASKED = {"v60": b"VRPT\r", "v200": b"SNDA\r"}


def driver(name: str = "v60", **options: Any) -> StreamDriver:
    made = catalog.create(PROFILES[name], options)
    made.start(0.0)
    return made  # type: ignore[return-value]


def read(*reports: bytes, name: str = "v60") -> Said:
    made, said = driver(name), Said()
    for at, report in enumerate(reports):
        said.take(made.receive(report, at * 2.0), at * 2.0)
    return said


def value(said: Said, code: str) -> tuple[str, str, str]:
    """Value, reason and text of the last observation of a code."""
    for seen in reversed(said.values):
        if seen.vendor and seen.vendor.code == code and isinstance(seen, Numeric | Enumeration):
            return str(seen.value), seen.reason, seen.vendor.text.rstrip()
    raise AssertionError(code)


NUMBERS = [
    ("f77", "0.482", "VRPT.77", ("0.482", "", "0.482")),
    ("f77", "1.2", "VRPT.77", ("1.2", "", "1.2")),
    ("f77", "-0.1", "VRPT.77", ("-0.1", "", "-0.1")),
    ("f77", "", "VRPT.77", ("None", "missing", "")),
    ("f77", "----", "VRPT.77", ("None", "missing", "----")),
    ("f77", "1,2", "VRPT.77", None),
    ("f77", "1", "VRPT.77", ("None", "not_numeric", "1")),
    ("f87", "0", "VRPT.87", ("None", "not_numeric", "0")),
    ("f87", "0", "VRPT.85", ("None", "inconsistent", "86")),
    ("f85", "", "VRPT.87", ("None", "inconsistent", "0.33")),
    ("f85", "0", "VRPT.85", ("0", "", "0")),
    ("f77", "1 2", "VRPT.77", ("None", "not_numeric", "1 2")),
    ("f77", ".5", "VRPT.77", ("None", "not_numeric", ".5")),
    ("f77", "1e3", "VRPT.77", ("None", "not_numeric", "1e3")),
    ("f85", "86", "VRPT.85", ("86", "", "86")),
    ("f87", "0.33", "VRPT.87", ("0.33", "", "0.33")),
    ("f73", "15.2", "VRPT.73", ("None", "unit_unknown", "15.2")),
    ("f53", "PCV", "VRPT.53", ("None", "unknown_code", "PCV")),
    ("f53", "", "VRPT.53", ("None", "missing", "")),
]


@pytest.mark.parametrize(("field", "text", "code", "expected"), NUMBERS)
def test_a_field(field: str, text: str, code: str, expected: tuple[str, str, str] | None) -> None:
    said = read(vrpt(**{field: text}))
    if expected is None:  # a comma inside a value is one field too many
        assert said.rejected == {"count": 1}
        return
    assert value(said, code) == expected
    assert said.frames == 1


def test_only_what_is_listed_is_published() -> None:
    said = read(vrpt(f4="SECRET", f112="7", f128="8"))
    codes = {seen.vendor.code for seen in said.values if seen.vendor}
    assert codes == {f"VRPT.{n}" for n in (53, 55, 56, 57, 64, 73, 77, 79, 81, 85, 87)}


def test_no_flipped_bit_makes_a_value_of_a_blank() -> None:
    blank = vrpt(f77="", f85="", f87="")
    for bit in range(len(blank) * 8):
        damaged = bytearray(blank)
        damaged[bit // 8] ^= 1 << bit % 8
        assert [seen for seen in read(bytes(damaged)).values if seen.validity == "valid"] == [], bit


@pytest.mark.parametrize("number", [1, 53, 55, 77, 85, 102, 127])
def test_a_width_that_is_wrong_is_no_report(number: int) -> None:
    good = vrpt()
    for texts in ({f"f{number}": "1234567", "f3": "X" * 55}, {f"f{number}": " 1"}):
        bad = vrpt(**texts)
        assert len(bad) == len(good)
        said = read(bad)
        assert said.rejected == {"layout": 1}
        assert (said.frames, said.observations) == (0, [])
        assert said.faults[0].detail == f"VRPT.{number}"


def test_the_ventilators_time_stands_beside() -> None:
    assert {seen.device_time for seen in read(vrpt(f1="09:07")).values} == {"09:07"}
    assert {seen.device_time for seen in read(vrpt(f1="--:--")).values} == {""}


def alerts(said: Said) -> list[tuple[str, str, str]]:
    seen = (one for one in said.observations if isinstance(one, Alert))
    return [(one.vendor.code, one.presence, one.validity) for one in seen if one.vendor]


def test_an_alarm_goes_on_once_and_off_once() -> None:
    on = vrpt(f115="ALARM", f123="ALARM")
    said = read(vrpt(), on, on, vrpt(f123="ALARM"), vrpt())
    assert alerts(said) == [
        ("VRPT.115", "on", "valid"),
        ("VRPT.123", "on", "valid"),
        ("VRPT.115", "off", "valid"),
        ("VRPT.123", "off", "valid"),
    ]
    kinds = {one.vendor.code: one.alert for one in said.observations if isinstance(one, Alert) and one.vendor}
    assert kinds == {"VRPT.115": "physiological", "VRPT.123": "technical"}


def test_reset_is_on_and_doubted_and_a_blank_changes_nothing() -> None:
    said = read(vrpt(f108="ALARM"), vrpt(f108="RESET"), vrpt(f108=""), vrpt(f108="?"), vrpt())
    assert alerts(said) == [
        ("VRPT.108", "on", "valid"),
        ("VRPT.108", "on", "questionable"),
        ("VRPT.108", "off", "questionable"),
    ]
    raw = [one for one in said.values if one.vendor and one.vendor.code == "VRPT.108"]
    assert [one.reason for one in raw] == ["missing", "unknown_code"]


def operating(said: Said) -> list[str]:
    return [one.operating for one in said.observations if isinstance(one, Device)]


def test_in_use_while_breaths_are_counted_and_unknown_else() -> None:
    blank = vrpt(f85="", f87="")
    assert operating(read(vrpt(), blank, blank, vrpt())) == ["unknown", "in_use", "unknown", "in_use"]
    assert operating(read(vrpt(f85=""))) == operating(read(vrpt(f87=""))) == ["unknown"]
    assert operating(read(misca(), name="v200")) == ["unknown"]


def test_a_v200_has_no_value_and_no_alert() -> None:
    said = read(misca(f31="0.48", f47="ALARM"), name="v200")
    assert value(said, "MISCA.31") == ("None", "unit_unknown", "0.48")
    assert value(said, "MISCA.47") == ("None", "unit_unknown", "ALARM")
    assert not alerts(said)
    assert len(said.values) == 19


@pytest.mark.parametrize(
    ("name", "report"),
    [
        ("v60", misca()),
        ("v60", vrpt().replace(b",133,", b",132,").replace(b",,", b",").replace(b"MODE A,", b"MODE A ")),
        ("v60", vrpt(f3="X" * 57)),
        ("v200", vrpt()),
        ("v200", misca("840 3510000000    ")),
        ("v200", misca("980 3510000000    ")),
    ],
)
def test_another_device_is_not_read(name: str, report: bytes) -> None:
    right = {"v60": vrpt(f118="ALARM"), "v200": misca()}[name]
    said = read(right, report, report, right, name=name)
    assert [fault.reason for fault in said.faults] == ["wrong_device", "wrong_device"]
    devices = [one for one in said.observations if isinstance(one, Device)]
    assert [one.reason for one in devices].count("wrong_device") == 1
    assert [one.identity for one in devices][-1] == {}
    gone = [one for one in said.values if one.reason == "wrong_device"]
    assert len(gone) == (3 if name == "v60" else 0)
    if name == "v60":
        assert alerts(said) == [
            ("VRPT.118", "on", "valid"),
            ("VRPT.118", "off", "not_available"),
            ("VRPT.118", "on", "valid"),
        ]


# The dialogue


@pytest.mark.parametrize("name", PROFILES)
def test_the_pace_and_the_only_frame(name: str) -> None:
    made: Any = catalog.create(PROFILES[name], {})
    said, answer = Said().take(made.start(0.0), 0.0), {"v60": vrpt(), "v200": misca()}[name]
    now = 0.0
    for _second in range(60):
        now += 0.7
        wake_until(made, said, now)
        said.take(made.receive(answer, now), now)
        now += 0.3
        wake_until(made, said, now)
    assert {data for _t, data in said.sent} == {ASKED[name]}
    assert 29 <= len(said.sent) <= 31


def test_silence_is_asked_ever_less_often_and_becomes_stale() -> None:
    made: Any = catalog.create(PROFILES["v60"], {})
    said = wake_until(made, Said().take(made.start(0.0), 0.0), 600.0)
    assert [round(t) for t, _data in said.sent[:6]] == [0, 4, 11, 15, 29, 33]
    assert len(said.sent) <= 25
    assert [one.connection for one in said.observations if isinstance(one, Device)] == ["stale"]
    said.take(made.receive(vrpt(), 600.0), 600.0)
    assert [one.connection for one in said.observations if isinstance(one, Device)][1] == "connected"


def test_half_a_report_does_not_swallow_the_next_answer() -> None:
    made: Any = catalog.create(PROFILES["v60"], {})
    said = Said().take(made.start(0.0), 0.0)
    said.take(made.receive(vrpt()[:500], 0.5), 0.5)
    wake_until(made, said, 4.1)
    said.take(made.receive(vrpt(), 4.6), 4.6)
    assert (said.frames, len(said.rejected)) == (1, 0)


def test_stop_says_nothing_and_reads_nothing_more() -> None:
    made = driver()
    made.receive(vrpt(), 1.0)
    output = made.stop(2.0)
    assert (output.send, output.wake_at) == (b"", None)
    assert [one.connection for one in output.observations if isinstance(one, Device)] == ["disconnected"]
    after = made.receive(vrpt(), 3.0)
    assert (after.observations, after.send, after.frames) == ((), b"", 1)
    assert made.wake(500.0).observations == ()


@pytest.mark.parametrize("name", PROFILES)
def test_nothing_else_can_be_sent(name: str) -> None:
    """The command is the profile's; an option that names the other one is stopped by the allow-list."""
    assert [rule.hex for rule in PROFILES[name].allowed] == [ASKED[name].hex(" ")]
    for text in (b"VCVS", b"PCVS", b"NPVS", b"PTDT", b"ALRM", b"RSET", b"VRPT", b"SNDA", b"SNDF", b"vrpt"):
        assert is_allowed(PROFILES[name], text + b"\r") == (text + b"\r" == ASKED[name])
        assert not is_allowed(PROFILES[name], text)


@pytest.mark.parametrize("storm", ["noise", "refused", "unasked", "foreign"])
def test_a_storm_of_an_hour_does_not_raise_the_rate(storm: str) -> None:
    data = {
        "noise": random.Random(1).randbytes(300),
        "refused": vrpt(f77=" 1"),
        "unasked": vrpt(),
        "foreign": misca("840 3510000000    "),
    }[storm]
    made: Any = catalog.create(PROFILES["v60"], {})
    said = Said().take(made.start(0.0), 0.0)
    for second in range(1, 3600):
        wake_until(made, said, float(second))
        said.take(made.receive(data, float(second)), float(second))
    assert busiest_minute(PROFILES["v60"], said.sent) <= 30
    assert all(is_allowed(PROFILES["v60"], sent) for _t, sent in said.sent)


@given(st.from_regex(r"[ -+\--~]{0,6}", fullmatch=True))
def test_a_value_is_its_text_or_nothing(text: str) -> None:
    said = read(vrpt(f77=text))
    for seen in said.values:
        if isinstance(seen, Numeric) and seen.vendor and seen.vendor.code == "VRPT.77" and seen.value is not None:
            assert str(seen.value) == text.rstrip()
            assert re.fullmatch(r"-?\d+\.\d+", text.rstrip(), re.ASCII)
