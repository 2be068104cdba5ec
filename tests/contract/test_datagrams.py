"""The contract of a driver on datagrams, held against every such profile: each piece is whole, or it is nothing.

A network loses, doubles and swaps datagrams, and one may be cut short; what it does not do is join two. UDP's own
checksum finds flipped bits, so a flip is only asked not to raise.
"""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.observation import Numeric, Result
from drivers.profile import Profile
from drivers.quality import Gate
from tests.contract.cases import DATAGRAMS, Step, cases_of, stream
from tests.contract.measure import NOISE_BUDGET, cost, held_bytes
from tests.contract.noise import mutated, random_bytes
from tests.contract.play import Said, busiest_minute, content, feed, is_one_allowed, stale, wake_until, walk

KIB = 1024
LARGEST_BYTES = 1472
"""What fits one Ethernet frame."""
HELD_BEYOND_FRAMES = 64 * KIB

pytestmark = pytest.mark.parametrize("profile", DATAGRAMS)
SEEDS = st.integers(0, 2**32 - 1)


def _datagrams(profile: Profile) -> list[bytes]:
    return [step.data for case in cases_of(profile) for step in case.received()]


def _foreign(profile: Profile, chance: random.Random) -> bytes:
    """Noise, or one of the device's own after a bad day."""
    own = _datagrams(profile)
    if own and chance.random() < 0.7:
        return mutated(chance.choice(own), chance.randrange(10**9))[:LARGEST_BYTES]
    return random_bytes(chance.randint(0, LARGEST_BYTES), chance.randrange(10**9))


@given(seed=SEEDS)
def test_total(profile: Profile, seed: int) -> None:
    chance, driver = random.Random(seed), stream(profile)
    said = feed(driver, [_foreign(profile, chance) for _turn in range(20)])
    said = wake_until(driver, said, 200.0)
    said.take(driver.wake(200.0), 200.0).take(driver.stop(201.0), 201.0)
    feed(driver, [_foreign(profile, chance)], 300.0)


@given(seed=SEEDS)
def test_deterministic_and_without_shared_state(profile: Profile, seed: int) -> None:
    chance = random.Random(seed)
    pieces = [*_datagrams(profile)[:20], *(_foreign(profile, chance) for _turn in range(10))]
    chance.shuffle(pieces)
    alone = feed(stream(profile), pieces)
    first, second = stream(profile), stream(profile)
    one, two = feed(first, []), feed(second, [])
    for piece in pieces:
        feed(second, [random_bytes(7, seed)], 0.0, two)
        feed(first, [piece], 0.0, one)
    assert one == alone


def _believed(said: Said) -> set[str]:
    return {content(o) for o in said.values if o.validity == "valid"}


def test_a_datagram_of_another_length_is_nothing(profile: Profile) -> None:
    """All or nothing: each datagram of each recording, cut short and with a tail, in its place among the others."""
    for case in cases_of(profile):
        steps = case.received()
        whole = _believed(walk(stream(profile, case.options), steps))
        for at, step in enumerate(steps):
            for size in sorted({0, 1, len(step.data) // 2, len(step.data) - 1, len(step.data) + 1}):
                damaged = Step(step.t, "rx", (step.data + b"\x00")[:size])
                came = walk(stream(profile, case.options), [*steps[:at], damaged, *steps[at + 1 :]])
                assert _believed(came) <= whole, f"{case}: datagram {at} of {size} bytes"


@given(seed=SEEDS)
def test_lost_doubled_and_swapped(profile: Profile, seed: int) -> None:
    """Nothing is believed that the device did not say, whatever of it arrives and in which order."""
    chance = random.Random(seed)
    for case in cases_of(profile):
        steps = case.received()
        whole = _believed(walk(stream(profile, case.options), steps))
        arrived: list[Step] = []
        for step in steps:
            arrived += [step] * chance.choice((0, 1, 1, 1, 2))
            if len(arrived) > 1 and chance.random() < 0.1:
                last, before = arrived[-1], arrived[-2]
                arrived[-2:] = [Step(before.t, "rx", last.data), Step(last.t, "rx", before.data)]
        assert _believed(walk(stream(profile, case.options), arrived)) <= whole, str(case)


def test_foreign_datagrams_change_nothing(profile: Profile) -> None:
    """Noise between any two: what the device says comes out as if nothing had been."""
    for case in cases_of(profile):
        steps = case.received()
        noise = [Step(step.t, "rx", random_bytes(40 + n, n)) for n, step in enumerate(steps)]
        noisy = [one for pair in zip(noise, steps, strict=True) for one in pair]
        assert _believed(walk(stream(profile, case.options), noisy)) == _believed(
            walk(stream(profile, case.options), steps)
        )


def _listening(profile: Profile, parts: list[bytes]) -> Callable[[], Callable[[], object]]:
    def prepare() -> Callable[[], object]:
        driver = stream(profile)
        driver.start(0.0)
        return lambda: [driver.receive(part, 0.0) for part in parts]

    return prepare


def _floods(profile: Profile, size: int) -> dict[str, list[bytes]]:
    chance = random.Random(1)
    found = {"random": [random_bytes(LARGEST_BYTES, n) for n in range(size // LARGEST_BYTES)]}
    for number, own in enumerate(sorted(set(_datagrams(profile)), key=len)[-3:]):
        found[f"cut {number}"] = [own[: len(own) // 2]] * (size // max(1, len(own) // 2))
        damaged = [mutated(own, chance.randrange(10**9))[:LARGEST_BYTES] for _turn in range(size // len(own))]
        found[f"damaged {number}"] = damaged
    return found


def test_noise_is_cheap_and_leaves_nothing_behind(profile: Profile) -> None:
    for name, parts in _floods(profile, 64 * KIB).items():
        assert cost(_listening(profile, parts)) <= NOISE_BUDGET, name
    limit = 2 * profile.protocol.max_frame_bytes + HELD_BEYOND_FRAMES
    for name, parts in _floods(profile, 1024 * KIB).items():
        driver = stream(profile)
        driver.start(0.0)
        fresh = held_bytes(driver, profile)
        for part in parts:
            driver.receive(part, 0.0)
        assert held_bytes(driver, profile) - fresh <= limit, name


def test_silence_becomes_stale(profile: Profile) -> None:
    limit = profile.protocol.stale_after_s
    assert limit, "a device of datagrams has no other sign that it is gone"
    for case in cases_of(profile):
        driver = stream(profile, case.options)
        steps = case.received()
        said = walk(driver, steps)
        end = steps[-1].t
        already = len(stale(said))
        wake_until(driver, said, end + limit + 3600.0)
        assert len(stale(said)) - already <= 1
        assert stale(said) or not said.values


@given(seed=SEEDS)
def test_sends_one_allowed_frame_and_not_too_often(profile: Profile, seed: int) -> None:
    chance, driver = random.Random(seed), stream(profile)
    now = chance.uniform(0, 1e6)
    said = Said().take(driver.start(now), now)
    for _turn in range(60):
        ahead = now + chance.choice([0.0, 0.001, 0.2, 2.0, 11.0])
        wake_until(driver, said, ahead)
        now = ahead
        if chance.randrange(4):
            said.take(driver.receive(_foreign(profile, chance), now), now)
        else:
            said.take(driver.wake(now), now)
    said.take(driver.stop(now), now)
    assert all(is_one_allowed(profile, data) for _t, data in said.sent)
    assert busiest_minute(profile, said.sent) <= profile.protocol.max_send_per_minute
    assert not said.refusals


@given(seed=SEEDS)
def test_valid_values_are_plausible(profile: Profile, seed: int) -> None:
    chance, driver, gate = random.Random(seed), stream(profile), Gate(profile)
    outputs = [driver.start(0.0)]
    for own in _datagrams(profile):
        outputs += [driver.receive(_foreign(profile, chance), 1.0), driver.receive(own, 1.0)]
    for output in outputs:
        for seen in gate.check(output, 1.0).observations:
            if not isinstance(seen, Numeric | Result) or seen.validity != "valid" or seen.value is None:
                continue
            metric = profile.by_code.get(seen.vendor.code) if seen.vendor else None
            low, high = metric.range if metric and metric.unit == seen.unit else (None, None)
            assert low is None or seen.value >= low
            assert high is None or seen.value <= high
