"""The contract of a driver on a byte stream, held against every profile of the catalog."""

import random
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import StreamDriver
from drivers.observation import AnyObservation, Numeric, Result, Vendor
from drivers.profile import Profile
from drivers.quality import Gate
from tests.contract.cases import STREAMS, stream, wires
from tests.contract.measure import NOISE_BUDGET, cost, held_bytes
from tests.contract.noise import kinds, mutated, random_bytes, torn
from tests.contract.play import (
    Said,
    busiest_minute,
    content,
    cut,
    feed,
    is_allowed,
    pieces,
    stale,
    wake_until,
)

KIB = 1024
HELD_BEYOND_FRAMES = 64 * KIB
"""Tables and last values a driver may hold beside two frames of the largest size."""
FLIPS = 4001
"""About so many bits are tried of each recording; the step is odd, so that each bit of a byte has its turn."""
DIGITS_AND_PADDING = b"0123456789 "

pytestmark = pytest.mark.parametrize("profile", STREAMS)
SEEDS = st.integers(0, 2**32 - 1)


def _wire(profile: Profile) -> bytes:
    return b"".join(wires(profile))


def _bad_day(profile: Profile, seed: int) -> bytes:
    wire = _wire(profile)
    noise = random_bytes(random.Random(seed).randint(0, 200), seed)
    return noise + mutated(wire, seed) + noise + wire if wire else noise


@given(data=st.data())
def test_total(profile: Profile, data: st.DataObject) -> None:
    driver = stream(profile)
    said = feed(driver, [data.draw(st.binary(max_size=400)), _bad_day(profile, data.draw(SEEDS))])
    said = wake_until(driver, said, 200.0)
    said.take(driver.wake(200.0), 200.0).take(driver.stop(201.0), 201.0)
    feed(driver, [data.draw(st.binary(max_size=100))], 300.0)


@given(seed=SEEDS, damaged=st.booleans())
def test_chunk_independent(profile: Profile, seed: int, damaged: bool) -> None:
    data = _bad_day(profile, seed) if damaged else _wire(profile)
    whole = feed(stream(profile), [data])
    for longest in (1, 40):
        split = feed(stream(profile), cut(data, seed, longest))
        assert split.observations == whole.observations
        assert (split.frames, split.rejected) == (whole.frames, whole.rejected)


@given(seed=SEEDS)
def test_deterministic_and_without_shared_state(profile: Profile, seed: int) -> None:
    data = _bad_day(profile, seed)
    alone = feed(stream(profile), cut(data, seed))
    first, second = stream(profile), stream(profile)
    one, two = feed(first, []), feed(second, [])
    for chunk in cut(data, seed):
        feed(second, [random_bytes(7, seed)], 0.0, two)
        feed(first, [chunk], 0.0, one)
    assert one == alone


def test_every_way_to_cut_a_recording_short(profile: Profile) -> None:
    """All or nothing: half a frame is no frame, also when the line is closed after it."""
    for wire in wires(profile):
        whole = [content(o) for o in feed(stream(profile), [wire]).values]
        step = max(1, len(wire) // 400)
        for end in range(0, len(wire), step):
            driver = stream(profile)
            said = feed(driver, [wire[:end]]).take(driver.stop(1.0), 1.0)
            values = [content(o) for o in said.values]
            assert values == whole[: len(values)], f"cut after {end} bytes"


def test_bounded(profile: Profile) -> None:
    limit = 2 * profile.protocol.max_frame_bytes + HELD_BEYOND_FRAMES
    for name, noise in {**kinds(profile, 1024 * KIB), **torn(profile, 256 * KIB)}.items():
        driver = stream(profile)
        driver.start(0.0)
        fresh = held_bytes(driver, profile)
        for chunk in pieces(noise):
            driver.receive(chunk, 0.0)
        assert held_bytes(driver, profile) - fresh <= limit, name


def _listening(profile: Profile, parts: list[bytes]) -> Callable[[], Callable[[], object]]:
    def prepare() -> Callable[[], object]:
        driver = stream(profile)
        driver.start(0.0)
        return lambda: [driver.receive(part, 0.0) for part in parts]

    return prepare


@pytest.mark.parametrize("chunk", [16, 4096, 64 * KIB])
def test_noise_is_cheap(profile: Profile, chunk: int) -> None:
    for name, noise in kinds(profile, 64 * KIB).items():
        spent = cost(_listening(profile, list(pieces(noise, chunk))))
        assert spent <= NOISE_BUDGET, f"{name}, {chunk} bytes at a time"


def test_work_is_linear(profile: Profile) -> None:
    """Eight times the bytes, at most three times eight times the work."""
    small, large = kinds(profile, 64 * KIB), kinds(profile, 512 * KIB)
    for name in small:
        few = cost(_listening(profile, list(pieces(small[name]))), limit=0.0, runs=5)
        limit = 8 * 3 * max(few, 1 / 3)
        assert cost(_listening(profile, list(pieces(large[name]))), limit) <= limit, name


@given(seed=SEEDS, size=st.integers(1, 3000))
def test_resynchronises_within_one_frame(profile: Profile, seed: int, size: int) -> None:
    """Noise may open a frame and swallow what a frame may hold; after that all comes out as if nothing had been."""
    wire = _wire(profile)
    assert wire, "a driver comes with test data"
    before = wire * (profile.protocol.max_frame_bytes // len(wire) + 1)
    clean, noisy = stream(profile), stream(profile)
    expected = _values_of(clean, [before], wire)
    assert _values_of(noisy, [random_bytes(size, seed), before], wire) == expected


def _values_of(driver: StreamDriver, before: list[bytes], last: bytes) -> list[str]:
    said = feed(driver, before)
    already = len(said.values)
    feed(driver, [last], 0.0, said)
    return [content(o) for o in said.values[already:]]


def test_silence_becomes_stale(profile: Profile) -> None:
    limit = profile.protocol.stale_after_s
    for wire in wires(profile):
        driver = stream(profile)
        said = feed(driver, [wire], 100.0)
        assert not stale(said)
        if limit:
            assert not stale(wake_until(driver, said, 100.0 + limit * 0.5))
        wake_until(driver, said, 101.0 + max(limit, 3600.0 if not limit else 0.0))
        assert len(stale(said)) == bool(limit)


@given(seed=SEEDS)
def test_sends_only_what_is_allowed_and_not_too_often(profile: Profile, seed: int) -> None:
    """Hazard H8, interference with the device; storms that last an hour are in each driver's own tests."""
    chance = random.Random(seed)
    driver = stream(profile)
    now = chance.uniform(0, 1e6)
    said = Said().take(driver.start(now), now)
    wire = _wire(profile)
    for _turn in range(60):
        ahead = now + chance.choice([0.0, 0.001, 0.2, 2.0, 11.0])
        wake_until(driver, said, ahead)
        now = ahead
        match chance.randrange(4):
            case 0:
                said.take(driver.wake(now), now)
            case 1:
                said.take(driver.receive(random_bytes(chance.randint(0, 60), chance.randrange(10**9)), now), now)
            case _ if wire:
                at = chance.randrange(len(wire))
                said.take(driver.receive(mutated(wire[at : at + 80], chance.randrange(10**9)), now), now)
    said.take(driver.stop(now), now)
    for _t, data in said.sent:
        assert is_allowed(profile, data), data
    assert all(is_allowed(profile, data) for data in said.refusals)
    assert busiest_minute(profile, said.sent) <= profile.protocol.max_send_per_minute


@given(seed=SEEDS)
def test_valid_values_are_plausible(profile: Profile, seed: int) -> None:
    driver, gate = stream(profile), Gate(profile)
    outputs = [driver.start(0.0), *(driver.receive(c, 1.0) for c in cut(_bad_day(profile, seed), seed))]
    for output in outputs:
        for seen in gate.check(output, 1.0).observations:
            if not isinstance(seen, Numeric | Result) or seen.validity != "valid" or seen.value is None:
                continue
            metric = profile.by_code.get(seen.vendor.code) if seen.vendor else None
            low, high = metric.range if metric and metric.unit == seen.unit else (None, None)
            assert low is None or seen.value >= low
            assert high is None or seen.value <= high


def _flips(wire: bytes) -> Iterator[tuple[int, bytes]]:
    """The recording with one flipped bit, and where."""
    bits = len(wire) * 8
    for bit in range(0, bits, bits // FLIPS | 1):
        damaged = bytearray(wire)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(damaged)


def _recordings(profile: Profile) -> Iterator[tuple[bytes, list[AnyObservation]]]:
    """Whole ones, and their values: in a damaged one a second flip could make up for the first."""
    for wire in wires(profile):
        whole = feed(stream(profile), [wire])
        if not whole.rejected:
            yield wire, whole.values


def test_a_flipped_bit_is_no_value(profile: Profile) -> None:
    """One flipped bit anywhere: no valid value that the device did not send (a waveform has no checksum)."""
    for wire, values in _recordings(profile):
        is_wrong = _not_sent(values) if profile.protocol.checksum else _more_than_a_digit(profile, values)
        for bit, damaged in _flips(wire):
            came = feed(stream(profile), [damaged]).values
            wrong = [o for o in came if o.validity == "valid" and is_wrong(wire[bit // 8], o)]
            assert not wrong, f"byte {bit // 8}, bit {bit % 8}"


def _not_sent(values: list[AnyObservation]) -> Callable[[int, AnyObservation], bool]:
    sent = {content(o) for o in values}
    return lambda _byte, seen: content(seen) not in sent


def _more_than_a_digit(profile: Profile, values: list[AnyObservation]) -> Callable[[int, AnyObservation], bool]:
    """Without a checksum a digit may become another one and nobody can see it; no more than that comes of a flip.

    Outside the digits (and the blanks that pad them, which are one bit from 0) no valid value may differ; inside, the
    value is what its text says (times the row's `scale` where decimals are implied), and the text is one that was
    sent but for that one character.
    """
    sent = {_said(o) for o in values if o.validity == "valid"}
    texts: dict[str, set[str]] = {}
    for code, text, _value in sent:
        texts.setdefault(code, set()).add(text)

    def is_wrong(byte: int, seen: AnyObservation) -> bool:
        code, text, value = said = _said(seen)
        if said in sent:
            return False
        if byte not in DIGITS_AND_PADDING or not isinstance(value, Decimal):
            return True
        row = profile.by_code.get(code)
        if value != Decimal(text.strip()) * Decimal(row.extra.get("scale", "1") if row else "1"):
            return True
        return not any(_is_one_digit_off(text, other) for other in texts.get(code, ()))

    return is_wrong


def _said(observation: AnyObservation) -> tuple[str, str, object]:
    """Code, text and value, without the device's time, in which a bit may have flipped as well."""
    vendor = observation.vendor or Vendor("")
    return vendor.code, vendor.text, getattr(observation, "value", None)


def _is_one_digit_off(text: str, other: str) -> bool:
    """Whether two texts of one width differ in one place, a digit or a blank in both."""
    pairs = [pair for pair in zip(text.encode(), other.encode(), strict=False) if pair[0] != pair[1]]
    return len(text) == len(other) and len(pairs) == 1 and all(byte in DIGITS_AND_PADDING for byte in pairs[0])
