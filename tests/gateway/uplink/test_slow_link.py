"""The line over slow and paid links, on a clock turned by hand: the real session, schedule and encodings."""

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.observation import to_json
from gateway.uplink.budget import HOUR_S
from gateway.uplink.mqtt import Granted
from gateway.uplink.throughput import CEILING_BYTES
from gateway.uplink.wire import Encoding
from tests.gateway.uplink.fake_spool import FakeSpool, alert
from tests.gateway.uplink.slow_link import SlowLink
from tests.gateway.uplink.ward import numerics, waves

ADAPT_S = 60.0
"""What it takes to measure a link and to choose a cadence."""
LATE_S = 2.0
EVENT = b"[" + to_json(alert("apnoea")) + b"]"


def outage(seconds: int, numeric: int, wave: int) -> FakeSpool:
    """A spool that was filled for so long without a link, and opened again since."""
    spool = FakeSpool()
    for second in range(seconds):
        if numeric:
            spool.put_raw("numeric", *numerics(numeric)[second % 60])
        if wave and second % 5 == 4:
            spool.put_raw("wave", *waves(wave)[second // 5 % 4])
    spool.reopen()
    return spool


def live(link: SlowLink, seconds: int, numeric: int, wave: int) -> None:
    """The ward goes on."""
    for second in range(seconds):
        if numeric:
            link.commit("numeric", *numerics(numeric)[second % 60])
        if wave and second % 5 == 4:
            link.commit("wave", *waves(wave)[second // 5 % 4])
        link.run(link.now + 1.0)


def late(link: SlowLink, since: float) -> list[float]:
    """How much later than its cadence allows each live numeric committed after `since` arrived."""
    found = []
    for committed, delay in link.lateness("numeric"):
        gathered = max(join_s for at, join_s in link.joined if at <= committed + delay or at == link.joined[0][0])
        if since <= committed <= link.now - LATE_S - gathered - 1:
            found.append(delay - gathered)
    return found


@pytest.mark.parametrize(("encoding", "numeric", "minutes"), [("json", 600, 30), ("compact", 4000, 5)])
def test_eight_hours_without_a_link_and_then_16_kb_a_second(encoding: Encoding, numeric: int, minutes: int) -> None:
    """Live data ≤ 2 s late throughout, numeric back-fill done within 30 minutes; bytes with all headers.

    JSON: 600 bytes of it a second of numerics and 4.8 kB of curves, as they stand in the spool and on the wire.
    Compact: a monitor with ten numerics a second (4 kB of JSON) and the same curves, in the real encoding.
    """
    spool = outage(8 * 3600, numeric, 4800)
    link = SlowLink(spool, 16_000, encoding=encoding)
    began = link.now
    while spool.released("numeric").epoch < 2:
        assert link.now - began < minutes * 60
        live(link, 60, numeric, 4800)
    delays = late(link, began)
    assert len(delays) > 45
    assert max(delays) <= LATE_S
    assert [join_s for _at, join_s in link.joined] == [0.0]
    assert link.arrived_bytes("wave", "live") > 0.2 * 16_000 * (link.now - began) or encoding == "compact"


@settings(max_examples=25)
@given(
    rate=st.sampled_from([3_000.0, 8_000.0, 20_000.0, 100_000.0, 2e6]),
    rtt=st.sampled_from([0.03, 0.2, 0.7]),
    numeric=st.sampled_from([300, 700, 2000]),
    wave=st.sampled_from([0, 1500, 6000]),
    down=st.integers(0, 300),
    window=st.sampled_from([64, 8, 1]),
    events=st.lists(st.integers(0, 150), max_size=8),
    encoding=st.sampled_from(["json", "compact"]),
)
def test_live_numerics_are_at_most_two_seconds_late_wherever_the_link_can_carry_them(
    rate: float,
    rtt: float,
    numeric: int,
    wave: int,
    down: int,
    window: int,
    events: list[int],
    encoding: Literal["json", "compact"],
) -> None:
    spool = outage(down, numeric, wave)
    link = SlowLink(spool, rate, rtt=rtt, encoding=encoding, granted=Granted(window=window))
    began = link.now
    for second in range(150):
        for _ in range(events.count(second)):
            link.commit("event", 1, EVENT)
        live(link, 1, numeric, 0)
        if wave and second % 5 == 4:
            link.commit("wave", *waves(wave)[second // 5 % 4])
    assert link.queued_most <= CEILING_BYTES
    assert set(link.counts().values()) <= {1}
    carried = [trip for trip in link.trips if trip.lane == "numeric" and trip.era == "live"]
    needed = sum(trip.size for trip in carried) / (link.now - began) * (1 + max(window == 1, 0))
    if needed * 1.5 < rate and (window > 1 or rtt * 4 < 1):
        assert max(late(link, began + ADAPT_S)) <= LATE_S


def test_a_link_too_slow_for_each_second_gets_frames_of_ten_and_the_second_again_when_it_recovers() -> None:
    link = SlowLink(FakeSpool(), 2_000, encoding="compact")
    live(link, 120, 4000, 0)
    assert link.session._cadence.frame_s == 1.0  # 4 kB of JSON a second are little in this encoding
    link.set_rate(400)
    live(link, 240, 4000, 0)
    assert link.session._cadence.frame_s == 10.0
    slow = [trip for trip in link.trips[-10:] if trip.era == "live"]
    assert {trip.last - trip.first + 1 for trip in slow} >= {numerics(4000)[0][0] * 10}
    assert max(late(link, link.now - 100)) <= LATE_S
    link.set_rate(50_000)
    live(link, 300, 4000, 0)
    assert link.session._cadence.frame_s == 1.0
    assert max(late(link, link.now - 60)) <= LATE_S


def test_a_link_that_slept_does_not_leave_live_data_behind_old_ones() -> None:
    """Ninety seconds without a byte and without a lost connection: what is live then is of now."""
    link = SlowLink(FakeSpool(), 20_000)
    live(link, 60, 600, 4800)
    link.set_rate(1e-3)
    live(link, 90, 600, 4800)
    link.set_rate(20_000)
    woke = link.now
    live(link, 120, 600, 4800)
    assert max(late(link, woke + 5)) <= LATE_S
    assert {trip.era for trip in link.trips if trip.lane == "numeric" and trip.departed > woke} == {"live", "hist"}
    assert set(link.counts().values()) == {1}


def test_curves_that_do_not_fit_stay_of_now_and_the_rest_comes_last() -> None:
    link = SlowLink(FakeSpool(), 4_000)
    live(link, 600, 600, 4800)
    ages = [
        trip.arrived - link.committed_at["wave", 1, commit]
        for trip in link.trips
        if trip.lane == "wave" and trip.era == "live" and trip.arrived
        for commit in [name[2] for name in link.committed_at if name[0] == "wave" and name[2] >= trip.last][:1]
    ]
    assert ages
    assert max(ages) < 60
    assert max(late(link, 1060.0)) <= LATE_S


@settings(max_examples=8)
@given(
    budget=st.sampled_from([1 << 20, 3 << 20, 20 << 20]),
    numeric=st.sampled_from([300, 2000]),
    wave=st.sampled_from([0, 4800]),
    encoding=st.sampled_from(["json", "compact"]),
)
def test_no_hour_costs_more_than_the_budget_but_for_events(
    budget: int, numeric: int, wave: int, encoding: Literal["json", "compact"]
) -> None:
    link = SlowLink(outage(600, numeric, wave), 200_000, encoding=encoding, budget=budget)
    for minute in range(65):
        link.commit("event", 1, EVENT)
        before = link.now
        live(link, 60 if minute % 10 == 0 else 1, numeric, wave)
        link.run(before + 60)
    events = [trip for trip in link.trips if trip.lane == "event"]
    assert len(events) == 65
    assert all(trip.arrived - link.committed_at["event", 2, trip.last] < LATE_S for trip in events)
    for start, _size, _ in link.spent[::20]:
        hour = [(size, is_free) for at, size, is_free in link.spent if start <= at < start + HOUR_S]
        assert sum(size for size, is_free in hour if not is_free) <= budget
    if encoding == "json":
        assert "BudgetSpent" in link.journal.kinds()
    spent = sum(size for at, size, _ in link.spent if at < 1000 + HOUR_S)
    assert spent >= 0.8 * budget or link.spool.waiting() < 400


def test_on_a_budget_live_numerics_go_before_history() -> None:
    """100 kB of history wait; the budget carries what a monitor says now, and little more."""
    link = SlowLink(outage(600, 1000, 0), 200_000, budget=6 << 20)
    live(link, 300, 1000, 0)
    assert max(late(link, 1000 + ADAPT_S)) <= LATE_S
    assert link.arrived_bytes("numeric", "hist") > 0
    assert link.spool.released("numeric").epoch == 1


def test_a_broker_with_packets_of_4_kb_gets_everything() -> None:
    spool = outage(60, 2000, 4800)
    link = SlowLink(spool, 1e6, granted=Granted(packet_bytes=4096))
    live(link, 40, 9000, 4800)
    link.run(link.now + 30)
    assert spool.waiting() == 0
    assert link.counters.held == 0
    assert max(trip.payload for trip in link.trips) <= 4096 - 256
