"""A Dash played by hand: numbers and their absence, alarms, the request, and who is believed."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.ge_dash.driver import REQUEST
from drivers.observation import Alert, Enumeration, Numeric
from tests.contract.play import is_one_allowed
from tests.drivers.ge_dash.made import (
    BREATH,
    CUFF,
    HEART,
    NOTHING,
    OXYGEN,
    SENTINEL,
    USUAL,
    Three,
    alarm,
    announcement,
    entry,
    header,
    parameters,
)
from tests.drivers.masimo_ascii.port import Port, alerts, devices, port, values

ASKED = bytes.fromhex(
    "002515fc00000000002515e400ca006000060000000000 29 48 4f 4d 45 7c 42 2d 30 32".replace(" ", "")
).ljust(62, b"\0")
"""The public client's request."""
OTHER = bytes((126, 9, 9, 9))


def monitor(profile: str = "dash") -> Port:
    """A driver that was started."""
    return port("ge_dash", profile)


def said(made: Port, blocks: list[bytes], sequence: int, after: float = 2.0) -> dict[str, tuple[str, str]]:
    """What one more datagram showed: value, reason or validity."""
    return {code: (value, why) for code, value, why in values(made.rx(parameters(blocks, sequence), after))}


def cuff(values: Three) -> bytes:
    """An entry of the cuff."""
    return entry(0x18, values, (70, 110, 90, 160, 50, 90))


def test_numbers_with_unit_and_name() -> None:
    made = monitor()
    made.rx(parameters(USUAL), 1.0)
    found = {(o.metric, str(o.value), o.unit) for o in made.seen if isinstance(o, Numeric) and o.metric}
    assert found == {
        ("MDC_ECG_HEART_RATE", "61", "/min"),
        ("MDC_RESP_RATE", "11", "/min"),
        ("MDC_PULS_OXIM_SAT_O2", "99", "%"),
        ("MDC_PULS_OXIM_PULS_RATE", "60", "/min"),
        ("MDC_PRESS_BLD_NONINV_MEAN", "93", "mm[Hg]"),
        ("MDC_PRESS_BLD_NONINV_SYS", "120", "mm[Hg]"),
        ("MDC_PRESS_BLD_NONINV_DIA", "80", "mm[Hg]"),
    }
    assert devices(made.seen)[-1] == ("connected", "in_use", "")


def test_limits_are_settings_and_said_when_they_change() -> None:
    made = monitor()
    first = said(made, [HEART, BREATH, OXYGEN, CUFF], 1)
    assert {code: value for code, (value, _why) in first.items() if code.endswith(("low", "high"))} == {
        "3A.0.low": "50",
        "3A.0.high": "100",
        "22.0.low": "5",
        "22.0.high": "30",
        "2D.0.low": "90",
        "2D.0.high": "105",
        "2D.1.low": "50",
        "2D.1.high": "100",
        "18.1.low": "90",
        "18.1.high": "160",
    }
    again = said(made, [entry(0x3A, (61, 3, 0), (50, 120, 0, 6, 0, 0), status=0xC008), BREATH, OXYGEN, CUFF], 2)
    assert {code for code in again if code.endswith(("low", "high"))} == {"3A.0.high"}
    limits = [o for o in made.seen if isinstance(o, Numeric) and o.vendor and o.vendor.code.startswith("3A.0.")]
    assert {o.category for o in limits} == {"setting"}


def test_limits_that_contradict_each_other_are_doubted() -> None:
    found = said(monitor(), [entry(0x3A, (61, 3, 0), (100, 50, 0, 0, 0, 0))], 1)
    assert found["3A.0.low"] == ("100", "contradiction")
    assert found["3A.0.high"] == ("50", "contradiction")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (-32768, ("", "invalid")),
        (-32767, ("", "missing")),
        (-32766, ("", "draw")),
        (-32765, ("", "flush")),
        (-32764, ("", "zeroing")),
        (-32763, ("", "calibrating")),
        (-32762, ("", "no_pulse")),
        (-32761, ("", "sensor_failure")),
        (-32760, ("", "special_value")),
        (-32513, ("", "special_value")),
        (-32512, ("", "negative")),
        (-1, ("", "negative")),
        (0, ("0", "valid")),
        (61, ("61", "valid")),
        (32767, ("32767", "valid")),
    ],
)
def test_special_values(raw: int, expected: tuple[str, str]) -> None:
    blocks = [entry(0x3A, (raw, 3, 0)), entry(0x22, (raw, 0, 0)), entry(0x2D, (raw, raw, 0))]
    found = said(monitor(), blocks, 1)
    assert {found[code] for code in ("3A.0", "22.0", "2D.0", "2D.1")} == {expected}


def test_absence_is_said_once_and_ends_with_a_number() -> None:
    made, none = monitor(), entry(0x3A, NOTHING, status=0xC008)
    assert said(made, [none], 1)["3A.0"] == ("", "invalid")
    assert "3A.0" not in said(made, [none], 2)
    assert said(made, [HEART], 3)["3A.0"] == ("61", "valid")
    assert said(made, [HEART], 4)["3A.0"] == ("61", "valid")
    assert said(made, [], 5)["3A.0"] == ("", "not_sent")
    assert "3A.0" not in said(made, [], 6)


@pytest.mark.parametrize(
    ("raw", "mean", "systolic", "diastolic"),
    [
        ((93, 120, 80), ("93", "valid"), ("120", "valid"), ("80", "valid")),
        ((80, 120, 80), ("80", "valid"), ("120", "valid"), ("80", "valid")),
        ((80, 120, 93), ("", "order"), ("120", "valid"), ("", "order")),
        ((120, 93, 80), ("", "order"), ("", "order"), ("", "order")),
        ((93, 120, 130), ("", "order"), ("", "order"), ("", "order")),
        ((SENTINEL, 120, 80), ("", "invalid"), ("120", "valid"), ("", "order")),
        ((93, 120, SENTINEL), ("", "order"), ("120", "valid"), ("", "invalid")),
        ((93, -32762, 80), ("", "order"), ("", "no_pulse"), ("", "order")),
        ((93, 120, -1), ("", "order"), ("120", "valid"), ("", "negative")),
    ],
)
def test_the_numbers_of_the_cuff_say_which_they_are(
    raw: Three, mean: tuple[str, str], systolic: tuple[str, str], diastolic: tuple[str, str]
) -> None:
    made = monitor()
    said(made, [cuff(NOTHING)], 1)
    found = said(made, [cuff(raw)], 2)
    assert (found["18.0"], found["18.1"], found["18.2"]) == (mean, systolic, diastolic)


@given(st.tuples(*[st.integers(-32768, 32767) | st.integers(0, 300)] * 3))
def test_no_pressure_out_of_its_order(raw: Three) -> None:
    made = monitor()
    said(made, [cuff(NOTHING)], 1)
    seen = made.rx(parameters([cuff(raw)], 2), 2.0)
    found = {o.vendor.code: o.value for o in seen if isinstance(o, Numeric) and o.vendor and o.value is not None}
    mean, systolic, diastolic = (found.get(f"18.{place}") for place in range(3))
    assert (mean is None) == (diastolic is None)
    if mean is not None and diastolic is not None and systolic is not None:
        assert 0 <= diastolic <= mean <= systolic
    assert all(
        value == Decimal(raw[int(code[3])]) for code, value in found.items() if code in ("18.0", "18.1", "18.2")
    )


def test_a_cuff_pressure_is_said_once_and_doubted_where_its_age_is_not_known() -> None:
    made = monitor()
    assert said(made, [CUFF], 1)["18.1"] == ("120", "age_unknown")
    assert "18.1" not in said(made, [CUFF], 2)
    assert said(made, [cuff((90, 120, 78))], 3) == {
        "18.0": ("90", "valid"),
        "18.1": ("120", "valid"),
        "18.2": ("78", "valid"),
    }
    assert not said(made, [cuff((90, 120, 78))], 4)
    assert said(made, [cuff(NOTHING)], 5)["18.1"] == ("", "invalid")
    assert said(made, [cuff((90, 120, 78))], 6)["18.1"] == ("120", "valid")
    assert said(made, [], 7)["18.1"] == ("", "not_sent")
    assert said(made, [cuff((90, 120, 78))], 8)["18.1"] == ("120", "age_unknown")
    made.until(made.now + 30.0)
    assert said(made, [cuff((91, 121, 79))], 9)["18.1"] == ("121", "age_unknown")


def test_what_no_table_explains_is_published_as_sent() -> None:
    made = monitor()
    found = made.rx(parameters([entry(0x23, (366, SENTINEL, SENTINEL)), entry(0xFE, (-7, 30000, 1))], 1), 1.0)
    texts = {o.vendor.code: o.vendor.text for o in found if isinstance(o, Numeric | Enumeration) and o.vendor}
    assert texts == {
        "23.0": "366",
        "FE.0": "-7",
        "FE.1": "30000",
        "FE.2": "1",
        "23.status": "C000",
        "FE.status": "C000",
        "ALARM_STATE": "0",
        "ADMISSION": "1",
    }
    assert not [o for o in found if isinstance(o, Numeric) and (o.value is not None or o.unit)]
    assert values(made.rx(parameters([entry(0x23, (-32761, 5, SENTINEL))], 2), 2.0))[:2] == [
        ("23.0", "", "sensor_failure"),
        ("23.1", "", "unit_unknown"),
    ]
    assert values(made.rx(parameters([entry(0x23, (-32600, 5, SENTINEL))], 3), 2.0)) == [
        ("23.0", "", "special_value")
    ]


def test_a_parameter_that_stands_twice_has_no_value() -> None:
    found = said(monitor(), [HEART, entry(0x3A, (75, 1, 0))], 1)
    assert found["3A.0"] == ("", "duplicate")
    assert found["3A#2.0"] == ("", "unit_unknown")
    assert "3A.0.low" not in found


@pytest.mark.parametrize(
    ("blocks", "state"),
    [
        ([HEART], "in_use"),
        ([BREATH], "in_use"),
        ([OXYGEN], "in_use"),
        ([entry(0x2D, (SENTINEL, 60, SENTINEL))], "in_use"),
        ([CUFF], "unknown"),
        ([entry(0x3A, NOTHING), entry(0x23, (366, 0, 0))], "unknown"),
        ([], "unknown"),
    ],
)
def test_in_use(blocks: list[bytes], state: str) -> None:
    made = monitor()
    made.rx(parameters(blocks), 1.0)
    assert devices(made.seen)[-1][1] == state
    made.rx(parameters([HEART], 0x52), 2.0)
    made.rx(parameters([], 0x53), 2.0)
    assert [one[1] for one in devices(made.seen)][-2:] == ["in_use", "unknown"]


LEVELS = [
    (1, "technical", "none", "system message"),
    (2, "technical", "low", "system advisory"),
    (3, "technical", "medium", "system warning"),
    (4, "physiological", "none", "message"),
    (5, "physiological", "low", "advisory"),
    (6, "physiological", "medium", "warning"),
    (7, "physiological", "high", "crisis"),
    (8, "unknown", "unknown", ""),
    (127, "unknown", "unknown", ""),
    (255, "unknown", "unknown", ""),
]


@pytest.mark.parametrize(("level", "kind", "priority", "word"), LEVELS)
def test_levels(level: int, kind: str, priority: str, word: str) -> None:
    made = monitor()
    for sequence, value in enumerate((0, level, level, 0x80, 0x81, 0, 0)):
        made.rx(parameters([HEART], sequence, level=value), 2.0)
    found = [o for o in made.seen if isinstance(o, Alert)]
    assert [o.presence for o in found] == ["on", "off"]
    assert {(o.alert, o.priority, o.vendor_priority) for o in found} == {(kind, priority, word)}


def test_states_have_the_words_of_the_source_and_no_others() -> None:
    made = monitor()
    for state in (*range(7), 0x80):
        made.rx(parameters([HEART], state, state=state), 2.0)
    found = [(v, why) for code, v, why in values(made.seen) if code == "ALARM_STATE"]
    words = ["active", "silenced", "paused", "off", "volume_off", "paused_display_off"]
    assert found == [(word, "valid") for word in words] + [("", "unknown_code")] * 2


def test_broadcasts_are_one_alert_until_they_are_not_repeated() -> None:
    made = monitor()
    assert alerts(made.rx(alarm(0x2D, counter=1), 1.0)) == [("ALARM.2D", "on")]
    assert alerts(made.rx(alarm(0x2D, b"ANOTHER TEXT", counter=2), 20.0)) == []
    assert alerts(made.rx(alarm(0x99, counter=3), 20.0)) == [("ALARM.99", "on")]
    made.seen.clear()
    made.until(made.now + 9.0)
    assert alerts(made.seen) == []
    made.until(made.now + 2.0)
    assert alerts(made.seen) == [("ALARM.2D", "off")]
    made.until(made.now + 60.0)
    found = [o for o in made.seen if isinstance(o, Alert)]
    assert {(o.validity, o.reason, o.priority, o.alert) for o in found} == {
        ("questionable", "not_repeated", "unknown", "unknown")
    }
    assert alerts(made.seen) == [("ALARM.2D", "off"), ("ALARM.99", "off")]


def test_an_alert_that_was_broadcast_ends_although_the_port_was_opened_again() -> None:
    made = monitor()
    made.rx(alarm(0x2D), 1.0)
    made.take(made.driver.stop(made.now))
    made.now += 100.0
    assert alerts(made.take(made.driver.start(made.now))) == [("ALARM.2D", "off")]


def test_silence_after_values_and_after_alarms() -> None:
    made = monitor()
    made.until(made.now + 11.0)
    made.rx(alarm(0x2D), 1.0)
    made.until(made.now + 11.0)
    made.rx(parameters([HEART], 1), 1.0)
    made.rx(alarm(0x2D), 2.0)
    made.until(made.now + 11.0)
    assert [(one[0], one[2]) for one in devices(made.seen) if one[1] == "unknown"] == [
        ("stale", "silence"),
        ("connected", ""),
        ("stale", "alarms_only"),
        ("connected", ""),
        ("stale", "silence"),
    ]


@pytest.mark.parametrize(
    ("sequences", "taken"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1, 1, 2, 2], [1, 2]),
        ([1, 3, 2, 4], [1, 3, 4]),
        ([0xFFFE, 0xFFFF, 0, 1], [0xFFFE, 0xFFFF, 0, 1]),
        ([5, 5 + 0x7FFF, 6], [5, 5 + 0x7FFF]),
        ([5, 5 + 0x8000, 6], [5, 6]),
    ],
)
def test_only_what_is_later_says_something(sequences: list[int], taken: list[int]) -> None:
    made = monitor()
    for sequence in sequences:
        made.rx(parameters([entry(0x3A, (sequence & 0xFF, 3, 0))], sequence), 1.0)
    rates = [int(value) for code, value, _why in values(made.seen) if code == "3A.0"]
    assert rates == [sequence & 0xFF for sequence in taken]
    assert made.frames == len(sequences)
    assert len(made.faults) == len(sequences) - len(taken)


def test_doubled_datagrams_do_not_keep_a_monitor_alive() -> None:
    made = monitor()
    for _turn in range(20):
        made.rx(parameters([HEART], 7), 1.0)
    assert devices(made.seen)[-1] == ("stale", "unknown", "silence")
    made.rx(parameters([HEART], 7), 1.0)
    assert devices(made.seen)[-1][0] == "stale"
    made.rx(parameters([HEART], 6), 1.0)
    assert devices(made.seen)[-1][:2] == ("connected", "in_use")


def test_two_monitors_behind_one_address_are_none() -> None:
    made = monitor()
    made.rx(parameters([HEART, OXYGEN], 1, level=7), 1.0)
    made.rx(alarm(0x2D), 1.0)
    made.seen.clear()
    made.rx(parameters([entry(0x3A, (150, 0, 0))], 2, address=OTHER), 1.0)
    assert [(code, why) for code, value, why in values(made.seen) if "." in code and not value] == [
        (code, "wrong_device") for code in ("3A.0", "3A.0.low", "3A.0.high", "2D.0", "2D.0.low", "2D.0.high")
    ] + [(code, "wrong_device") for code in ("2D.1", "2D.1.low", "2D.1.high")]
    assert sorted(alerts(made.seen)) == [("ALARM.2D", "off"), ("LEVEL", "off")]
    assert devices(made.seen)[-1][2] == "wrong_device"
    made.seen.clear()
    made.rx(parameters([HEART], 3), 1.0)
    made.rx(alarm(0x2D), 1.0)
    assert not made.seen
    assert made.reasons() == ["wrong_device!"] * 3
    made.until(made.now + 60.0)
    made.rx(parameters([HEART], 4), 1.0)
    assert devices(made.seen)[-1][0] == "stale"
    made.take(made.driver.start(made.now))
    made.rx(parameters([HEART], 5), 1.0)
    assert devices(made.seen)[-1][:2] == ("connected", "in_use")


def sent_in(made: Port, seconds: float, every: float, data: bytes | None) -> int:
    """How many requests went while so much came."""
    before, turns = len(made.sent), int(seconds / every)
    for turn in range(turns):
        if data is None:
            made.rx(parameters([HEART], turn), every)
        else:
            made.rx(data, every)
    return (len(made.sent) - before) // len(ASKED)


def test_the_request_is_the_public_clients() -> None:
    made = monitor("dash_requested")
    assert made.sent == ASKED
    assert len(ASKED) == 62
    assert made.sent[12:16] == bytes.fromhex("00ca0060")


def test_it_asks_each_five_seconds_while_it_is_answered() -> None:
    assert sent_in(monitor("dash_requested"), 600.0, 2.0, None) in range(98, 121)


def pauses(made: Port, seconds: float) -> list[float]:
    """From one request to the next, while nothing comes."""
    times, end = [], made.now + seconds
    while made.now < end:
        before = len(made.sent)
        made.until(made.now + 0.5)
        times += [made.now] * (len(made.sent) > before)
    return [later - earlier for earlier, later in zip(times, times[1:], strict=False)]


def test_it_asks_ever_more_rarely_while_nothing_comes() -> None:
    made = monitor("dash_requested")
    assert pauses(made, 300.0) == [10.0, 30.0, 60.0, 60.0, 60.0, 60.0]
    assert made.reasons() == ["timeout"]
    made.rx(parameters([HEART]), 1.0)
    assert sent_in(made, 60.0, 2.0, None) in (11, 12)
    assert 10.0 in pauses(made, 110.0)


STORMS = {
    "noise": bytes(range(200)),
    "refused": parameters([HEART])[:-1],
    "alarms": alarm(0x2D),
    "doubled": parameters([HEART], 9),
    "unknown": header(5, 4) + bytes(4),
}


@pytest.mark.parametrize("storm", STORMS)
def test_an_hour_of_storm_asks_no_more_often(storm: str) -> None:
    assert sent_in(monitor("dash_requested"), 3600.0, 0.5, STORMS[storm]) <= 720


def test_a_port_that_is_opened_again_and_again_asks_no_more_often() -> None:
    made = monitor("dash_requested")
    for _turn in range(600):
        made.now += 0.1
        made.take(made.driver.stop(made.now))
        made.take(made.driver.start(made.now))
    assert len(made.sent) // len(ASKED) <= 13


def test_nothing_comes_or_goes_after_the_end() -> None:
    made = monitor("dash_requested")
    made.rx(parameters([HEART]), 1.0)
    sent = len(made.sent)
    made.take(made.driver.stop(made.now))
    assert made.wake_at is None
    assert made.rx(parameters([HEART], 0x52), 60.0) == []
    made.take(made.driver.wake(made.now))
    assert len(made.sent) == sent
    assert devices(made.seen)[-1] == ("disconnected", "unknown", "stopped")


def test_dash_never_sends() -> None:
    made = monitor()
    for turn, storm in enumerate([*STORMS.values(), announcement(), parameters(USUAL, 77)]):
        made.rx(storm, 10.0 * turn)
    made.until(made.now + 3600.0)
    made.take(made.driver.stop(made.now))
    assert made.sent == b""
    assert not catalog.profile("ge_dash", "dash").allowed


def test_the_allow_list_is_one_datagram() -> None:
    profile = catalog.profile("ge_dash", "dash_requested")
    (rule,) = profile.allowed
    assert rule.name == REQUEST
    assert bytes.fromhex(rule.hex) == ASKED
    assert is_one_allowed(profile, ASKED)
    assert not is_one_allowed(profile, ASKED + ASKED)


NEVER = {
    "curves": b"HOME ALARME:" + bytes.fromhex("00ca002100060000 0000000b") + b"HOME|B-02".ljust(38, b"\0"),
    "serial form": bytes.fromhex("40").ljust(12, b"\0") + bytes.fromhex("00ca0023").ljust(92, b"\0"),
    "another place": ASKED.replace(b"HOME|B-02", b"REA|LIT-4"),
    "shorter": ASKED[:-1],
    "longer": ASKED + b"\0",
    "time": ASKED[:12] + bytes.fromhex("00c90001") + ASKED[16:],
    "parameters": parameters([HEART]),
    "alarm": alarm(0x2D),
    "announcement": announcement(),
    "nothing": b"",
}


@pytest.mark.parametrize("name", NEVER)
def test_what_must_never_be_sent_is_refused(name: str) -> None:
    for profile in catalog.profiles("ge_dash").values():
        assert not any(re.fullmatch(rule.regex(), NEVER[name], re.DOTALL) for rule in profile.allowed)
        assert not is_one_allowed(profile, NEVER[name])


@given(st.integers(0, 61), st.integers(1, 255))
def test_one_other_octet_and_the_request_is_refused(at: int, change: int) -> None:
    profile = catalog.profile("ge_dash", "dash_requested")
    other = ASKED[:at] + bytes((ASKED[at] ^ change,)) + ASKED[at + 1 :]
    assert not is_one_allowed(profile, other)
