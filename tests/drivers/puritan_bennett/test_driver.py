"""The dialogue: one question outstanding, patience, a rate that no storm raises, and two questions in all."""

import random
import re
from typing import Any

import msgspec
import pytest

from drivers import catalog
from drivers.observation import Device
from drivers.profile import Profile
from tests.drivers.puritan_bennett.reports import SNDA, SNDF, Bench, bench, misca, miscf

PROFILES = catalog.profiles("puritan_bennett")


def minute(sent: list[tuple[float, bytes]]) -> int:
    """The most questions within any 60 seconds."""
    times = [t for t, _data in sent]
    return max((sum(t <= u < t + 59.999 for u in times) for t in times), default=0)


def answered(made: Bench, seconds: float, delay: float = 1.35) -> None:
    """A ventilator that answers each question so much later."""
    end, done = made.now + seconds, 0
    while made.now < end:
        if done < len(made.sent):
            done += 1
            made.rx(miscf(), delay)
        else:
            made.until(min(end, made.wake_at or end))


def test_one_question_every_two_seconds() -> None:
    made = bench()
    answered(made, 600.0)
    assert {data for _t, data in made.sent} == {SNDF}
    gaps = [round(b[0] - a[0], 3) for a, b in zip(made.sent, made.sent[1:], strict=False)]
    assert set(gaps) == {2.0}
    assert made.reasons() == []
    assert [o.connection for o in made.seen if isinstance(o, Device)] == ["connected", "connected"]


def test_a_slow_line_is_asked_after_its_answer() -> None:
    """1200 baud: a report takes 10.4 s, in pieces; while it comes it is not stuck."""
    made = bench()
    data = miscf()
    for _n in range(20):
        for at in range(0, len(data), 120):
            made.rx(data[at : at + 120], 1.0)
        assert made.wake_at is not None
        assert made.until(made.now + 0.31) == [SNDF]
    assert made.reasons() == []
    assert [o.connection for o in made.seen if isinstance(o, Device)] == ["connected", "connected"]


def test_silence_is_asked_once_more_and_then_ever_later() -> None:
    made = bench()
    made.until(made.now + 300.0)
    times = [round(t - 100.0, 1) for t, _data in made.sent]
    assert times[:8] == [0.0, 2.0, 7.0, 9.0, 21.0, 23.0, 55.0, 57.0]
    assert [b - a for a, b in zip(times[9::2], times[10::2], strict=False)] == [62.0] * len(times[10::2])
    assert set(made.reasons()) == {"timeout"}
    assert [(o.connection, o.reason) for o in made.seen if isinstance(o, Device)] == [("stale", "silence")]
    made.rx(miscf())
    assert [o.connection for o in made.seen if isinstance(o, Device)][1] == "connected"


def test_half_a_report_is_dropped_after_two_seconds() -> None:
    made = bench()
    made.rx(miscf()[:600])
    made.until(made.now + 1.9)
    assert made.reasons() == []
    made.until(made.now + 0.2)
    assert made.reasons() == ["truncated", "timeout"]
    assert made.rx(miscf()[600:]) == []
    assert made.rx(miscf()) != []


@pytest.mark.parametrize("poll_s", [2.0, 3.0, 7.0, 10.0])
@pytest.mark.parametrize("storm", ["noise", "refused", "doubted", "halves", "wrong", "nothing", "echo"])
def test_an_hour_of_storm_never_raises_the_rate(poll_s: float, storm: str) -> None:
    chance = random.Random(storm)
    made = bench(poll_s=poll_s)
    end = made.now + 3600.0
    count = 0
    while made.now < end:
        count += 1
        data = {
            "noise": chance.randbytes(50),
            "refused": miscf().replace(b"1225", b"1224"),
            "doubted": miscf(f9=f"X{count % 7}"[: 1 + count % 2], f6=f"840 {count}"),
            "halves": miscf()[: chance.randrange(1244)],
            "wrong": miscf(f6=f"980 {count}"),
            "nothing": b"",
            "echo": SNDF,
        }[storm]
        made.rx(data, chance.choice([0.01, 0.5, 2.0, 3.0, 9.0]))
        made.seen.clear()
    calm = 60.0 / poll_s
    assert made.sent
    assert minute(made.sent) <= calm + (calm % 1 > 0)
    assert minute(made.sent) <= PROFILES["pb_840"].protocol.max_send_per_minute


def test_a_flood_of_reports_is_no_reason_to_ask_more() -> None:
    made = bench()
    for _n in range(1500):
        made.rx(miscf(), 0.4)
        made.seen.clear()
    assert minute(made.sent) <= 30


# -- What is sent ---------------------------------------------------------------------------------------------------


def _allowed(profile: Profile, data: bytes) -> bool:
    return any(re.fullmatch(rule.regex(), data, re.DOTALL) for rule in profile.allowed)


@pytest.mark.parametrize("name", PROFILES)
def test_the_allow_list_is_what_can_be_sent(name: str) -> None:
    """All options, and states in turn: unasked, asked, timed out, resting, refused, answered, left."""
    profile, sent = PROFILES[name], set()
    for report in ("MISCF", "MISCA"):
        for poll_s in (2.0, 10.0):
            made = bench(name, report=report, poll_s=poll_s)
            for data in (b"", miscf(), misca("x"), b"\xff", miscf()[:99], miscf(f9="?"), miscf(f6="980 1")):
                made.rx(data, 1.0)
                made.until(made.now + 200.0)
            made.take(made.driver.stop(made.now))
            made.until(made.now + 200.0)
            sent |= {data for _t, data in made.sent}
    assert sent == (set() if name == "waveform_port" else {SNDF, SNDA})
    assert sent <= {bytes.fromhex(rule.hex) for rule in profile.allowed}
    assert [rule.pattern for rule in profile.allowed] == ["", ""]


@pytest.mark.parametrize(
    "data",
    [
        b"RSET\r",
        b"SNDF",
        b"SNDF\n",
        b"SNDF\r\n",
        b"sndf\r",
        b"SNDG\r",
        b"SNDFX\r",
        b"VRPT\r",
        b"\x1bQ6C\r",
        b"\r",
        b"",
    ],
)
def test_nothing_else_passes(data: bytes) -> None:
    assert not any(_allowed(profile, data) for profile in PROFILES.values())


def test_the_question_and_its_answer_name_the_family() -> None:
    for name in ("pb_840", "pb_980"):
        identification = PROFILES[name].identification
        assert bytes.fromhex(identification.question) == SNDF
        answer = re.compile(identification.answer.encode("latin-1"))
        assert answer.match(miscf(f6=f"{name[3:]} 35"))
        assert answer.match(miscf(length=1229, f6=f"{name[3:]} 35"))
        assert not answer.match(miscf(f6="760 35"))
    assert re.match(PROFILES["waveform_port"].identification.passive.encode(), b"BS, S:12,")


# -- Life of a port -------------------------------------------------------------------------------------------------


def test_stop_says_nothing_and_nothing_is_said_after_it() -> None:
    made = bench()
    made.rx(miscf())
    made.seen.clear()
    assert made.take(made.driver.stop(made.now)) == b""
    assert [(o.connection, o.reason) for o in made.seen if isinstance(o, Device)] == [("disconnected", "stopped")]
    made.seen.clear()
    assert made.wake_at is None
    made.rx(miscf(), 100.0)
    made.take(made.driver.wake(made.now))
    assert (made.seen, made.until(made.now + 500.0)) == ([], [])


def test_a_new_start_asks_at_once_and_believes_another_ventilator() -> None:
    made = bench()
    made.rx(miscf()[:500])
    made.now += 1.0
    assert made.start() == SNDF
    seen = made.rx(miscf(f6="840 77"))
    assert [o.identity for o in seen if isinstance(o, Device)] == [{}, {"model": "840", "serial": "77"}]


def test_a_wake_up_before_its_time_does_nothing() -> None:
    made = bench()
    for _n in range(5):
        assert made.take(made.driver.wake(made.now)) == b""


@pytest.mark.parametrize(
    "options",
    [
        {"poll_s": 1.9},
        {"poll_s": 11},
        {"report": "MISCB"},
        {"curves": ["volume"]},
        {"curves": "Flow"},
        {"settings_s": 1},
        {"stream": "waveforms"},
        {"rset": True},
    ],
)
def test_options_that_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        catalog.create(PROFILES["pb_840"], options)


def test_options_as_text() -> None:
    made = catalog.create(PROFILES["waveform_port"], {"curves": "flow", "poll_s": "5"}, strict=False)
    assert made.name == "puritan_bennett"
