"""Bytes per hour on a paid link."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.budget import HOUR_S, LATELY_S, Budget, wire_bytes

MIB = 1 << 20


def test_it_begins_empty_and_fills_evenly() -> None:
    budget = Budget(20 * MIB, 100.0)
    assert budget.left(100.0) == 0
    assert budget.wait(100.0, 1000) > 0
    assert abs(budget.left(110.0) - 10 * budget.rate) < 1
    assert budget.left(100.0 + HOUR_S) == budget.burst
    assert budget.burst + budget.rate * HOUR_S == 20 * MIB


def test_what_waits_may_go_when_it_was_told() -> None:
    budget = Budget(MIB, 0.0)
    wait = budget.wait(0.0, 5000)
    assert budget.wait(wait * 0.99, 5000) > 0
    assert budget.wait(wait * 1.001, 5000) == 0
    assert budget.is_short(wait)
    assert not budget.is_short(wait + LATELY_S)


def test_more_than_it_ever_holds_goes_when_it_is_full_and_is_paid_back() -> None:
    budget = Budget(MIB, 0.0)
    huge = 2 * budget.burst
    assert budget.wait(1.0, huge) > 0
    assert budget.wait(HOUR_S, huge) == 0
    budget.spend(HOUR_S, huge)
    assert budget.left(HOUR_S) == -budget.burst
    assert budget.wait(HOUR_S, 1) > budget.burst / budget.rate


def test_what_cannot_wait_overdraws_it_by_an_hour_at_most() -> None:
    budget = Budget(MIB, 0.0)
    for _ in range(100):
        budget.spend(0.0, MIB)
    assert budget.spent == 100 * MIB
    assert budget.left(2 * HOUR_S) > 0


def test_an_estimate_counts_headers_of_each_segment_and_the_confirmation() -> None:
    topic, kind = "jisr/v1/site-1/gw-test/live/numeric", "application/json"
    small, large = wire_bytes(topic, kind, 100), wire_bytes(topic, kind, 100_000)
    assert 100 + len(topic) + len(kind) + 150 < small < 100 + len(topic) + len(kind) + 200
    assert 103_000 < large < 105_000


@given(
    st.integers(1, 50).map(lambda number: number * MIB),
    st.lists(st.tuples(st.floats(0, 900), st.integers(3_000, 120_000)), max_size=40),
)
def test_no_hour_sees_more_than_the_budget(per_hour: int, wishes: list[tuple[float, int]]) -> None:
    budget, now = Budget(per_hour, 0.0), 0.0
    spent: list[tuple[float, int]] = []
    for passed, size in wishes:
        now += passed
        while not budget.wait(now, size):  # as much as it lets
            budget.spend(now, size)
            spent.append((now, size))
    for start, _size in spent:
        assert sum(size for at, size in spent if start <= at < start + HOUR_S) <= per_hour
