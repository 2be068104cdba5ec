"""What becomes of records: pairs, missing values, alarms, standby, unknown codes, another device."""

from decimal import Decimal

import pytest

from drivers.draeger_medibus.observe import priority_of
from drivers.observation import Alert, Device, Enumeration, Numeric
from tests.drivers.draeger_medibus.dialogue import PROFILE, Bench, bench, response


def listen(*frames: bytes) -> Bench:
    """A driver that hears frames it never asked for, as in a replay."""
    it = bench()
    it.start()
    for frame in frames:
        it.rx(frame)
    return it


def numerics(it: Bench) -> list[tuple[str, Decimal | None, str]]:
    """Vendor code, value and reason of each number."""
    return [(o.vendor.code if o.vendor else "", o.value, o.reason) for o in it.seen if isinstance(o, Numeric)]


@pytest.mark.parametrize(
    ("first", "second", "codes"),
    [
        (b"B9 7.2", b"B80.95", ("24.B9", "24.B8")),
        (b"88 480", b"821.02", ("24.88", "24.82")),
        (b"07 105", b"0698.4", ("24.07", "24.06")),
        (b"08 12 ", b"0B 9.5", ("24.08", "24.0B")),
    ],
)
def test_the_other_of_a_pair_is_no_missing_value(first: bytes, second: bytes, codes: tuple[str, str]) -> None:
    it = listen(response(0x24, first), response(0x24, second))
    assert [code for code, _value, reason in numerics(it) if not reason] == list(codes)
    assert len(numerics(it)) == 2
    one, other = (PROFILE.by_code[code] for code in codes)
    assert one.name == other.name


def test_the_other_of_a_pair_without_a_name_withdraws_the_first() -> None:
    """No code table name says that the two are one thing: 24.B7 would stay the last value for ever."""
    it = listen(response(0x24, b"B7 1.2"), response(0x24, b"7A0.80"), response(0x24, b"7A0.81"))
    assert numerics(it) == [
        ("24.B7", Decimal("1.2"), ""),
        ("24.7A", Decimal("0.80"), ""),
        ("24.B7", None, "missing"),
        ("24.7A", Decimal("0.81"), ""),
    ]
    units = listen(response(0x2A, b"224mmHg\x03"), response(0x2A, b"233kPa\x03"))
    told = [(o.vendor.code if o.vendor else "", o.value) for o in units.seen if isinstance(o, Enumeration)]
    assert told == [("2A.22", "mmHg"), ("2A.23", "kPa"), ("2A.22", None)]


def test_a_port_opened_again_says_nothing_of_the_device_before() -> None:
    it = listen(response(0x52, b"8240'Evita 4'04.00:04.00"), response(0x2A, b"1E7STANDBY\x03"))
    before = [o for o in it.seen if isinstance(o, Device)][-1]
    assert (before.operating, before.identity["id"]) == ("standby", "8240")
    it.seen.clear()
    it.start()
    it.rx(response(0x30))
    device = next(o for o in it.seen if isinstance(o, Device))
    assert (device.connection, device.operating, device.identity) == ("connected", "unknown", {})


def test_litres_are_not_millilitres() -> None:
    units = {code: PROFILE.by_code[code].unit for code in ("24.82", "24.88", "26.82", "29.04")}
    assert units == {"24.82": "L", "24.88": "mL", "26.82": "L", "29.04": "L"}


def test_a_missing_value_is_said_once_and_never_carried_forward() -> None:
    frames = [response(0x24, b"EB 98 73 12 "), *[response(0x24, b"73 12 ")] * 3]
    assert [n for n in numerics(listen(*frames)) if n[0] == "24.EB"] == [
        ("24.EB", Decimal(98), ""),
        ("24.EB", None, "missing"),
    ]


def test_each_answer_has_its_own_memory() -> None:
    it = listen(response(0x24, b"EB 98 "), response(0x26, b"7D 40 "), response(0x27), response(0x24, b"EB 97 "))
    assert not [n for n in numerics(it) if n[2]]


def test_no_number_is_absent_with_its_text() -> None:
    it = listen(response(0x24, b"EB----"))
    (seen,) = [o for o in it.seen if isinstance(o, Numeric)]
    assert (seen.value, seen.validity, seen.reason) == (None, "not_available", "not_numeric")
    assert seen.vendor
    assert seen.vendor.text == "----"


def test_limits_and_settings_are_settings() -> None:
    it = listen(response(0x25, b"B9 3.5"), response(0x26, b"7D 40 FF 1  "), response(0x29, b"0B  5.0"))
    assert {o.category for o in it.seen if isinstance(o, Numeric)} == {"setting"}
    assert [n[0] for n in numerics(it)] == ["25.B9", "26.7D", "26.FF", "29.0B"]


def test_unknown_codes_are_published_raw() -> None:
    it = listen(response(0x24, b"C9 60 "), response(0x2B, b"00 480"), response(0x2A, b"7F3New\x03"))
    assert numerics(it) == [("24.C9", None, "unit_unknown"), ("2B.00", None, "unit_unknown")]
    (text,) = [o for o in it.seen if isinstance(o, Enumeration)]
    assert (text.value, text.reason, text.vendor and text.vendor.text) == (None, "unknown_code", "New")


def test_the_mode_is_the_code_not_the_string() -> None:
    it = listen(response(0x2A, b"0E7Irgendw\x03"), response(0x2A, b"1A4APRV\x03"), response(0x2A))
    modes = [(o.metric, o.value, o.reason) for o in it.seen if isinstance(o, Enumeration)]
    assert modes == [
        ("MDC_VENT_MODE", "BIPAP", ""),
        ("MDC_VENT_MODE", "APRV", ""),
        ("MDC_VENT_MODE", None, "missing"),
    ]


def alarm(*records: bytes, echo: int = 0x27) -> bytes:
    """An answer with these alarms: priority and code, then the phrase."""
    return response(echo, b"".join(record.ljust(15) for record in records))


def alerts(it: Bench) -> list[tuple[str, str, str]]:
    """Code, presence and priority of each alert."""
    return [(o.vendor.code if o.vendor else "", o.presence, o.priority) for o in it.seen if isinstance(o, Alert)]


def test_an_alarm_goes_on_once_and_off_once() -> None:
    on = alarm(b"N10PAW HIGH")
    it = listen(on, on, on, alarm(), alarm())
    assert alerts(it) == [("27.10", "on", "high"), ("27.10", "off", "high")]


def test_a_changed_alarm_is_said_again() -> None:
    it = listen(alarm(b"N10PAW HIGH"), alarm(b"811PAW HIGH"), alarm(b"810PAW HIGH"))
    assert alerts(it)[:3] == [("27.10", "on", "high"), ("27.10", "off", "high"), ("27.11", "on", "low")]


def test_codepages_do_not_end_each_others_alarms() -> None:
    it = listen(alarm(b"N10PAW HIGH"), alarm(echo=0x2E), alarm(b"@10OTHER", echo=0x2E), alarm(b"N10PAW HIGH"))
    assert alerts(it) == [("27.10", "on", "high"), ("2E.10", "on", "unknown")]


@pytest.mark.parametrize(
    ("priority", "word"),
    [
        (31, "high"),
        (30, "high"),
        (29, "high"),
        (28, "unknown"),
        (11, "unknown"),
        (10, "low"),
        (1, "low"),
        (0, "unknown"),
    ],
)
def test_priorities_as_far_as_the_document_says(priority: int, word: str) -> None:
    assert priority_of(priority) == word


def test_phrase_and_kind() -> None:
    it = listen(alarm(b"M19MIN VOL $&", b"O13$& O2 SUPPLY"))
    first, second = (o for o in it.seen if isinstance(o, Alert))
    assert (first.alert, first.vendor_priority, first.vendor and first.vendor.text) == (
        "physiological",
        "29",
        "MIN VOL LOW",
    )
    assert (second.alert, second.metric) == ("technical", "MDC_EVT_O2_SUPPLY_LO")


def states(it: Bench) -> list[str]:
    """The operating state in each word about the device."""
    return [o.operating for o in it.seen if isinstance(o, Device)]


def test_standby_is_a_state_and_no_alert() -> None:
    it = listen(alarm(b"O95STANDBY", echo=0x2E), alarm(b"O95STANDBY", echo=0x2E), alarm(echo=0x2E))
    assert states(it) == ["unknown", "standby", "in_use"]
    assert alerts(it) == []


def test_standby_as_text() -> None:
    it = listen(response(0x2A, b"1E7STANDBY\x03"), response(0x2A, b"014IPPV\x03"))
    assert states(it) == ["unknown", "standby", "in_use"]


def test_a_device_that_was_away_has_no_state_until_it_says_so() -> None:
    it = listen(alarm(echo=0x2E))
    it.until(it.now + 11)
    it.rx(response(0x30))
    assert states(it) == ["unknown", "in_use", "unknown", "unknown"]


def test_identity_is_told_once() -> None:
    frame = response(0x52, b"8240'Evita 4'04.00:04.00")
    it = listen(frame, frame)
    told = [o.identity for o in it.seen if isinstance(o, Device) and o.identity]
    assert told == [{"id": "8240", "name": "Evita 4", "revision": "04.00", "medibus": "04.00"}]


def test_another_device_is_not_read_with_this_ones_units() -> None:
    it = listen(
        response(0x24, b"82 480"),
        response(0x2A, b"014IPPV\x03"),
        response(0x52, b"8250'Savina'03.00:04.00"),
        response(0x24, b"820.48"),
        response(0x2A, b"014IPPV\x03"),
        alarm(b"O95STANDBY", echo=0x2E),
    )
    assert it.faults == ["wrong_device"]
    assert numerics(it) == [
        ("24.82", Decimal(480), ""),
        ("24.82", None, "wrong_device"),
        ("24.82", None, "unit_unknown"),
    ]
    assert [o.value for o in it.seen if isinstance(o, Enumeration)] == ["IPPV", None, None]
    assert alerts(it) == [("2E.95", "on", "high")]
    assert [o.identity.get("name") for o in it.seen if isinstance(o, Device)][-1] == "Savina"
    it.rx(response(0x52, b"8240'Evita 4'04.00:04.00"))
    it.rx(response(0x24, b"821.00"))
    assert numerics(it)[-1] == ("24.82", Decimal("1.00"), "")


def test_the_standby_of_one_device_is_not_that_of_the_next() -> None:
    it = listen(response(0x2A, b"1E7STANDBY\x03"), response(0x52, b"8250'Savina'03.00:04.00"))
    assert states(it) == ["unknown", "standby", "unknown", "unknown"]
    it.rx(response(0x52, b"8240'Evita 4'04.00:04.00"))
    it.rx(alarm(echo=0x2E))
    assert states(it)[4:] == ["unknown", "in_use"]


def test_what_is_absent_or_unknown_is_said_when_it_changes_not_at_each_poll() -> None:
    frames = [response(0x24, b"C9 60 EB----"), response(0x24, b"C9 60 EB----"), response(0x24, b"C9 61 EB****")]
    assert numerics(listen(*frames)) == [
        *(("24.C9", None, "unit_unknown"), ("24.EB", None, "not_numeric")),
        *(("24.C9", None, "unit_unknown"), ("24.EB", None, "not_numeric")),
    ]


def test_alarms_of_one_device_are_not_those_of_the_next() -> None:
    """The name the alarm went on under is the one it goes off under."""
    it = listen(alarm(b"N10PAW HIGH"), response(0x52, b"8250'Savina'03.00:04.00"), alarm(b"N10PAW HIGH"), alarm())
    told = [(o.metric, o.presence) for o in it.seen if isinstance(o, Alert)]
    assert told == [("MDC_EVT_HI_GT_LIM", "on"), ("MDC_EVT_HI_GT_LIM", "off"), ("", "on"), ("", "off")]


def test_answers_without_a_layout_are_published_as_sent() -> None:
    it = listen(response(0x6A, b"2\xe9"[:1]), response(0x23, b"N10X"), response(0x22))
    raw = [(o.vendor.code, o.vendor.text) for o in it.seen if isinstance(o, Enumeration) and o.vendor]
    assert raw == [("6A", "2"), ("23", "N10X")]
    assert it.faults == ["unknown_response"]


@pytest.mark.parametrize(
    ("echo", "data"),
    [(0x24, b"EB 9"), (0x27, b"N10"), (0x2A, b"01"), (0x28, b"now"), (0x52, b"me"), (0x53, b"00"), (0x30, b"x")],
)
def test_a_layout_that_is_not_kept_refuses_the_frame(echo: int, data: bytes) -> None:
    it = listen(response(echo, data))
    assert (it.faults, it.frames, it.seen) == (["layout"], 0, [])
