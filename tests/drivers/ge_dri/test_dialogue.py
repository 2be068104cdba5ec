"""What is asked for and when; what can be sent at all; goodbye, silence, storms."""

import re
from itertools import combinations, pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.ge_dri import requests
from drivers.ge_dri.options import CURVES
from drivers.ge_dri.subscriptions import Subscription
from drivers.observation import Alert, Device
from tests.contract.play import busiest_minute, is_allowed
from tests.drivers.ge_dri.made import displayed, frame, raw_record, record, screen, wave
from tests.drivers.masimo_ascii.port import Port, alerts, port

ASK, ASK_5 = requests.physiological(1, 10), requests.physiological(1, 5)
STOP = requests.physiological(1, 0)
ALARMS = requests.alarms()
WAVES = requests.waves((1, 9))
CARESCAPE, S5 = catalog.profile("ge_dri", "carescape"), catalog.profile("ge_dri", "s5")
EVERY_OPTION: dict[str, Any] = {"trends": ("10s", "60s"), "curves": ("ECG1", "CO2")}


class Bedside(Port):
    """A port that also keeps when something was sent."""

    def __init__(self, profile: str = "s5", **options: Any) -> None:
        made = port("ge_dri", profile, **options)
        super().__init__(made.driver, now=made.now, seen=made.seen, faults=made.faults, wake_at=made.wake_at)
        self.log = [(self.now, made.sent)]

    def take(self, output: Any) -> list[Any]:
        """Keep one output, and when it was sent."""
        if output.send:
            self.log.append((self.now, output.send))
        return super().take(output)

    def times(self, sent: bytes) -> list[float]:
        """When this was sent."""
        return [t for t, data in self.log if data == sent]


@pytest.mark.parametrize(("interval", "ask"), [(10, ASK), (5, ASK_5)])
def test_asked_once_while_values_come(interval: int, ask: bytes) -> None:
    made = Bedside(interval_s=interval)
    for _turn in range(360):
        made.rx(displayed(), interval)
    assert made.log == [(100.0, ask)]
    assert made.reasons() == []


def test_without_an_answer_ever_more_rarely() -> None:
    made = Bedside(**EVERY_OPTION)
    made.until(3700.0)
    gaps = [round(b - a) for a, b in pairwise(made.times(ASK))]
    assert gaps[:6] == [20, 40, 80, 160, 320, 320]
    assert {data for _t, data in made.log} == {ASK}, "nothing else before the first answer"
    assert made.reasons()[0] == "timeout"


def test_a_stream_that_ends_is_asked_for_again() -> None:
    made = Bedside()
    made.rx(displayed(), 2.0)
    made.until(200.0)
    assert made.times(ASK)[:2] == [100.0, 122.0]
    assert [o.connection for o in made.seen if isinstance(o, Device)][-1] == "stale"


def test_the_others_follow_one_by_one() -> None:
    made = Bedside("carescape", **EVERY_OPTION)
    made.rx(displayed(level=10), 2.0)
    made.until(made.now + 5.0)
    assert made.log == [
        (100.0, ASK),
        (102.0, requests.physiological(2, 10)),
        (103.0, requests.physiological(3, 60)),
        (104.0, WAVES),
        (105.0, ALARMS),
    ]


def test_no_trend_before_a_case_is_started_and_no_hurry() -> None:
    made = Bedside(trends="60s")
    for _turn in range(120):
        made.rx(displayed(), 10.0)
    assert [round(b - a) for a, b in pairwise(made.times(requests.physiological(3, 60)))] == [300, 600]


def test_waveforms_that_stopped_are_asked_for_again() -> None:
    made = Bedside(curves=("ECG1", "CO2"))
    made.rx(displayed(), 1.0)
    for _second in range(5):
        made.rx(record(1, [wave(1, [1] * 300), wave(9, [2] * 25)]), 1.0)
    for _turn in range(5):
        made.rx(displayed(), 10.0)
    assert made.times(WAVES)[:3] == [101.0, 116.0, 126.0]


def test_alarms_only_where_the_level_and_the_profile_have_them() -> None:
    for profile, level, asked in (("carescape", 10, True), ("carescape", 9, False), ("s5", 10, False)):
        made = Bedside(profile)
        made.rx(displayed(level=level), 2.0)
        made.until(made.now + 60.0)
        assert bool(made.times(ALARMS)) == asked, (profile, level)


def test_alarms_are_asked_for_at_their_pace_and_rarely_without_an_answer() -> None:
    made = Bedside("carescape")
    made.rx(displayed(level=10), 2.0)
    for _second in range(60):
        if made.log[-1] == (made.now, ALARMS):
            made.rx(screen(), 0.5)
        made.until(made.now + 0.5)
    assert {round(b - a) for a, b in pairwise(made.times(ALARMS))} == {6}
    mute = Bedside("carescape")
    for _turn in range(60):
        mute.rx(displayed(level=10), 10.0)
    assert [round(b - a) for a, b in pairwise(mute.times(ALARMS))][:3] == [10, 20, 40]


def test_alarms_of_a_screen_that_is_not_told_any_more_end() -> None:
    made = Bedside("carescape")
    made.rx(displayed(level=10), 2.0)
    made.rx(screen(("FC HAUTE", 3)), 0.5)
    made.seen.clear()
    for _turn in range(11):
        made.rx(displayed(level=10), 10.0)
    assert alerts(made.seen) == []
    made.rx(displayed(level=10), 11.0)
    assert alerts(made.seen) == [("ALARM.FC HAUTE", "off")]
    assert [(one.validity, one.reason) for one in made.seen if isinstance(one, Alert)] == [
        ("not_available", "not_sent")
    ]


@given(
    events=st.lists(
        st.sampled_from([b"", displayed(level=10), screen(), displayed(kind=2), b"\x7e\x00\x7e", b"\xff"]),
        max_size=80,
    ),
    gap=st.sampled_from([0.0, 0.3, 1.0, 4.9, 6.0, 31.0]),
)
def test_the_same_request_is_never_sent_within_five_seconds(events: list[bytes], gap: float) -> None:
    made = Bedside("carescape", **EVERY_OPTION)
    for event in events:
        made.rx(event, gap)
    for sent in {data for _t, data in made.log}:
        assert all(b - a >= 5.0 for a, b in pairwise(made.times(sent)))
    assert all(b - a >= 1.0 for (a, _x), (b, _y) in pairwise(made.log))


@pytest.mark.parametrize("period", [0.0, 1.0])
@pytest.mark.parametrize("heard", [None, 100.0, 101.0])
def test_no_setting_could_make_it_repeat_sooner(period: float, heard: float | None) -> None:
    one = Subscription("x", ASK, STOP, silence_s=1.0, period_s=period)
    one.sent(100.0)
    if heard is not None:
        one.heard(heard)
    assert one.due_at(102.0) == 105.0


def test_goodbye() -> None:
    made = Bedside("carescape", **EVERY_OPTION)
    made.rx(displayed(level=10), 2.0)
    made.until(made.now + 5.0)
    output = made.driver.stop(made.now)
    trends = requests.physiological(2, 0) + requests.physiological(3, 0)
    assert output.send == STOP + trends + requests.waves((1, 9), stop=True)
    assert output.wake_at is None
    assert is_allowed(CARESCAPE, output.send)
    again = made.driver.stop(made.now)
    assert again.send == b""
    after = made.driver.receive(displayed(), made.now + 1.0)
    assert (after.send, after.observations, after.frames) == (b"", (), 1)
    assert made.driver.wake(made.now + 600.0).send == b""


def test_only_what_was_asked_for_is_ended() -> None:
    made = Bedside(**EVERY_OPTION)
    assert made.driver.stop(made.now).send == STOP


def test_opened_again() -> None:
    made = Bedside()
    made.rx(displayed()[:100], 1.0)
    made.take(made.driver.stop(made.now))
    made.now += 60.0
    made.take(made.driver.start(made.now))
    assert made.log[-1] == (161.0, ASK)
    made.rx(displayed(), 1.0)
    assert made.reasons() == []


STORMS = [b"\x15\x15", b"\x7e\x7e", frame(bytes(50)), b"\xff" * 60, displayed()[:-3] + b"\x00\x00\x7e", ASK]


@pytest.mark.parametrize("storm", STORMS, ids=range(len(STORMS)))
def test_a_storm_never_raises_the_rate(storm: bytes) -> None:
    mute = Bedside("carescape", **EVERY_OPTION)
    mute.until(3700.0)
    made = Bedside("carescape", **EVERY_OPTION)
    for _turn in range(3600):
        made.rx(storm, 1.0)
    assert len(made.log) <= len(mute.log)
    assert busiest_minute(CARESCAPE, made.log) <= busiest_minute(CARESCAPE, mute.log) <= 3


def test_the_rate_with_everything_on() -> None:
    made = Bedside("carescape", **EVERY_OPTION)
    for turn in range(3600):
        made.rx(screen() if turn % 2 else displayed(level=10), 1.0)
    assert busiest_minute(CARESCAPE, made.log) <= CARESCAPE.protocol.max_send_per_minute * 2 // 3


def _everything() -> set[bytes]:
    """Every request there is: values, trends, alarms, and each list of curves that the options let through."""
    made = {
        requests.physiological(kind, s) for kind, s in ((1, 5), (1, 10), (1, 0), (2, 10), (2, 0), (3, 60), (3, 0))
    }
    made.add(ALARMS)
    types = [kind for kind, _rate in CURVES.values()]
    for size in (1, 2, 3):
        for some in combinations(types, size):
            made |= {requests.waves(some), requests.waves(some[::-1], stop=True)}
    for size in (4, 5, 6, 7, 8):
        made.add(requests.waves(tuple(types[:size])))
        made.add(requests.waves(tuple(types[-size:]), stop=True))
    return made


def test_all_that_can_be_sent_is_allowed_and_no_rule_is_left_over() -> None:
    made = _everything()
    assert all(is_allowed(CARESCAPE, one) for one in made)
    assert not is_allowed(S5, ALARMS)
    for rule in CARESCAPE.allowed:
        assert any(re.fullmatch(rule.regex(), one, re.DOTALL) for one in made), rule.name


@pytest.mark.parametrize("main", range(-1, 21))
def test_no_other_record_passes(main: int) -> None:
    """Network, record keeping and all others; and what is no request of the three kinds."""
    for kind in (0, 1, 2, 3):
        for size in (9, 12, 32, 250):
            for fill in (b"\x00", b"\x01", b"\x02", b"\xff"):
                one = frame(raw_record(main & 0xFFFF, [(kind, fill * size)], level=0))
                assert not is_allowed(CARESCAPE, one)


NEAR = [
    requests.physiological(1, 4),
    requests.physiological(1, -1),
    requests.physiological(2, 5),
    requests.physiological(4, 10),
    requests.waves((8,)),
    requests.waves((22,)),
    requests.waves(()),
    ASK[:-1],
    ASK[1:],
    ASK[:43] + b"\x0e" + ASK[44:],
    WAVES[:41] + b"\x02" + WAVES[42:],
    WAVES[:60] + b"\x01" + WAVES[61:],
    ALARMS[:41] + b"\x02" + ALARMS[42:-2] + bytes([ALARMS[-2] + 2]) + b"\x7e",
    ALARMS[:41] + b"\x03" + ALARMS[42:-2] + bytes([ALARMS[-2] + 3]) + b"\x7e",
]


@pytest.mark.parametrize("one", NEAR, ids=range(len(NEAR)))
def test_near_misses(one: bytes) -> None:
    assert not is_allowed(CARESCAPE, one)


@pytest.mark.parametrize("name", ["s5", "b_series", "carescape"])
def test_the_identification_question(name: str) -> None:
    profile = catalog.profile("ge_dri", name)
    asked = profile.protocol.identification
    assert bytes.fromhex(asked.question) == ASK
    assert re.match(asked.answer.encode("latin-1"), displayed(time=0x7E7D7E7D), re.DOTALL)
    assert not re.match(asked.answer.encode("latin-1"), ASK, re.DOTALL)
    assert profile.line == "19200 8E1"
    assert profile.modem.rts == "raise"


@pytest.mark.parametrize(
    "options",
    [
        {"interval_s": 4},
        {"interval_s": 7},
        {"trends": ["30s"]},
        {"trends": ["10s", "10s"]},
        {"curves": ["PLETH"]},
        {"curves": ["CO2", "CO2"]},
        {"curves": ["ECG1", "ECG2", "CO2"]},
        {"curves": ["CO2", "GAS10", "GAS11", "GAS12", "AWP", "FLOW", "VOL", "EEG1", "EEG2"]},
        {"alarms_s": 5},
        {"period": 1},
    ],
)
def test_options_that_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        catalog.create(S5, options)


def test_the_budget_is_600_samples_a_second() -> None:
    assert catalog.create(S5, {"curves": ["ECG1", "ECG2"]})
    assert catalog.create(S5, {"curves": ["ECG1", "INVP1", "INVP2", "CO2", "AWP", "FLOW", "VOL"]})
