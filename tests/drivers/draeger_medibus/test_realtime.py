"""Curves: configuration, scaling, breath marks, and what is damaged on the way."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.observation import Mark, Numeric, Vendor, Waveform
from tests.drivers.draeger_medibus.dialogue import EVITA_4, ICC, ICC_ECHO, NOP, Bench, bench, command, response

CONFIG = b"00   16000-  10  10037006   16000-  20  100460"
ENABLE = bytes.fromhex("d0c1c3c0c0")


def value(x: int) -> bytes:
    """Low six bits first."""
    return bytes([0x80 | x & 0x3F, 0x80 | x >> 6])


def streaming(codes: str = "00 06", config: bytes = CONFIG) -> Bench:
    """A link with curves that are configured and enabled."""
    it = bench(curves=codes.split())
    it.start()
    it.rx(ICC_ECHO)
    it.until(it.now + 0.3)
    assert it.rx(EVITA_4) == command(0x53)
    it.rx(response(0x53, config))
    it.rx(response(0x54))
    it.faults.clear()
    return it


def waves(it: Bench) -> list[Waveform]:
    """What came as waveforms."""
    return [o for o in it.seen if isinstance(o, Waveform)]


def test_asks_configures_enables_and_enables_again() -> None:
    it = bench(curves=["00", "06"])
    it.start()
    it.rx(ICC_ECHO)
    it.until(it.now + 0.3)
    assert it.rx(EVITA_4) == command(0x53)
    assert it.rx(response(0x53, CONFIG)) == command(0x54, b"00010601")
    begun = it.now
    assert it.rx(bytes.fromhex("015435350d")) == ENABLE + command(0x24)
    it.rx(response(0x24))
    it.answer({}, begun + 21)
    assert [round(t - begun) for t, data in it.sent if ENABLE in data] == [0, 5, 10, 15, 20]


def test_none_are_asked_for_unless_named() -> None:
    it = bench().up()
    it.rx(response(0x24))
    it.answer({}, it.now + 30)
    assert len(it.sent) > 50
    assert not [data for _t, data in it.sent if data[:2] in (b"\x1bS", b"\x1bT") or b"\xd0" in data]


def test_the_documents_own_sample() -> None:
    it = streaming()
    it.rx(bytes.fromhex("d391818d83"))
    it.stop()
    paw, co2 = waves(it)
    assert (paw.samples, paw.unit, paw.interval_us) == ((81,), "mbar", 16000)
    assert paw.offset + paw.scale * 81 == Decimal("0.125")
    assert co2.samples == (205,)
    assert round(co2.offset + co2.scale * 205, 3) == Decimal("1.964")
    assert co2.unit == "mm[Hg]"


def test_a_waveform_a_second_and_no_sample_lost_between_them() -> None:
    it = streaming("00")
    for n in range(130):
        it.rx(b"\xd1" + value(n), 0.001)
    it.stop()
    got = waves(it)
    assert [(w.start, len(w.samples)) for w in got] == [(0, 62), (62, 62), (124, 6)]
    assert [x for w in got for x in w.samples] == list(range(130))


def test_breath_marks() -> None:
    it = streaming("00")
    it.rx(b"\xd1" + value(1) + b"\xc6\xc0\xd1" + value(2) + b"\xd1\xc6\xc1" + value(3) + b"\xc6\xc7")
    it.stop()
    assert waves(it)[0].marks == (Mark(1, "inspiration"), Mark(2, "expiration"))


def test_marks_are_bounded() -> None:
    it = streaming("00")
    it.rx(b"\xd1" + value(1) + b"\xc6\xc0" * 1000 + b"\xd1" + value(2))
    it.stop()
    assert waves(it)[0].marks == (Mark(1, "inspiration"),) * 64


def test_a_mark_behind_the_last_sample_is_the_next_ones() -> None:
    it = streaming("00")
    for n in range(62):
        it.rx(b"\xd1" + value(n) + (b"\xc6\xc0" if n == 61 else b""))
    it.rx(b"\xd1" + value(62) + b"\xd1" + value(63) + b"\xc6\xc1")
    it.rx(response(0x24, b"73 12 "))
    it.rx(b"\xd1" + value(64))
    it.stop()
    assert [(w.start, len(w.samples), w.marks) for w in waves(it)] == [
        (0, 62, ()),
        (62, 2, (Mark(0, "inspiration"),)),
        (64, 1, (Mark(0, "expiration"),)),
    ]


@pytest.mark.parametrize("echo", [0x24, 0x2B])
def test_curves_and_values_of_a_breath_have_one_time(echo: int) -> None:
    """What came of the curves up to the answer is said just before its values, in one output."""
    it = streaming()
    it.rx(b"\xd3" + value(1) + value(2) + b"\xc6\xc0\xd3" + value(3) + value(4))
    first = len(it.seen)
    whole = response(echo, b"EB 98 00 10 ")
    it.rx(whole[:9] + b"\xd3" + value(5) + value(6) + whole[9:] + b"\xd3" + value(7) + value(8))
    said = it.seen[first:]
    assert [type(o) for o in said] == [Waveform, Waveform, Numeric, Numeric]
    assert [w.samples for w in waves(it)] == [(1, 3, 5), (2, 4, 6)]
    it.stop()
    assert [(w.start, w.samples) for w in waves(it)[2:]] == [(3, (7,)), (3, (8,))]


@pytest.mark.parametrize("echo", [0x25, 0x26, 0x27, 0x29, 0x2A])
def test_other_answers_do_not_cut_the_curves(echo: int) -> None:
    it = streaming("00")
    it.rx(b"\xd1" + value(1) + response(echo) + b"\xd1" + value(2))
    it.stop()
    assert [w.samples for w in waves(it)] == [(1, 2)]


def test_a_curve_without_a_unit_is_published_as_counted() -> None:
    it = streaming("1C", b"1C   16000-  10  100370")
    it.rx(b"\xd1" + value(81) + b"\xd1" + value(0x371) + b"\xd1" + value(0x370))
    it.stop()
    (wave,) = waves(it)
    assert (wave.metric, wave.unit, wave.scale, wave.offset) == ("", "", Decimal(1), Decimal(0))
    assert (wave.validity, wave.reason, wave.samples) == ("questionable", "unit_unknown", (81, None, 0x370))
    assert wave.vendor == Vendor("RT.1C", "1C   16000-  10  100370")


def test_curves_of_another_device_are_counts_and_what_was_scaled_ends() -> None:
    it = streaming("00")
    it.rx(b"\xd1" + value(1))
    it.rx(response(0x52, b"8250'Savina'03.00:04.00") + b"\xd1" + value(2))
    assert [(w.unit, w.samples) for w in waves(it)] == [("mbar", (1,))]
    it.rx(response(0x53, CONFIG) + b"\xd1" + value(3))
    it.stop()
    assert [(w.unit, w.samples) for w in waves(it)][1:] == [("", (3,))]


def test_a_stream_that_is_skipped_is_a_hole() -> None:
    it = streaming()
    it.rx(b"\xd3" + value(1) + value(2) + b"\xd1" + value(3) + b"\xd2" + value(4))
    it.stop()
    paw, co2 = waves(it)
    assert (paw.samples, co2.samples) == ((1, 3, None), (2, None, 4))


def test_a_slower_stream_is_no_hole() -> None:
    it = streaming(config=CONFIG.replace(b"06   16000", b"06   32000"))
    it.rx(b"\xd3" + value(1) + value(2) + b"\xd1" + value(3) + b"\xd3" + value(5) + value(4))
    it.stop()
    paw, co2 = waves(it)
    assert (paw.samples, paw.interval_us) == ((1, 3, 5), 16000)
    assert (co2.samples, co2.interval_us) == ((2, 4), 32000)


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        (b"\xd3" + value(7), "realtime"),
        (b"\xd3" + value(7) + b"\x80", "realtime"),
        (b"\xd3" + value(7) + b"\x80\xc6", "realtime"),
        (b"\xd3" + value(7) + b"\xe0", "realtime"),
        (b"\xd3\xc6", "realtime"),
    ],
)
def test_a_damaged_cycle_is_a_hole(damaged: bytes, why: str) -> None:
    it = streaming()
    it.rx(b"\xd3" + value(1) + value(2) + damaged + b"\xd3" + value(3) + value(4))
    it.stop()
    paw, co2 = waves(it)
    assert (paw.samples, co2.samples) == ((1, None, 3), (2, None, 4))
    assert set(it.faults) == {why}


def test_a_value_too_many_adds_nothing() -> None:
    it = streaming()
    it.rx(b"\xd3" + value(1) + value(2) + value(9) + value(9) + b"\xd3" + value(3) + value(4))
    it.stop()
    assert waves(it)[0].samples == (1, 3)
    assert it.faults == ["realtime"]


def test_a_byte_that_is_none_between_cycles_adds_nothing() -> None:
    it = streaming("00")
    it.rx(b"\xf0\x91\xd1" + value(1) + b"\xe5\x91\xd1" + value(2))
    it.stop()
    assert waves(it)[0].samples == (1, 2)


def test_beyond_maxbin_is_absent() -> None:
    it = streaming("00")
    it.rx(b"\xd1" + value(0x370) + b"\xd1" + value(0x371))
    it.stop()
    assert waves(it)[0].samples == (0x370, None)
    assert it.faults == ["realtime"]


def test_a_waveform_of_holes_alone_is_absent() -> None:
    it = streaming("00")
    it.rx(b"\xd1" + value(0xFFF))
    it.stop()
    assert (waves(it)[0].validity, waves(it)[0].reason) == ("not_available", "missing")


def test_the_device_says_that_our_bytes_were_corrupt() -> None:
    it = streaming("00")
    it.rx(b"\xd0\xcf\xc0\xc0\xc0")
    assert it.faults == ["realtime"]


def test_streams_beyond_four_are_stepped_over() -> None:
    it = streaming("00")
    it.rx(b"\xd1\xc4\xc3" + value(1) + value(99) + value(98))
    it.rx(b"\xd1" + value(2) + value(99) + value(98))
    it.rx(b"\xd1" + value(3) + b"\xc5\xc1" + value(99) + value(98))
    it.rx(b"\xd1" + value(4) + value(99) + value(98) + value(97) + b"\xc4\xc0")
    it.rx(b"\xd1\xc5\xc0" + value(5))
    it.stop()
    assert waves(it)[0].samples == (1, 2, 3, 4, 5)
    assert it.faults == []


def test_without_a_configuration_there_are_no_numbers() -> None:
    it = bench(curves=["00"])
    it.start()
    it.rx(b"\xd1" + value(1), 0.1)
    it.rx(b"\xd1" + value(2), 0.1)
    it.stop()
    assert waves(it) == []
    assert it.faults == ["curve_unconfigured"]


def test_after_icc_the_old_scaling_is_forgotten() -> None:
    it = streaming("00")
    it.rx(b"\xd1" + value(1) + ICC + b"\xd1" + value(2))
    assert [w.samples for w in waves(it)] == [(1,)]
    assert it.faults == ["curve_unconfigured"]


def test_a_changed_configuration_is_read_again() -> None:
    it = streaming("00")
    it.rx(response(0x24))
    it.rx(b"\xd1" + value(1))
    assert it.rx(response(0x27) + command(0x56)) == response(0x56) + command(0x53)
    assert [w.samples for w in waves(it)] == [(1,)]
    assert it.rx(response(0x53, CONFIG)) == command(0x54, b"0001")


def test_curves_that_the_device_lacks_are_left_out() -> None:
    it = bench(curves=["01", "00", "2A"])
    it.start()
    it.rx(ICC_ECHO)
    it.until(it.now + 0.3)
    it.rx(EVITA_4)
    assert it.rx(response(0x53, CONFIG + b"2A   16000    0  100370")) == command(0x54, b"00012A01")
    assert it.faults == ["curve_unavailable"]


def test_no_curve_at_all_and_the_polls_go_on() -> None:
    it = bench(curves="01")
    it.start()
    it.rx(ICC_ECHO)
    it.until(it.now + 0.3)
    it.rx(EVITA_4)
    assert it.rx(response(0x53)) == command(0x24)


def test_a_device_that_refuses_curves_is_polled_all_the_same() -> None:
    it = bench(curves=["00"])
    it.start()
    for _n in range(200):
        last = it.sent[-1][1]
        answer = {ICC: ICC_ECHO, command(0x52): EVITA_4, command(0x53): response(0x15)}.get(last, NOP)
        it.rx(answer, 0.1)
        it.until(it.now + 0.5)
        if last == command(0x24):
            break
    assert last == command(0x24)
    assert it.faults.count("shelved") == 1


def test_a_pause_gives_out_what_came() -> None:
    it = streaming("00")
    it.rx(b"\xd1" + value(1))
    it.until(it.now + 3.1)
    assert waves(it)[0].samples == (1,)


@given(st.lists(st.integers(0x80, 0xFF), max_size=300).map(bytes), st.integers(1, 7))
def test_the_cut_of_the_stream_says_nothing(data: bytes, size: int) -> None:
    whole, cut = streaming(), streaming()
    whole.rx(data)
    for at in range(0, len(data), size):
        cut.rx(data[at : at + size])
    whole.stop()
    cut.stop()
    assert waves(cut) == waves(whole)
    assert cut.faults == whole.faults
    for wave in waves(whole):
        assert all(x is None or 0 <= x <= 0x460 for x in wave.samples)
