"""The engine: what it asks, what it says, and that silence and refusals never leave a number behind."""

import struct
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contract import Block, Fault, Output, Read
from drivers.observation import Numeric
from drivers.quality import Gate
from drivers.registers.driver import ANSWER_S, UNSUPPORTED_S
from tests.drivers.registers.device import HEAD, answer, engine, links, one, profile, register, values


def blocks(text: str, head: str = HEAD, **options: Any) -> list[Read]:
    driver = engine(text, head, **options)
    output = driver.start(0.0)
    found: list[Read] = []
    while output.reads:
        found += output.reads
        table_width = output.reads[0].count
        output = driver.receive(Block(output.reads[0], (0,) * table_width), 0.0)
    return found


def test_blocks_bridge_small_gaps_and_keep_the_protocols_limits() -> None:
    near = register(0) + register(10)
    assert blocks(near, bridge=9) == [Read("holding", 0, 11)]
    assert blocks(near, bridge=8) == [Read("holding", 0, 1), Read("holding", 10, 1)]
    many = "".join(register(at) for at in range(130))
    assert blocks(many) == [Read("holding", 0, 125), Read("holding", 125, 5)]
    assert blocks(many, max_registers=64) == [
        Read("holding", 0, 64),
        Read("holding", 64, 64),
        Read("holding", 128, 2),
    ]
    coils = "".join(register(at * 20, "bit", "", "coil") for at in range(105))
    assert blocks(coils, bridge=20) == [Read("coil", 0, 1981), Read("coil", 2000, 81)]
    wide = register(124, "u32") + register(0)
    assert blocks(wide, bridge=124) == [Read("holding", 0, 1), Read("holding", 124, 2)]
    assert blocks(register(0) + register(1, table="input")) == [Read("holding", 0, 1), Read("input", 1, 1)]


def test_each_point_at_its_own_period() -> None:
    driver = engine(register(0, more="poll_s = 2") + register(1, more="poll_s = 5"))
    reads = []
    outputs = answer(driver, driver.start(0.0), 0.0, {0: 1, 1: 2})
    while (now := outputs[-1].wake_at) is not None and now <= 10:
        reads.append((now, outputs[0].reads))
        outputs = answer(driver, driver.wake(now), now, {0: 1, 1: 2})
        reads[-1] = (now, outputs[0].reads)
    first, second = Read("holding", 0, 1), Read("holding", 1, 1)
    both = Read("holding", 0, 2)
    assert reads == [(2, (first,)), (4, (first,)), (5, (second,)), (6, (first,)), (8, (first,)), (10, (both,))]


def test_a_refused_block_is_split_down_to_the_register_that_is_not_there() -> None:
    text = "".join(register(at) for at in range(8))
    driver = engine(text)
    memory = {at: at + 100 for at in range(8) if at != 5}
    outputs = answer(driver, driver.start(0.0), 0.0, memory)
    assert values(outputs) == {f"holding {at}": str(at + 100) for at in range(8)} | {"holding 5": "unsupported"}
    assert links(outputs) == ["connected"]
    assert all(not fault.rejected for output in outputs for fault in output.faults)
    asked = [read for output in answer(driver, driver.wake(10.0), 10.0, memory) for read in output.reads]
    assert Read("holding", 5, 1) not in asked
    assert all(not (read.address <= 5 < read.address + read.count) for read in asked)
    assert sum(read.count for read in asked) == 7


def test_a_refused_register_is_asked_again_after_an_hour_and_alone() -> None:
    driver = engine(register(0) + register(1) + register(2, more="poll_s = 1000"))
    now, memory, asked = 0.0, {0: 1, 2: 3}, []
    output = driver.start(now)
    while now <= UNSUPPORTED_S + 20:
        outputs = answer(driver, output, now, memory)
        asked += [
            (now, read) for each in outputs for read in each.reads if read.address <= 1 < read.address + read.count
        ]
        assert outputs[-1].wake_at is not None
        now = outputs[-1].wake_at
        output = driver.wake(now)
    alone = [at for at, read in asked if read == Read("holding", 1, 1)]
    assert alone == [0.0, UNSUPPORTED_S]
    assert all(at == 0.0 for at, read in asked if read.count > 1)


def test_a_refused_register_is_never_again_inside_a_block() -> None:
    """There it could come back as a zero without an error (APC 990-9840A, note 4)."""
    slow = "poll_s = 1800"
    driver = engine(
        register(0, more="poll_s = 50000") + register(1, more=slow) + register(2, more=slow), max_registers=2
    )
    answer(driver, driver.start(0.0), 0.0, {0: 1, 2: 3})
    answer(driver, driver.wake(1800.0), 1800.0, {0: 1, 2: 3})
    asked = [read for each in answer(driver, driver.wake(3600.0), 3600.0, {0: 1, 1: 0, 2: 3}) for read in each.reads]
    assert asked == [Read("holding", 1, 1), Read("holding", 2, 1)]


def test_a_register_that_appears_is_read() -> None:
    driver = engine(register(0, more="poll_s = 1800") + register(1, more="poll_s = 1800"))
    answer(driver, driver.start(0.0), 0.0, {0: 1})
    answer(driver, driver.wake(1800.0), 1800.0, {0: 1, 1: 7})
    outputs = answer(driver, driver.wake(UNSUPPORTED_S), UNSUPPORTED_S, {0: 1, 1: 7})
    assert values(outputs) == {"holding 0": "1", "holding 1": "7"}


@pytest.mark.parametrize(
    ("error", "reason", "wait"),
    [
        ("exception_1", "exception_1", UNSUPPORTED_S),
        ("exception_2", "unsupported", UNSUPPORTED_S),
        ("exception_3", "exception_3", UNSUPPORTED_S),
        ("exception_4", "exception_4", 10.0),
        ("exception_6", "exception_6", 10.0),
        ("exception_11", "exception_11", 10.0),
    ],
)
def test_a_refusal_is_said(error: str, reason: str, wait: float) -> None:
    driver = engine(register(0))
    outputs = answer(driver, driver.start(0.0), 0.0, {}, error=error)
    assert values(outputs) == {"holding 0": reason}
    assert outputs[-1].wake_at == wait
    assert outputs[-1].frames == 1
    assert outputs[-1].faults[0].reason == error


def test_a_time_out_is_asked_once_more_and_then_the_round_is_given_up() -> None:
    driver = engine(register(0) + register(500))
    first = driver.start(0.0)
    again = driver.receive(Block(first.reads[0], (), "timeout"), 2.0)
    assert again.reads == first.reads
    assert not again.observations
    given_up = driver.receive(Block(first.reads[0], (), "timeout"), 4.0)
    assert given_up.reads == ()
    assert values([given_up]) == {"holding 0": "timeout", "holding 500": "timeout"}
    assert links([given_up]) == ["stale"]
    assert given_up.wake_at == 14.0


def test_after_one_time_out_the_answer_counts() -> None:
    driver = engine(register(0))
    first = driver.start(0.0)
    driver.receive(Block(first.reads[0], (), "timeout"), 2.0)
    outputs = [driver.receive(Block(first.reads[0], (5,)), 3.0)]
    assert values(outputs) == {"holding 0": "5"}
    assert links(outputs) == ["connected"]


def test_rounds_that_fail_come_ever_later() -> None:
    driver = engine(register(0, more="poll_s = 1"))
    output, now, pauses = driver.start(0.0), 0.0, []
    for _ in range(6):
        outputs = answer(driver, output, now, {}, error="timeout")
        assert outputs[-1].wake_at is not None
        pauses.append(outputs[-1].wake_at - now)
        now = outputs[-1].wake_at
        output = driver.wake(now)
    assert pauses == [5, 10, 30, 60, 60, 60]
    outputs = answer(driver, output, now, {0: 1})
    assert links(outputs) == ["connected"]
    assert outputs[-1].wake_at == now + 1


def test_bytes_that_are_no_answer_end_the_round_and_count_against_the_line() -> None:
    driver = engine(register(0) + register(500))
    first = driver.start(0.0)
    output = driver.receive(Block(first.reads[0], (), "unverified"), 2.0)
    assert output.faults == (Fault("unverified", "holding 0+1", rejected=True),)
    assert output.frames == 0
    assert output.reads == ()
    assert values([output]) == {"holding 0": "unverified", "holding 500": "unverified"}


@pytest.mark.parametrize("error", ["too_often", "listen_only", "not_allowed"])
def test_what_the_port_held_back_says_nothing_of_the_device(error: str) -> None:
    driver = engine(register(0))
    outputs = answer(driver, driver.start(0.0), 0.0, {}, error=error)
    assert values(outputs) == {"holding 0": error}
    assert links(outputs) == []


def test_a_read_that_nobody_answers_is_given_up() -> None:
    driver = engine(register(0))
    driver.start(0.0)
    assert driver.wake(1.0) == Output(wake_at=ANSWER_S)
    assert values([driver.wake(ANSWER_S)]) == {"holding 0": "timeout"}


def test_silence_is_stale_within_the_stated_time() -> None:
    driver = engine(register(0))
    answer(driver, driver.start(0.0), 0.0, {0: 5})
    outputs = [driver.wake(60.0)]
    assert links(outputs) == ["stale"]
    assert values(outputs) == {"holding 0": "timeout"}
    assert links([driver.wake(61.0), driver.wake(200.0)]) == []
    assert driver.start(300.0).reads


def test_a_slow_poll_is_not_silence() -> None:
    driver = engine(register(0, more="poll_s = 3600"))
    answer(driver, driver.start(0.0), 0.0, {0: 5})
    assert driver.wake(3599.0) == Output(wake_at=3600.0)
    assert driver.wake(3600.0).reads


def test_a_recording_that_begins_in_the_middle_is_read() -> None:
    driver = engine(register(0) + register(500))
    driver.start(0.0)
    middle = driver.receive(Block(Read("holding", 500, 1), (8,)), 1.0)
    assert values([middle]) == {"holding 500": "8"}
    lost = driver.receive(Block(Read("holding", 900, 0), (), "timeout"), 1.0)
    assert not lost.observations
    own_error = driver.receive(Block(Read("holding", 0, 0), (), "exception_2"), 1.0)
    assert values([own_error]) == {"holding 0": "unsupported"}


@pytest.mark.parametrize(
    "block",
    [
        Block(Read("holding", 0, 1), ()),
        Block(Read("holding", 0, 1), (1, 2)),
        Block(Read("holding", 0, 1), (0x10000,)),
        Block(Read("holding", 0, 1), (-1,)),
        Block(Read("holding", 0, 0), ()),
    ],
)
def test_a_block_that_is_not_whole_is_no_value(block: Block) -> None:
    driver = engine(register(0))
    driver.start(0.0)
    output = driver.receive(block, 0.0)
    assert [fault.rejected for fault in output.faults] == [True]
    assert not [each for each in output.observations if isinstance(each, Numeric) and each.value is not None]


def test_never_more_often_than_the_profile_says() -> None:
    driver = engine("".join(register(at * 200, more="poll_s = 1") for at in range(30)), most=20)
    sent: list[float] = []
    output, now = driver.start(0.0), 0.0
    while now < 600:
        if output.reads:
            sent.append(now)
            output = driver.receive(Block(output.reads[0], (1,)), now)
            continue
        assert output.wake_at is not None
        assert output.wake_at > now
        now = output.wake_at
        output = driver.wake(now)
    assert all(sum(at <= other < at + 60 for other in sent) <= 18 for at in sent)
    assert len(sent) >= 18 * 9


def test_stop_asks_nothing_more() -> None:
    driver = engine(register(0))
    driver.start(0.0)
    assert driver.stop(1.0) == Output()


def test_a_profile_without_points_rests() -> None:
    empty = msgspec.structs.replace(profile(register(0)), metric=())
    driver: Any = catalog.create(empty)
    assert driver.start(0.0) == Output()
    assert driver.wake(1000.0) == Output()


def test_the_same_blocks_say_the_same() -> None:
    runs = []
    for _ in range(2):
        driver = engine("".join(register(at) for at in range(8)))
        runs.append(answer(driver, driver.start(0.0), 0.0, {at: at for at in range(8) if at != 3}))
    assert runs[0] == runs[1]


_DSE = catalog.profile("registers", "dse_73xx")
_READS = st.builds(
    Read,
    st.sampled_from(["coil", "discrete", "holding", "input"]),
    st.one_of(st.integers(1020, 1062), st.integers(-5, 70000)),
    st.one_of(st.integers(1, 40), st.integers(-3, 200)),
)
_ERRORS = st.one_of(
    st.just(""),
    st.sampled_from(["timeout", "unverified", "exception_2", "exception_3", "exception_11"]),
    st.text(max_size=8),
)
_STEPS = st.one_of(
    st.tuples(st.just("wake"), st.floats(0, 1e5), st.none()),
    st.tuples(st.just("start"), st.floats(0, 1e5), st.none()),
    st.tuples(st.just("stop"), st.floats(0, 1e5), st.none()),
    st.tuples(
        st.just("receive"),
        st.floats(0, 1e5),
        st.builds(Block, _READS, st.lists(st.integers(-2, 70000), max_size=60).map(tuple), _ERRORS),
    ),
    st.tuples(
        st.just("answer"), st.floats(0, 1e5), st.tuples(st.lists(st.integers(0, 0xFFFF), min_size=125), _ERRORS)
    ),
)


@given(st.lists(_STEPS, max_size=40))
def test_total_reads_only_and_every_number_is_plausible_or_questionable(steps: list[Any]) -> None:
    driver: Any = catalog.create(_DSE)
    gate, now = Gate(_DSE), 0.0
    output = driver.start(now)
    for verb, pause, what in steps:
        now += pause
        if verb == "receive":
            output = driver.receive(what, now)
        elif verb == "answer" and output.reads:
            words, error = what
            read = output.reads[0]
            output = driver.receive(Block(read, () if error else tuple(words[: read.count]), error), now)
        elif verb != "answer":
            output = getattr(driver, verb)(now)
        assert output.send == b""
        assert len(output.reads) <= 1
        assert all(1 <= read.count <= 125 for read in output.reads)
        for seen in gate.check(output, now).observations:
            if isinstance(seen, Numeric):
                assert seen.vendor
                low, high = _DSE.by_code[seen.vendor.code].range
                is_plausible = seen.value is None or (
                    (low is None or seen.value >= low) and (high is None or seen.value <= high)
                )
                assert is_plausible or seen.validity == "questionable"
                assert (seen.value is None) == (seen.validity == "not_available")


@given(st.integers(0, 0xFFFFFFFF))
def test_a_float_keeps_its_32_bits(raw: int) -> None:
    seen = one("f32", (raw >> 16, raw & 0xFFFF))
    if raw & 0x7F800000 == 0x7F800000:
        assert seen.value is None
    elif raw & 0x7FFFFFFF:
        assert struct.pack(">f", float(seen.value)) == raw.to_bytes(4, "big")
        assert len(seen.value.as_tuple().digits) <= 9
    else:
        assert seen.value == Decimal(0)
