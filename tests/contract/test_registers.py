"""The contract of a driver of registers, held against every map of the catalog. A device here answers anything."""

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Block, Output, Read, RegisterDriver
from drivers.observation import Numeric
from drivers.profile import Profile
from drivers.quality import Gate
from tests.contract.cases import BITS, REGISTERS, TABLES, registers
from tests.contract.measure import NOISE_BUDGET, cost, held_bytes
from tests.contract.play import Said, stale, wake_until

MOST = {"coil": 2000, "discrete": 2000, "holding": 125, "input": 125}
"""Largest count of one read (Modbus application protocol 1.1b3, sections 6.1 to 6.4)."""
ERRORS = ("exception_1", "exception_2", "exception_4", "exception_6", "exception_11", "timeout", "unverified")
EDGES = (0, 1, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
HELD = 256 * 1024

pytestmark = pytest.mark.parametrize("profile", REGISTERS)
SEEDS = st.integers(0, 2**32 - 1)


def _answer(read: Read, chance: random.Random) -> Block:
    if chance.random() < 0.1:
        return Block(read, error=chance.choice(ERRORS))
    count = read.count if chance.random() < 0.95 else chance.randrange(read.count + 3)
    if read.table in BITS:
        return Block(read, tuple(chance.randrange(2) for _cell in range(count)))
    edge = chance.random() < 0.3
    return Block(read, tuple(chance.choice(EDGES) if edge else chance.randrange(65536) for _cell in range(count)))


def _good_answer(read: Read, chance: random.Random) -> Block:
    most = 2 if read.table in BITS else 65536
    return Block(read, tuple(chance.randrange(most) for _cell in range(read.count)))


def _live(
    driver: RegisterDriver,
    said: Said,
    seed: int,
    until: float,
    answer: Callable[[Read, random.Random], Block] = _answer,
) -> Iterator[Read]:
    """Start a driver and answer what it asks, some seconds long; yields each read."""
    chance, now = random.Random(seed), 0.0
    output = driver.start(now)
    said.take(output, now)
    todo = list(output.reads)
    while now < until:
        while todo:
            read = todo.pop(0)
            yield read
            output = driver.receive(answer(read, chance), now)
            said.take(output, now)
            todo += output.reads
        now = max(now + 0.05, said.wake_at if said.wake_at is not None else now + 1.0)
        output = driver.wake(now)
        said.take(output, now)
        todo += output.reads


def _lived(profile: Profile, seed: int, until: float = 30.0) -> tuple[Said, list[Read]]:
    driver, said = registers(profile), Said()
    reads = list(_live(driver, said, seed, until))
    said.take(driver.stop(until), until)
    return said, reads


@given(seed=SEEDS)
def test_deterministic_and_reads_what_a_device_can_answer(profile: Profile, seed: int) -> None:
    said, reads = _lived(profile, seed)
    assert reads, "it asks for something"
    for read in reads:
        assert 1 <= read.count <= MOST[read.table]
        assert 0 <= read.address <= read.address + read.count <= 65536
    assert not said.sent, "the port makes the requests, never the driver"
    again, reads_again = _lived(profile, seed)
    assert (again, reads_again) == (said, reads)


@given(data=st.data())
def test_total(profile: Profile, data: st.DataObject) -> None:
    """Also for blocks that nobody asked for, too short, too long, or of another table."""
    driver = registers(profile)
    driver.start(0.0)
    for turn in range(12):
        read = Read(
            data.draw(st.sampled_from(TABLES)), data.draw(st.integers(0, 65535)), data.draw(st.integers(1, 125))
        )
        words = tuple(data.draw(st.lists(st.integers(0, 65535), max_size=130)))
        error = data.draw(st.sampled_from(["", "", *ERRORS, "something_new"]))
        driver.receive(Block(read, words, error), float(turn))
        driver.wake(float(turn))
    driver.stop(20.0)
    driver.start(21.0)


@given(seed=SEEDS)
def test_valid_values_are_plausible(profile: Profile, seed: int) -> None:
    said, _reads = _lived(profile, seed)
    gate = Gate(profile)
    for seen in said.observations:
        if not isinstance(seen, Numeric) or seen.value is None or seen.vendor is None:
            continue
        metric = profile.by_code[seen.vendor.code]
        low, high = metric.range
        is_outside = (low is not None and seen.value < low) or (high is not None and seen.value > high)
        (judged,) = gate.check(_only(seen), 0.0).observations
        assert not (is_outside and metric.unit == seen.unit and judged.validity == "valid")


def _only(seen: Numeric) -> Output:
    return Output(observations=(seen,))


@given(seed=SEEDS)
def test_a_block_that_does_not_fit_is_no_value(profile: Profile, seed: int) -> None:
    """Fewer or more words than were asked for: nothing of it may be read."""
    chance = random.Random(seed)
    driver = registers(profile)
    output = driver.start(0.0)
    reads = list(output.reads) or list(driver.wake(output.wake_at or 0.0).reads)
    for read in reads:
        for count in (0, read.count - 1, read.count + 1):
            words = tuple(chance.randrange(65536) for _cell in range(count))
            said = Said().take(driver.receive(Block(read, words), 1.0), 1.0)
            assert not [o for o in said.values if o.validity == "valid"]


def test_silence_becomes_stale(profile: Profile) -> None:
    limit = profile.protocol.stale_after_s
    driver, said = registers(profile), Said()
    assert list(_live(driver, said, 7, 20.0, _good_answer))
    assert not stale(said)
    now = 20.0
    while now < 20.0 + limit + 30.0:
        now = max(now + 0.05, said.wake_at if said.wake_at is not None else now + 1.0)
        output = driver.wake(now)
        said.take(output, now)
        for read in output.reads:
            said.take(driver.receive(Block(read, error="timeout"), now), now)
    assert len(stale(said)) == bool(limit)
    wake_until(driver, said, now)


def test_bounded_and_cheap(profile: Profile) -> None:
    driver = registers(profile)
    assert list(_live(driver, Said(), 1, 10.0))
    before = held_bytes(driver, profile)
    read = Read("holding", 0, 125)
    blocks = [Block(Read("holding", n % 65000, 125), tuple(range(125))) for n in range(262)]  # 64 kB of registers
    assert cost(lambda: lambda: [driver.receive(block, 10.0) for block in blocks]) <= NOISE_BUDGET
    for turn in range(2000):
        driver.receive(Block(read, tuple((turn * 7 + n) % 65536 for n in range(125))), 10.0 + turn)
    assert held_bytes(driver, profile) - before <= HELD
