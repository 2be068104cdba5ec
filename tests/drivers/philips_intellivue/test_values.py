"""What numerics, their state words and their alarms become, and curves."""

from decimal import Decimal

import pytest

from drivers.contract import Output
from drivers.observation import Alert, Numeric, Waveform
from drivers.philips_intellivue.observe import CUFF, MOST_CODES
from drivers.philips_intellivue.options import Options
from drivers.quality import Gate
from tests.drivers.masimo_ascii.port import alerts, devices, values
from tests.drivers.philips_intellivue import made
from tests.drivers.philips_intellivue.bedside import PROFILE, Bedside

NUMBERS = [
    (0x4182, made.BPM, "MDC_ECG_HEART_RATE", "/min"),
    (0x4BB8, made.PERCENT, "MDC_PULS_OXIM_SAT_O2", "%"),
    (0x4822, made.BPM, "", "/min"),
    (0x481A, made.BPM, "MDC_PULS_OXIM_PULS_RATE", "/min"),
    (0x500A, 0x0AE0, "MDC_RESP_RATE", "/min"),
    (0x4A05, made.MMHG, "MDC_PRESS_BLD_NONINV_SYS", "mm[Hg]"),
    (0x4A06, made.MMHG, "MDC_PRESS_BLD_NONINV_DIA", "mm[Hg]"),
    (0x4A07, made.MMHG, "MDC_PRESS_BLD_NONINV_MEAN", "mm[Hg]"),
    (0x4A11, made.MMHG, "MDC_PRESS_BLD_ART_SYS", "mm[Hg]"),
    (0x4A12, made.MMHG, "MDC_PRESS_BLD_ART_DIA", "mm[Hg]"),
    (0x4A13, made.MMHG, "MDC_PRESS_BLD_ART_MEAN", "mm[Hg]"),
    (0x4A15, made.MMHG, "MDC_PRESS_BLD_ART_ABP_SYS", "mm[Hg]"),
    (0x4A16, made.MMHG, "MDC_PRESS_BLD_ART_ABP_DIA", "mm[Hg]"),
    (0x4A17, made.MMHG, "MDC_PRESS_BLD_ART_ABP_MEAN", "mm[Hg]"),
    (0x4A47, made.MMHG, "MDC_PRESS_BLD_VEN_CENT_MEAN", "mm[Hg]"),
    (0x580B, made.MMHG, "MDC_PRESS_INTRA_CRAN_MEAN", "mm[Hg]"),
    (0x50B0, made.MMHG, "MDC_AWAY_CO2_ET", "mm[Hg]"),
    (0x4B48, 0x17A0, "MDC_TEMP", "Cel"),
    (0x4BB0, made.PERCENT, "MDC_PULS_OXIM_PERF_REL", "%"),
    (0xF04E, 0x0200, "", "1"),
    (0x4A05, made.KPA, "MDC_PRESS_BLD_NONINV_SYS", "kPa"),
    (0x4A13, made.KPA, "MDC_PRESS_BLD_ART_MEAN", "kPa"),
    (0x50B0, made.KPA, "MDC_AWAY_CO2_ET", "kPa"),
    (0x4A2F, made.MMHG, "", "mm[Hg]"),
    (0x4182, made.PERCENT, "", "%"),
    (0x4B48, made.KPA, "", "kPa"),
]


def numbers(seen: list[object]) -> list[Numeric]:
    """The numerics alone."""
    return [one for one in seen if isinstance(one, Numeric)]


@pytest.mark.parametrize(("physio", "unit", "metric", "ucum"), NUMBERS)
def test_names_and_units(physio: int, unit: int, metric: str, ucum: str) -> None:
    """A unit that is not the row's takes the name away, never the unit that was sent."""
    here = Bedside()
    (one,) = numbers([*here.rx(made.result(made.numeric(physio, unit, made.real(305, -1))))])
    validity = "questionable" if physio in CUFF else "valid"
    assert (one.metric, one.unit, one.value, one.validity) == (metric, ucum, Decimal("30.5"), validity)


@pytest.mark.parametrize(
    ("state", "value", "why"),
    [
        (0x8000, "", "invalid"),
        (0x2000, "", "unavailable"),
        (0x1000, "", "calibrating"),
        (0x0800, "", "test"),
        (0x0400, "", "demo"),
        (0xFFFF, "", "invalid"),
        (0x6000, "", "unavailable"),
        (0x4000, "72", "questionable"),
        (0x4080, "72", "questionable"),
        (0x0040, "72", "early"),
        (0x0020, "72", "ongoing"),
        (0x0080, "72", "valid"),
        (0x0003, "72", "valid"),
        (0x0000, "72", "valid"),
        (0x0100, "72", "unknown_state"),
        (0x0220, "72", "unknown_state"),
    ],
)
def test_state_bits(state: int, value: str, why: str) -> None:
    here = Bedside()
    found = values(here.rx(made.result(made.numeric(made.HR, made.BPM, made.real(72), state))))
    assert found == [("4182", value, why)]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("00 7F FF FF", "not_a_number"),
        ("00 80 00 00", "not_at_this_resolution"),
        ("00 7F FF FE", "positive_infinity"),
        ("00 80 00 02", "negative_infinity"),
        ("00 80 00 01", "reserved"),
        ("FE 7F FF FF", "not_a_number"),
        ("03 80 00 00", "not_at_this_resolution"),
    ],
)
def test_special_words_are_absent(word: str, reason: str) -> None:
    here = Bedside()
    wire = made.result(made.numeric(made.HR, made.BPM, bytes.fromhex(word)))
    assert values(here.rx(wire)) == [("4182", "", reason)]
    assert values(here.rx(wire)) == []
    assert devices(here.seen)[-1][1] == "in_use"  # a cuff that has no value yet is a monitor in use all the same


def test_what_no_range_allows_is_questionable() -> None:
    here = Bedside()
    wire = made.result(
        made.numeric(made.SPO2, made.PERCENT, made.real(101)),
        made.numeric(made.HR, made.BPM, made.real(401), 0x0020),
        made.numeric(0x4A11, made.KPA, made.real(60)),
    )
    judged = Gate(PROFILE).check(Output(observations=tuple(here.rx(wire))), 1.0).observations
    assert [why for _code, _value, why in values(list(judged))] == ["implausible"] * 3


def test_an_unknown_unit_is_no_number() -> None:
    here = Bedside()
    (one,) = numbers([*here.rx(made.result(made.numeric(made.HR, 0x0AAA, made.real(72))))])
    assert (one.value, one.reason, one.unit) == (None, "unit_unknown", "")
    assert one.vendor
    assert one.vendor.text == "0000 0AAA 00000048"


def test_the_cuff_has_its_own_time_and_is_said_once() -> None:
    here = Bedside()
    early = bytes.fromhex("20 26 11 24 14 25 00 00")
    first = numbers([*here.rx(made.result(made.nibp(120, 80, 93, stamp=early)))])
    assert [(str(one.value), one.device_time) for one in first] == [
        (value, "2026-11-24 14:25:00.00") for value in ("120", "80", "93")
    ]
    assert numbers([*here.rx(made.result(made.nibp(120, 80, 93, stamp=early)))]) == []
    assert numbers([*here.rx(made.result(made.nibp(120, 80, 93, stamp=early, state=2)))]) == []
    assert len(numbers([*here.rx(made.result(made.nibp(120, 80, 93)))])) == 3
    assert len(numbers([*here.rx(made.result(made.nibp(120, 80, 93, state=0x8000)))])) == 3
    here.take(here.driver.start(here.now))
    assert len(numbers([*here.rx(made.result(made.nibp(120, 80, 93)))])) == 3


def test_a_cuff_without_its_time_is_of_any_age() -> None:
    """It stands on the screen until the next one: said once, and never as valid."""
    here = Bedside()
    timeless = made.polled(ava_of(120), handle=99)
    for wire in (made.nibp(120, stamp=b"\xff" * 8), timeless):
        (one,) = numbers([*here.rx(made.result(wire))])
        assert (one.value, one.validity, one.reason) == (Decimal(120), "questionable", "no_time")
        assert one.device_time == "2026-11-24 14:30:15.00"
        assert numbers([*here.rx(made.result(wire))]) == []
    assert len(numbers([*here.rx(made.result(made.polled(ava_of(121), handle=99)))])) == 1


def ava_of(systolic: int) -> bytes:
    """A systolic pressure without a time stamp."""
    return made.ava(0x0950, made.value(0x4A05, made.MMHG, made.real(systolic)))


def test_an_alert_of_a_value_that_is_not_sent_any_more_ends() -> None:
    here = Bedside()
    ecg = made.numeric(made.HR, made.BPM, made.real(72), state=1)
    assert alerts(here.rx(made.result(ecg, *made.USUAL[1:], relative=8000))) == [("4182.0001", "on")]
    assert alerts(here.rx(made.result(ecg, *made.USUAL[1:], relative=8000 * 30))) == []
    assert alerts(here.rx(made.result(*made.USUAL[1:], relative=8000 * 89))) == []
    assert alerts(here.rx(made.result(*made.USUAL[1:], relative=8000 * 91))) == [("4182.0001", "off")]
    assert alerts(here.rx(made.result(*made.USUAL[1:], relative=8000 * 200))) == []


def test_alarms_go_on_once_and_off_once() -> None:
    here = Bedside()

    def said(state: int) -> list[tuple[str, str]]:
        return alerts(here.rx(made.result(made.numeric(made.HR, made.BPM, made.real(72), state))))

    assert said(0) == []
    assert said(2) == [("4182.0002", "on")]
    assert said(0x8002) == []
    assert said(3) == [("4182.0001", "on")]
    assert said(1) == [("4182.0002", "off")]
    assert said(0) == [("4182.0001", "off")]
    found = [one for one in here.seen if isinstance(one, Alert)]
    assert {(one.alert, one.priority) for one in found} == {("unknown", "unknown"), ("technical", "none")}


def test_alarms_that_are_remembered_are_bounded() -> None:
    here = Bedside()
    for first in range(0, MOST_CODES + 100, 50):
        objects = [made.numeric(code, made.BPM, made.real(72), 2) for code in range(first, first + 50)]
        here.rx(made.result(*objects))
        stamped = [
            made.polled(made.ava(0x0950, made.value(c, made.BPM, made.real(7))), made.ava(0x0990, made.STAMP))
            for c in range(first, first + 50)
        ]
        here.rx(made.result(*stamped))
    on = [one for one in here.seen if isinstance(one, Alert) and one.presence == "on"]
    assert len(on) == MOST_CODES


def test_in_use_over_the_parts_of_a_result() -> None:
    here = Bedside()
    none = made.numeric(made.HR, made.BPM, made.real(72), 0x8000)

    def state(*parts: tuple[int, bytes]) -> str:
        for count, (part, one) in enumerate(parts, 1):
            here.rx(made.result(one, part=part, count=count))
        return devices(here.seen)[-1][1]

    assert state((0, none)) == "unknown"
    assert state((1, made.USUAL[0]), (2, none), (3, none), (0, none)) == "in_use"
    assert state((1, none), (3, none)) == "in_use"
    assert state((1, none)) == "in_use"  # the round before had no end: nobody knows what was in the rest of it
    assert state((0, none)) == "in_use"
    assert state((0, none)) == "unknown"
    assert state((2, none), (3, made.USUAL[1])) == "in_use"
    assert state((0, none)) == "in_use"
    assert state((0, none)) == "unknown"


def waves(seen: list[object]) -> list[Waveform]:
    """The waveforms alone."""
    return [one for one in seen if isinstance(one, Waveform)]


def test_a_curve_is_scaled_by_its_own_attributes() -> None:
    here = Bedside(Options(curves="4BB4"))
    (one,) = waves([*here.rx(made.result(made.curve(0x4BB4, [0, 0xF00A, 4095, 5]), kind=9))])
    assert one.samples == (0, 10, 4095, 5)
    assert (one.interval_us, one.scale, one.offset) == (16000, Decimal("0.1"), Decimal(0))
    assert (one.validity, one.reason, one.unit, one.start) == ("valid", "unit_unknown", "", 0)
    assert waves([*Bedside().rx(made.result(made.curve(0x4BB4, [1]), kind=9))]) == []


@pytest.mark.parametrize(
    ("physio", "unit", "metric", "ucum"),
    [
        (0x4BB4, 0x0200, "MDC_PULS_OXIM_PLETH", "1"),
        (0x0102, 0x10B2, "MDC_ECG_ELEC_POTL_II", "mV"),
        (0x0102, 0x10B3, "", "uV"),
        (0x0102, 0xFFFF, "MDC_ECG_ELEC_POTL_II", ""),
        (0x4182, 0x0AA0, "", "/min"),
        (0x1234, 0x0F20, "", "mm[Hg]"),
    ],
)
def test_the_unit_of_a_curve(physio: int, unit: int, metric: str, ucum: str) -> None:
    here = Bedside(Options(curves=f"{physio:04X}"))
    named = made.ava(0x0996, made.big(unit))
    first = made.curve(physio, [1], more=(named,))
    second = made.curve(physio, [1], with_scale=False)
    for relative, one in ((0, first), (2048, second)):
        (wave,) = waves([*here.rx(made.result(one, kind=9, relative=relative))])
        assert (wave.metric, wave.unit, wave.reason) == (metric, ucum, "" if ucum else "unit_unknown")


def test_a_sample_that_is_marked_as_invalid_is_none() -> None:
    here = Bedside(Options(curves="0102"))
    marks = made.ava(0x0A16, made.sized(made.big(1) + made.big(0x8000) + made.big(2) + made.big(0x4000), 2))
    wire = made.result(made.curve(0x0102, [7, 0x8007, 0x4007], more=(marks,)), kind=9)
    (one,) = waves([*here.rx(wire)])
    assert one.samples == (7, None, 7)


def test_a_shorter_array_is_counted_as_it_is() -> None:
    here = Bedside(Options(curves="4BB4"))
    here.rx(made.result(made.curve(0x4BB4, [1] * 16), kind=9, relative=0))
    short = made.curve(0x4BB4, [1] * 8, with_scale=False)
    starts = [waves([*here.rx(made.result(short, kind=9, relative=at))])[0].start for at in (2048, 3072)]
    assert starts == [16, 24]


def test_curves_of_a_demonstration_are_empty() -> None:
    here = Bedside(Options(curves="4BB4"))
    here.rx(made.result(made.alarms([], [], state=0x0100), kind=0x36))
    (one,) = waves([*here.rx(made.result(made.curve(0x4BB4, [1, 2]), kind=9))])
    assert (one.samples, one.reason) == ((None, None), "demo")


def test_two_measurement_servers_have_handles_of_their_own() -> None:
    here = Bedside(Options(curves="4BB4"))
    here.rx(made.result(made.curve(0x4BB4, [1]), kind=9, context=1))
    bare = made.curve(0x4BB4, [1], with_scale=False)
    assert waves([*here.rx(made.result(bare, kind=9, context=2))]) == []
    assert here.reasons() == ["scale_unknown"]


def test_a_scale_that_does_not_begin_at_nought() -> None:
    here = Bedside(Options(curves="0102"))
    scale = made.ava(0x096F, made.real(-40) + made.real(360) + made.big(100) + made.big(900))
    spec, period = made.ava(0x096D, made.big(2) + b"\x10\x10" + made.big(0)), made.ava(0x098D, made.big(16, 4))
    data = made.ava(0x0967, made.sized(made.array(0x0102, [100, 900]), 1))
    (one,) = waves([*here.rx(made.result(made.polled(scale, spec, period, data), kind=9))])
    assert [one.offset + one.scale * (sample or 0) for sample in one.samples] == [-40, 360]
    assert one.interval_us == 2000


@pytest.mark.parametrize("lost", [0, 1, 5])
def test_a_hole_in_a_curve_shows(lost: int) -> None:
    here = Bedside(Options(curves=("4BB4",)))
    first, second = (1 << 32) - 1000, (1 << 32) - 1000 + 2048 * (lost + 1)
    here.rx(made.result(made.curve(0x4BB4, [1] * 16), kind=9, relative=first))
    (one,) = waves([*here.rx(made.result(made.curve(0x4BB4, [1] * 16, with_scale=False), kind=9, relative=second))])
    assert one.start == 16 * (lost + 1)


@pytest.mark.parametrize(
    ("state", "validity", "reason", "sample"),
    [
        (0x8000, "not_available", "invalid", None),
        (0x0400, "not_available", "demo", None),
        (0x4000, "questionable", "questionable", 7),
    ],
)
def test_the_state_of_a_curve(state: int, validity: str, reason: str, sample: int | None) -> None:
    here = Bedside(Options(curves=("4BB4",)))
    (one,) = waves([*here.rx(made.result(made.curve(0x4BB4, [7], state=state), kind=9))])
    assert (one.validity, one.reason, one.samples) == (validity, reason, (sample,))


def test_a_curve_that_is_not_read_takes_nothing_else_with_it() -> None:
    """Samples of 8 bits, an odd number of them: the frame is good, and the curve beside them is published."""
    here = Bedside(Options(curves=("4BB4", "0102")))
    narrow = made.ava(0x096E, made.big(0x0102) + made.big(0) + made.sized(b"abc"))
    spec = made.ava(0x096D, made.big(3) + b"\x08\x08" + made.big(0))
    other = made.polled(spec, SCALE, PERIOD, narrow, handle=2)
    found = waves([*here.rx(made.result(other, made.curve(0x4BB4, [7]), kind=9))])
    assert [one.vendor.code for one in found if one.vendor] == ["4BB4"]
    assert here.reasons() == ["scale_unknown"]


NAN_SCALE = made.ava(0x096F, made.NAN + made.real(1) + made.big(0) + made.big(9))
FLAT_SCALE = made.ava(0x096F, made.real(0) + made.real(1) + made.big(9) + made.big(9))
SCALE = made.ava(0x096F, made.real(0) + made.real(1) + made.big(0) + made.big(9))
SPEC = made.ava(0x096D, made.big(1) + b"\x10\x0c" + made.big(0))
PERIOD = made.ava(0x098D, made.big(16, 4))


@pytest.mark.parametrize(
    "attributes",
    [
        (),
        (SPEC, SCALE),
        (SPEC, PERIOD),
        (SCALE, PERIOD),
        (SPEC, NAN_SCALE, PERIOD),
        (SPEC, FLAT_SCALE, PERIOD),
        (SPEC, SCALE, made.ava(0x098D, bytes(4))),
        (made.ava(0x096D, made.big(1) + b"\x08\x08" + made.big(0)), SCALE, PERIOD),
        (made.ava(0x096D, made.big(1) + b"\x10\x00" + made.big(0)), SCALE, PERIOD),
        (made.ava(0x096D, made.big(0) + b"\x10\x0c" + made.big(0)), SCALE, PERIOD),
        (made.ava(0x096D, made.big(1) + b"\x10\x11" + made.big(0)), SCALE, PERIOD),
    ],
)
def test_without_a_scale_there_is_no_curve(attributes: tuple[bytes, ...]) -> None:
    here = Bedside(Options(curves=("4BB4",)))
    here.reasons()
    wire = made.result(made.polled(*attributes, made.ava(0x096E, made.array(0x4BB4, [7]))), kind=9)
    assert waves([*here.rx(wire), *here.rx(wire)]) == []
    assert here.reasons() == ["scale_unknown"]


def test_a_scale_that_cannot_be_read_takes_the_place_of_the_old_one() -> None:
    here = Bedside(Options(curves=("4BB4",)))
    assert len(waves([*here.rx(made.result(made.curve(0x4BB4, [7]), kind=9))])) == 1
    gone = made.ava(0x096F, made.NAN + made.NAN + made.big(0) + made.big(4095))
    assert waves([*here.rx(made.result(made.curve(0x4BB4, [7], with_scale=False, more=(gone,)), kind=9))]) == []
    assert waves([*here.rx(made.result(made.curve(0x4BB4, [7], with_scale=False), kind=9))]) == []
    assert here.reasons() == ["scale_unknown"]
    assert len(waves([*here.rx(made.result(made.curve(0x4BB4, [7]), kind=9))])) == 1


def test_a_handle_that_another_curve_has_now_lends_it_no_scale() -> None:
    here = Bedside(Options(curves=("4BB4", "4A14")))
    here.rx(made.result(made.curve(0x4BB4, [7]), kind=9))
    other = made.polled(made.ava(0x096E, made.array(0x4A14, [7])), handle=0x4BB4)
    assert waves([*here.rx(made.result(other, kind=9))]) == []
    assert here.reasons() == ["scale_unknown"]


def test_what_is_remembered_of_curves_is_bounded_and_forgotten_at_a_start() -> None:
    here = Bedside(Options(curves=("4BB4",)))
    one = made.curve(0x4BB4, [7])
    for handle in range(200):
        here.rx(made.result(made.big(handle) + one[2:], kind=9))
    assert len(waves([*here.seen])) == 200
    late = made.curve(0x4BB4, [7], with_scale=False)
    assert waves([*here.rx(made.result(made.big(150) + late[2:], kind=9))]) == []
    assert len(waves([*here.rx(made.result(made.big(20) + late[2:], kind=9))])) == 1
    here.take(here.driver.start(here.now))
    assert waves([*here.rx(made.result(made.big(20) + late[2:], kind=9))]) == []
