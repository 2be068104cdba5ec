"""Lines of a Nellcor oximeter: values and their doubts, codes, titles, headings; and that the box never speaks."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contract import Fault, Output
from drivers.nellcor_ascii.frames import Mode, Title, Values, parse_line
from drivers.observation import Device, Numeric
from drivers.quality import Gate
from tests.drivers.masimo_ascii.port import Port, alerts, devices, is_allowed, port, values

TITLE = b"NPB-290 VERSION 1.0.0.1 CRC: XXXX SpO2 Limit: 30-100% PR Limit: 100-180BPM\r\n"
HEADINGS = b"TIME %SPO2 BPM PA Status\r\n"
DATA = b"12-NOV-97 14:00:05 100 120 50\r\n"
"""The document's three lines."""
PROFILES = catalog.profiles("nellcor_ascii")
CODES = {m.code: m for m in PROFILES["npb_290"].metric if m.kind == "alert" and len(m.code) == 2}


def line(rest: str = "98 72 50") -> bytes:
    """A line of values."""
    return f"12-NOV-97 14:00:07 {rest}\r\n".encode()


def settled(profile: str = "npb_290") -> Port:
    """An oximeter whose values are believed."""
    made = port("nellcor_ascii", profile)
    made.rx(line())
    made.rx(line(), 2.0)
    return made


def test_the_lines_of_the_document() -> None:
    assert parse_line(TITLE[:-1]) == Title("NPB-290", "1.0.0.1", ("30", "100", "100", "180"))
    read = parse_line(DATA[:-1])
    assert isinstance(read, Values)
    assert (read.time, [text for _c, text, _a in read.fields], read.status) == (
        "12-NOV-97 14:00:05",
        ["100", "120", "50"],
        (),
    )
    assert read.to_bytes() == DATA
    assert parse_line(b"NEO 50SAT-S  SPO2 RESP MODE: FAST\r") == Mode("NEO", "50", "FAST")


def test_values_with_unit_name_and_time() -> None:
    made = settled()
    seen = [o for o in made.rx(line("98 200 50"), 2.0) if isinstance(o, Numeric)]
    assert [(o.metric, str(o.value), o.unit, o.device_time) for o in seen] == [
        ("MDC_PULS_OXIM_SAT_O2", "98", "%", "12-NOV-97 14:00:07"),
        ("MDC_PULS_OXIM_PULS_RATE", "200", "/min", "12-NOV-97 14:00:07"),
        ("", "50", "1", "12-NOV-97 14:00:07"),
    ]
    assert [o.reason for o in seen] == ["", "unconfirmed", ""]
    assert devices(made.seen)[-1] == ("connected", "in_use", "")


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("98 72 50 SD", "no_sensor"),
        ("98 72 50 SO", "sensor_off"),
        ("98 72 50 LP", "pulse_lost"),
        ("98 72 50 LM", "pulse_lost"),
        ("98 72 50 PS", "searching"),
        ("98* 72* 50 SL SO", "sensor_off"),
        ("--- --- --- SO", "sensor_off"),
        ("--- --- ---", "missing"),
        ("- - -", "missing"),
        ("---* ---* ---*", "missing"),
    ],
)
def test_digits_and_dashes_that_are_no_values(rest: str, reason: str) -> None:
    made = settled()
    assert [(v, why) for _c, v, why in values(made.rx(line(rest), 2.0))] == [("", reason)] * 3
    assert {why for _c, _v, why in values(made.rx(line(), 2.0))} == {"unconfirmed"}
    assert {why for _c, _v, why in values(made.rx(line(), 2.0))} == {"valid"}


@pytest.mark.parametrize(("rest", "reason"), [("98 72 50 MO", "interference"), ("98 72 50 XY", "unknown_code")])
def test_doubt(rest: str, reason: str) -> None:
    made = settled()
    assert [(v, why) for _c, v, why in values(made.rx(line(rest), 2.0))] == [
        ("98", reason),
        ("72", reason),
        ("50", reason),
    ]


def test_a_code_that_comes_twice_is_no_damage() -> None:
    made = settled()
    made.rx(line("98 72 50 BU"), 2.0)
    assert {why for _c, _v, why in values(made.rx(line("98 72 50 BU"), 2.0))} == {"valid"}


def test_a_lost_and_a_grown_digit_wait_for_the_next_line() -> None:
    """No width, no sum: `97 ` and `970` are one character from each other."""
    made = settled()
    told = [
        values(made.rx(line(f"{spo2} 72 50"), 2.0))[0][1:] for spo2 in ("9", "98", "98", "980", "98", "100", "100")
    ]
    assert [why for _v, why in told] == [
        "unconfirmed",
        "unconfirmed",
        "valid",
        "unconfirmed",
        "unconfirmed",
        "unconfirmed",
        "valid",
    ]


@pytest.mark.parametrize("code", CODES)
def test_each_code_goes_on_once_and_off_once(code: str) -> None:
    made = settled()
    assert alerts(made.rx(line(f"98 72 50 {code}"), 2.0)) == [(code, "on")]
    assert alerts(made.rx(line(f"98 72 50   {code}"), 2.0)) == []
    assert alerts(made.rx(line(), 2.0)) == [(code, "off")]


def test_the_codes_of_the_document() -> None:
    assert set(CODES) == {"AO", "AS", "LB", "LM", "LP", "MO", "PH", "PL", "PS", "SH", "SL", "SD", "SO"}


def test_a_value_in_alarm_is_marked_and_keeps_its_digits() -> None:
    made = settled()
    seen = made.rx(line("88* 72 50 SL"), 2.0)
    assert values(seen)[0] == ("%SPO2", "88", "valid")
    assert alerts(seen) == [("SL", "on"), ("%SPO2*", "on")]
    assert alerts(made.rx(line("88 72* 50* QQ"), 2.0)) == [
        ("SL", "off"),
        ("%SPO2*", "off"),
        ("QQ", "on"),
        ("BPM*", "on"),
        ("PA*", "on"),
    ]


def test_title_headings_and_settings() -> None:
    made = port("nellcor_ascii", "npb_290")
    seen = made.rx(TITLE + b"\r\n" + HEADINGS)
    assert values(seen) == [
        ("SpO2 Limit low", "30", "valid"),
        ("SpO2 Limit high", "100", "valid"),
        ("PR Limit low", "100", "valid"),
        ("PR Limit high", "180", "valid"),
    ]
    assert [o.identity for o in seen if isinstance(o, Device)][-1] == {"model": "NPB-290", "software": "1.0.0.1"}
    assert (made.reasons(), made.frames) == (["headings"], 1)
    assert values(made.rx(b"ADULT 50SAT-S  SPO2 RESP MODE: NORMAL\r\n")) == [
        ("PATIENT", "ADULT", "valid"),
        ("RESP MODE", "NORMAL", "valid"),
        ("SAT-S", "", "unit_unknown"),
    ]


def test_another_device_is_not_read() -> None:
    made = settled()
    made.rx(line("98 72 50 SL"), 2.0)
    other = TITLE.replace(b"NPB-290", b"N-9000")
    seen = made.rx(other, 1.0)
    assert devices(seen)[0] == ("connected", "in_use", "wrong_device")
    assert [why for _c, _v, why in values(seen)] == ["wrong_device"] * 3
    assert alerts(seen) == [("SL", "off")]
    assert made.reasons() == ["wrong_device"]
    seen = made.rx(line("97 72 50 SL"), 2.0)
    assert (values(seen), alerts(seen)) == ([("%SPO2", "", "wrong_device")], [])
    made.rx(other, 1.0)
    assert made.reasons() == []
    made.rx(TITLE + TITLE, 1.0)
    made.rx(line(), 1.0)
    assert {why for _c, _v, why in values(made.rx(line(), 2.0))} == {"valid"}


def test_one_damaged_title_is_no_other_device() -> None:
    made = port("nellcor_ascii", "npb_290")
    made.rx(TITLE)
    made.rx(TITLE.replace(b"NPB-290", b"NQB-290") + line() + TITLE)
    assert values(made.rx(line(), 2.0))[0] == ("%SPO2", "98", "valid")
    assert "wrong_device" not in made.reasons()


def test_where_no_title_is_documented_none_is_asked_for() -> None:
    made = settled("n_595")
    made.rx(TITLE.replace(b"NPB-290", b"N-595"))
    assert {why for _c, _v, why in values(made.rx(line(), 2.0))} == {"valid"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (line()[:5] + line()[6:], "framing!"),
        (line().replace(b"NOV", b"NOW"), "framing!"),
        (line("9x 72 50"), "framing!"),
        (line("9-8 72 50"), "framing!"),
        (line("98 72"), "framing!"),
        (line("98 72 50 S"), "framing!"),
        (line("1000 72 50"), "framing!"),
        (line("98 72 50 SO SO"), "count!"),
        (line().replace(b"\r", b""), "framing!"),
        (line("98 72 50" + " SO" * 60), "length!"),
        (line()[:-2] + line(), "framing!"),
        (HEADINGS, "headings"),
        (b"TIME   %SPO2  BPM   PA  STATUS\r\n", "headings"),
        ("HEURE %SPO2 BPM AP État\r\n".encode("latin-1"), "text_line"),
        (b"NPB-290 VERSION ?\r\n", "text_line"),
        (b"\x00\x01\x02\x80\r\n", "noise"),
    ],
)
def test_what_is_no_line_of_values(data: bytes, reason: str) -> None:
    made = settled()
    made.reasons()
    assert (made.rx(data, 2.0), made.reasons()) == ([], [reason])
    assert {why for _c, _v, why in values(made.rx(line(), 2.0))} == {"valid"}


@pytest.mark.parametrize("rest", ["98 72 50", "98* 72 50 SL", "98  72  50", "  98    72    50   MO"])
def test_every_cut_and_every_flipped_bit(rest: str) -> None:
    data = line(rest)
    for end in range(len(data)):
        made = port("nellcor_ascii", "npb_290")
        assert made.rx(data[:end]) == []
        assert made.rx(data[end:]) != []
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        made = settled()
        for code, value, why in values(made.rx(bytes(damaged), 2.0)):
            if why == "valid" and (code, value) not in {("%SPO2", "98"), ("BPM", "72"), ("PA", "50")}:
                assert chr(data[bit // 8]).isdigit(), (bit, code, value)
                assert len(value) == 2


def test_every_flipped_bit_of_a_code_that_takes_values_away() -> None:
    """SD is one bit from SL: no value is believed for it."""
    for code in ("SD", "SO", "LP", "LM", "PS"):
        data = line(f"98 72 50 {code}")
        for bit in range(len(data) * 8):
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            made = port("nellcor_ascii", "npb_290")
            made.rx(data)
            assert "valid" not in {why for _c, _v, why in values(made.rx(bytes(damaged), 2.0))}


def test_a_jump_is_questionable_until_the_next_line() -> None:
    made, gate = settled(), Gate(PROFILES["npb_290"])
    for spo2, expected in (("98", "valid"), ("68", "questionable"), ("68", "valid")):
        seen = tuple(made.rx(line(f"{spo2} 72 50"), 2.0))
        checked = gate.check(Output(observations=seen), made.now).observations
        assert next(o.validity for o in checked if isinstance(o, Numeric)) == expected


def test_standby_silence_and_stop() -> None:
    made = settled()
    assert devices(made.rx(line("--- --- --- SO"), 2.0)) == [("connected", "standby", "")]
    assert devices(made.rx(line("--- --- --- PS"), 2.0)) == []
    made.until(made.now + 14.0)
    assert devices(made.seen)[-1][0] == "connected"
    made.until(made.now + 600.0)
    assert devices(made.seen)[-1] == ("stale", "unknown", "silence")
    made.take(made.driver.stop(made.now))
    assert devices(made.seen)[-1] == ("disconnected", "unknown", "stopped")
    assert made.rx(line(), 1.0) == []


@given(data=st.binary(max_size=200))
def test_it_never_speaks(data: bytes) -> None:
    made = settled()
    made.rx(TITLE + data + b"\r\n" + line())
    made.until(made.now + 100.0)
    made.take(made.driver.stop(made.now))
    assert made.sent == b""


@pytest.mark.parametrize("data", [b"\x03\x03", b"\x03", b"\x11", b"\x13", b"2\r", b"\r", b""])
def test_nothing_passes(data: bytes) -> None:
    """Ctrl-C opens a menu that sets the clock; XON is not needed."""
    assert not is_allowed("nellcor_ascii", data)
    assert all(profile.allowed == () for profile in PROFILES.values())
    protocol = PROFILES["n_595"].protocol
    assert (protocol.asks, protocol.max_send_per_minute) == (False, 0)


def test_signatures() -> None:
    shared = re.compile(PROFILES["npb_290"].protocol.identification.passive.encode())
    assert all(shared.search(data) for data in (HEADINGS, DATA, line("---* 72 50 SO")))
    assert not shared.search(b"SPO2=097 HR=072\r\n")
    assert re.search(PROFILES["npb_290"].identification.passive.encode(), TITLE)


@pytest.mark.parametrize("options", [{"poll_s": 1}, {"models": 5}])
def test_options_that_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        catalog.create(PROFILES["npb_290"], options)


def test_a_fault_is_no_line() -> None:
    assert isinstance(parse_line(b""), Fault)
