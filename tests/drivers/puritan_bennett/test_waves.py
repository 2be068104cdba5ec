"""The waveform port: three forms of line, breaths, holes; an interval that the profile states."""

import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Fault
from drivers.observation import AnyObservation, Device, Mark, Numeric, Waveform
from tests.drivers.puritan_bennett.reports import bench


def waves(seen: list[AnyObservation], code: str = "flow") -> list[Waveform]:
    return [o for o in seen if isinstance(o, Waveform) and o.vendor and o.vendor.code == code]


def breath(number: int, samples: int, end: bytes = b"BE\r\n") -> bytes:
    lines = b"".join(b"%d.5, -%d.25\r\n" % (n, n) for n in range(samples))
    return b"BS, S:%d,\r\n" % number + lines + end


def test_a_breath() -> None:
    made = bench("waveform_port")
    seen = made.rx(breath(7, 3))
    assert [type(o) for o in seen] == [Device, Numeric, Waveform, Waveform]
    flow, pressure = waves(seen)[0], waves(seen, "pressure")[0]
    assert (flow.metric, flow.unit, flow.samples) == ("MDC_FLOW_AWAY", "L/min", (50, 150, 250))
    assert (pressure.metric, pressure.unit, pressure.samples) == ("MDC_PRESS_AWAY", "cm[H2O]", (-25, -125, -225))
    assert (flow.scale, flow.offset, flow.interval_us) == (Decimal("0.01"), Decimal(0), 20_000)
    assert (flow.start, flow.marks) == (0, (Mark(0, "inspiration"),))
    assert (made.frames, made.faults, made.sent) == (5, [], [])
    number = seen[1]
    assert isinstance(number, Numeric)
    assert (number.value, number.reason, number.vendor and number.vendor.text) == (None, "unit_unknown", "7")


def test_a_second_at_most_and_the_number_of_the_first_sample() -> None:
    made = bench("waveform_port")
    seen = waves(made.rx(breath(1, 120) + breath(2, 10)))
    assert [(len(w.samples), w.start, len(w.marks)) for w in seen] == [
        (50, 0, 1),
        (50, 50, 0),
        (20, 100, 0),
        (10, 120, 1),
    ]


def test_the_waveform_so_far_comes_before_the_next_breath() -> None:
    made = bench("waveform_port")
    seen = made.rx(breath(1, 2, end=b"") + breath(2, 1))
    codes = [o.vendor.code for o in seen if isinstance(o, Waveform | Numeric) and o.vendor]
    assert codes == ["S", "flow", "pressure", "S", "flow", "pressure"]


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"1.2",
            b"1.2,",
            b"1.2, 3.4,",
            b"1.2; 3.4",
            b".5, 1",
            b"1., 2",
            b"1.234, 5",
            b"+1, 2",
            b"1e1, 2",
            b"1234, 5",
        ),
        *(b"--1, 2", b"nan, 1", b"1.2,  3.4", b"BX", b"BE.", b"BS, S:1", b"BS, S:,", b"BS, S:12345678901,"),
        *(b"1.2, 3.4\x00", b"\xb11.2, 3.4", b" " * 41, b"x" * 500, b" " * 60 + b"BE"),
    ],
)
def test_a_line_of_none_of_the_three_forms_is_a_hole(line: bytes) -> None:
    data = b"BS, S:1,\n1.0, 2.0\n" + line + b"\n3.0, 4.0\nBE\n"
    whole, split = bench("waveform_port"), bench("waveform_port")
    seen = whole.rx(data)
    assert [w.samples for w in waves(seen)] == [(100, None, 300)]
    assert [(f.reason, f.rejected) for f in whole.faults] == [("line", True)]
    assert [o for byte in data for o in split.rx(bytes([byte]))] == seen


@pytest.mark.parametrize("line", [b"0, 0", b"-0.05,5.1", b"120.25, -12", b"  1, 2  ", b"1, 2\r\n\r\n"])
def test_a_line_of_the_right_form(line: bytes) -> None:
    made = bench("waveform_port")
    seen = waves(made.rx(b"BS,S:0,\n" + line + b"\nBE\n"))
    assert [None in w.samples for w in seen] == [False]
    assert not made.faults


def test_outside_of_a_breath_nothing_is_published() -> None:
    """The first line may be the end of one; and after BE nobody knows when it was."""
    made = bench("waveform_port")
    assert waves(made.rx(b"2.5, 1.0\n12.5, 1.0\nBE\n1.0, 1.0\nrubbish\nmore\n")) == []
    assert made.reasons() == ["noise"]


def test_silence_ends_a_breath_and_then_the_device_is_stale() -> None:
    made = bench("waveform_port")
    made.rx(breath(1, 5, end=b"1.5, "))
    made.until(made.now + 1.9)
    assert waves(made.seen) == []
    made.until(made.now + 0.2)
    assert [len(w.samples) for w in waves(made.seen)] == [5]
    made.rx(b"3, 4\n", 5.0)  # neither the rest of that line nor of that breath
    assert len(waves(made.seen)) == 1
    made.until(made.now + 31.0)
    assert [o.connection for o in made.seen if isinstance(o, Device)] == ["connected", "stale"]


def test_late_wake_up_keeps_the_time_base() -> None:
    made = bench("waveform_port")
    made.rx(breath(1, 2, end=b""))
    made.now += 10.0
    made.take(made.driver.receive(b"1, 1\nBS, S:2,\n4, 4\nBE\n", made.now))
    assert [w.samples for w in waves(made.seen)] == [(50, 150), (400,)]


def test_stop_publishes_what_is_left() -> None:
    made = bench("waveform_port")
    made.rx(breath(1, 2, end=b""))
    assert made.take(made.driver.stop(made.now)) == b""
    assert [len(w.samples) for w in waves(made.seen)] == [2]
    assert made.wake_at is None


def test_a_new_start_forgets_the_half_of_a_line() -> None:
    made = bench("waveform_port")
    made.rx(b"BS, S:1,\n1, 1\n12")
    made.start()
    made.rx(b"3.4, 5\nBE\n" + breath(2, 1))
    assert [(w.samples, w.start) for w in waves(made.seen)] == [((50,), 0)]


def test_only_the_curves_that_are_named() -> None:
    seen = bench("waveform_port", curves=["pressure"]).rx(breath(1, 1))
    assert (len(waves(seen)), len(waves(seen, "pressure"))) == (0, 1)
    assert not [o for o in bench("waveform_port", curves=[]).rx(breath(1, 1)) if isinstance(o, Waveform)]


def test_nothing_is_ever_sent() -> None:
    made = bench("waveform_port")
    for n in range(500):
        made.rx(breath(n, 3), 4.0)
    made.until(made.now + 3600)
    assert made.sent == []


@given(seed=st.integers(0, 2**32 - 1))
def test_any_split(seed: int) -> None:
    chance = random.Random(seed)
    lines = [b"BS, S:5,", b"BE", b"1.5, 2", b"x", b" ", b"", b"9" * 60, b"-1.25,0.5", b"\xff\x00"]
    data = b"".join(chance.choice(lines) + chance.choice([b"\r", b"\n", b"\r\n", b""]) for _n in range(60))
    whole, split = bench("waveform_port"), bench("waveform_port")
    whole.rx(data)
    at = 0
    while at < len(data):
        size = chance.randint(1, 90)
        split.rx(data[at : at + size])
        at += size
    assert split.seen == whole.seen
    assert split.frames == whole.frames
    assert _rejected(split.faults) == _rejected(whole.faults)


def _rejected(faults: list[Fault]) -> list[str]:
    return [fault.reason for fault in faults if fault.rejected]
