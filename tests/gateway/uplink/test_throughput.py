"""What a link carries, learnt from confirmations; and how long live data are gathered on it."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.throughput import (
    CEILING_BYTES,
    DRAIN_S,
    FLOOR_BYTES,
    FORGET_S,
    JOINED_S,
    START_BYTES,
    Cadence,
    Mark,
    Throughput,
)


class Pipe:
    """A line of `rate` bytes a second that confirms each message `rtt` after its last byte went."""

    def __init__(self, throughput: Throughput, rate: float, rtt: float) -> None:
        self.throughput, self.rate, self.rtt = throughput, rate, rtt
        self.now = self.free_at = 0.0
        self.under_way: deque[tuple[float, Mark]] = deque()

    def fill(self, size: int) -> None:
        """As much as the window lets, at least one message."""
        while not self.under_way or sum(mark.size for _at, mark in self.under_way) + size <= (
            self.throughput.window_bytes
        ):
            self.send(size)
        self.throughput.filled()

    def send(self, size: int) -> None:
        mark = self.throughput.launched(self.now, size)
        self.free_at = max(self.free_at, self.now) + size / self.rate
        self.under_way.append((self.free_at + self.rtt, mark))

    def step(self) -> None:
        at, mark = self.under_way.popleft()
        self.now = max(self.now, at)
        self.throughput.confirmed(self.now, mark)

    def busy(self, seconds: float, size: int) -> None:
        end = self.now + seconds
        while self.now < end:
            self.fill(size)
            self.step()


@pytest.mark.parametrize("rate", [500.0, 2_000.0, 16_000.0, 150_000.0])
@pytest.mark.parametrize("rtt", [0.02, 0.3, 1.2])
def test_a_busy_link_is_measured_and_what_is_in_flight_drains_in_about_a_second(rate: float, rtt: float) -> None:
    throughput = Throughput(rtt)
    pipe = Pipe(throughput, rate, rtt)
    pipe.busy(60.0, 500)
    found = throughput.rate(pipe.now)
    assert found is not None
    assert 0.8 * rate <= found <= 1.01 * rate
    drain_s = max(throughput.window_bytes - rate * rtt, 0) / rate
    assert drain_s <= max(DRAIN_S, FLOOR_BYTES / rate) + 0.1
    assert throughput.frame_bytes <= throughput.window_bytes // 2 or throughput.window_bytes == CEILING_BYTES


def test_before_anything_is_known_little_goes_and_on_a_good_link_soon_all_that_may() -> None:
    throughput = Throughput(0.05)
    assert throughput.window_bytes == START_BYTES
    assert throughput.rate(0.0) is None
    pipe = Pipe(throughput, 5e6, 0.05)
    pipe.busy(1.0, 2000)
    assert throughput.window_bytes == throughput.frame_bytes == CEILING_BYTES


def test_a_link_that_slows_down_is_noticed() -> None:
    throughput = Throughput(0.1)
    pipe = Pipe(throughput, 64_000, 0.1)
    pipe.busy(20.0, 2000)
    pipe.rate = 4_000
    pipe.busy(40.0, 2000)
    found = throughput.rate(pipe.now)
    assert found is not None
    assert found <= 4_400


def test_little_traffic_says_nothing_of_a_slow_link_but_may_show_a_faster_one() -> None:
    throughput = Throughput(0.1)
    pipe = Pipe(throughput, 1e6, 0.1)
    for _ in range(100):
        pipe.now += 1.0
        throughput.ran_dry()
        pipe.send(300)
        throughput.ran_dry()
        pipe.step()
    assert throughput.rate(pipe.now) is None
    assert throughput.window_bytes == START_BYTES
    pipe.busy(5.0, 1000)
    while pipe.under_way:
        pipe.step()
    known = throughput.rate(pipe.now)
    assert known is not None
    for _ in range(10):
        pipe.now += 1.0
        throughput.ran_dry()
        pipe.send(300)
        pipe.step()
    assert throughput.rate(pipe.now) == known
    assert throughput.rate(pipe.now + FORGET_S) is None


def test_confirmations_that_come_in_one_burst_are_no_fast_link() -> None:
    throughput = Throughput(0.1)
    marks = []
    for second in range(10):
        throughput.filled()
        marks.append(throughput.launched(float(second), 1000))
    for at, mark in enumerate(marks):
        throughput.confirmed(10.0 + at * 1e-4, mark)
    found = throughput.rate(10.0)
    assert found is not None
    assert found <= 1100


@given(st.lists(st.tuples(st.integers(1, 200_000), st.floats(0, 5), st.booleans()), max_size=50))
def test_whatever_happens_the_window_stays_within_its_bounds(steps: list[tuple[int, float, bool]]) -> None:
    throughput, now, under_way = Throughput(0.3), 0.0, deque[Mark]()
    for size, passed, is_launch in steps:
        now += passed
        if is_launch:
            under_way.append(throughput.launched(now, size))
        elif under_way:
            throughput.confirmed(now, under_way.popleft())
        elif size % 2:
            throughput.filled()
        else:
            throughput.ran_dry()
        assert FLOOR_BYTES <= throughput.window_bytes <= CEILING_BYTES
        assert 0 < throughput.frame_bytes <= throughput.window_bytes


def feed(cadence: Cadence, start: float, seconds: int, content: int, wire: int) -> float:
    for second in range(seconds):
        cadence.departed(start + second, 1, content, wire)
    return start + seconds


def test_numerics_that_take_more_than_half_of_the_link_go_by_ten_seconds() -> None:
    cadence = Cadence()
    now = feed(cadence, 0.0, 120, 600, 1000)
    assert 900 < cadence.demand(now) < 1100
    assert not cadence.decide(now, None)
    assert not cadence.decide(now, 2500.0)
    assert cadence.decide(now, 1500.0)
    assert cadence.frame_s == JOINED_S


def test_and_by_the_second_again_when_they_take_less_than_a_quarter_of_it_for_a_minute() -> None:
    cadence = Cadence()
    now = feed(cadence, 0.0, 120, 600, 1000)
    assert cadence.decide(now, 1500.0)
    for step in range(12):  # joined frames are smaller, and say nothing of what frames of a second would cost
        cadence.departed(now + step * 10, 10, 6000, 6400)
    assert not cadence.decide(now + 30, 10_000.0)
    now += 120
    assert not cadence.decide(now, 3000.0)
    assert cadence.decide(now, 10_000.0)
    assert not cadence.is_joined


def test_a_link_not_seen_at_work_for_long_is_tried_again() -> None:
    cadence = Cadence()
    now = feed(cadence, 0.0, 60, 600, 1000)
    assert cadence.decide(now, 1000.0)
    assert not cadence.decide(now + 59, None)
    assert cadence.decide(now + 60, None)


def test_a_quick_answer_to_little_opens_nothing() -> None:
    """The first bytes find an empty line and a shaper with credit; what follows would stand for seconds."""
    throughput = Throughput(0.05)
    throughput.confirmed(0.0016, throughput.launched(0.0, 413))
    throughput.filled()
    assert throughput.window_bytes == START_BYTES
    throughput.confirmed(0.01, throughput.launched(0.009, 2000))
    assert throughput.window_bytes <= START_BYTES + 2 * 2413


def test_a_burst_that_a_shaper_lets_through_is_not_what_the_link_carries() -> None:
    throughput = Throughput(0.05)
    pipe = Pipe(throughput, 1e6, 0.05)
    while pipe.now < 0.15:
        pipe.fill(1000)
        pipe.step()
    pipe.rate = 16_000.0
    worst = 0.0
    while pipe.now < 30:
        pipe.fill(1000)
        pipe.step()
        if pipe.now > 10:
            worst = max(worst, sum(mark.size for _at, mark in pipe.under_way) / pipe.rate)
    assert worst <= DRAIN_S + 0.1 * DRAIN_S
