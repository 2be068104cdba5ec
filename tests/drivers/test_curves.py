"""How many samples a second options ask for, and which curves may not be asked for."""

from typing import Any

import msgspec
import pytest

from drivers import catalog
from drivers.curves import BadCurves, CurveStream, HasCurves, curve_stream

LINE_19200_8E1 = 19200 / 11


def options_of(driver: str, profile: str, **said: Any) -> msgspec.Struct:
    chosen = catalog.profile(driver, profile)
    return msgspec.convert({**chosen.options, **said}, catalog.driver_class(driver).Options)


KNOWN = [
    ("ge_dri", "s5", {"curves": ("ECG1", "INVP1", "CO2")}, 425),
    ("ge_dri", "s5", {"curves": "VOL"}, 25),
    ("nonin", "df2", {"curves": "PLETH"}, 75),
    ("contec_cms50", "cms50_v5", {"curves": ("PLETH",)}, 60),
    ("puritan_bennett", "waveform_port", {}, 100),
    ("puritan_bennett", "waveform_port", {"curves": "flow"}, 50),
]


@pytest.mark.parametrize(("driver", "profile", "said", "per_s"), KNOWN)
def test_the_rate_that_the_driver_knows(driver: str, profile: str, said: dict[str, Any], per_s: float) -> None:
    stream = curve_stream(options_of(driver, profile, **said))
    assert stream is not None
    assert stream.per_s == per_s
    assert stream.most(LINE_19200_8E1) == stream.most() == per_s
    assert stream.arrays_per_s == len(stream.codes)


MOST = [
    ("servo_cie", "servo_i", {"curves": ("100", "113"), "interval_us": 20_000}, 100),
    ("servo_sci", "servo_u", {"curves": ("000", "001", "002"), "interval_us": 10_000}, 300),
]


@pytest.mark.parametrize(("driver", "profile", "said", "most"), MOST)
def test_a_stream_that_polls_interrupt_has_a_most(
    driver: str, profile: str, said: dict[str, Any], most: float
) -> None:
    stream = curve_stream(options_of(driver, profile, **said))
    assert stream is not None
    assert (stream.per_s, stream.most()) == (None, most)


def test_a_rate_of_the_device_is_bounded_by_its_line() -> None:
    """MEDIBUS: a cycle of two curves is five bytes."""
    stream = curve_stream(options_of("draeger_medibus", "evita_4", curves=("00", "01")))
    assert stream is not None
    assert (stream.codes, stream.per_s, stream.most()) == (("00", "01"), None, None)
    assert stream.most(LINE_19200_8E1) == pytest.approx(19200 / 11 / 5 * 2)


def test_the_documented_most_counts_where_the_line_carries_more() -> None:
    stream = CurveStream(("a",), most_per_s=500, line_bytes=2)
    assert stream.most() == 500
    assert stream.most(2000) == 500
    assert stream.most(200) == 100


class _Untold(msgspec.Struct):
    curve_codes: frozenset[str] = frozenset()


def test_a_driver_that_tells_no_rate_leaves_it_open() -> None:
    assert curve_stream(_Untold()) is None
    stream = curve_stream(_Untold(frozenset(("B", "A"))))
    assert stream == CurveStream(("A", "B"))
    assert stream.most(1000) is None


@pytest.mark.parametrize("driver", catalog.DRIVERS)
def test_no_driver_has_curves_unless_they_are_named(driver: str) -> None:
    """Off by default: only a profile that is for nothing else brings its own."""
    for name, profile in catalog.profiles(driver).items():
        if name != "waveform_port":
            options = options_of(driver, name, **({} if driver != "registers" else {"unit": 1}))
            assert curve_stream(options) is None, profile.name


@pytest.mark.parametrize("driver", catalog.DRIVERS)
def test_options_with_curves_tell_them(driver: str) -> None:
    kind = catalog.driver_class(driver).Options
    if "curves" in kind.__struct_fields__:
        assert hasattr(kind, "curve_codes") or issubclass(kind, HasCurves)


WRONG = [
    ("ge_dri", "s5", ("ECG9",), "curves: ECG9: there is no such curve; there are: ECG1, ECG2"),
    ("ge_dri", "s5", ("CO2", "CO2"), "curves: CO2: named twice"),
    ("ge_dri", "s5", ("ECG1", "ECG2", "ECG3"), "curves: at most 600 samples a second"),
    ("ge_dri", "s5", ("CO2", "GAS10", "GAS11", "GAS12", "AWP", "FLOW", "VOL", "INVP1", "INVP2"), "curves: at most 8"),
    ("draeger_medibus", "evita_4", ("0g",), "curves: 0g: a curve is named by two hexadecimal digits"),
    ("draeger_medibus", "evita_4", ("00", "01", "00"), "curves: 00: named twice"),
    ("draeger_medibus", "evita_4", ("00", "01", "02", "03", "06"), "curves: at most 4"),
    ("nonin", "df8", "PLETH", "curves: there are none in the data format of this profile"),
    ("nonin", "df2", "pleth", "curves: pleth: there is no such curve; there are: PLETH"),
    ("contec_cms50", "cms50_v7", "PLETH", "curves: there are none in the data format of this profile"),
    (
        "puritan_bennett",
        "waveform_port",
        ("volume",),
        "curves: volume: there is no such curve; there are: flow, pres",
    ),
    ("servo_cie", "servo_i", ("100",), "curves: they need interval_us"),
]


@pytest.mark.parametrize(("driver", "profile", "curves", "why"), WRONG)
def test_curves_that_cannot_be_asked_for(driver: str, profile: str, curves: Any, why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why) as raised:
        options_of(driver, profile, curves=curves)
    cause = raised.value.__cause__
    assert isinstance(cause, BadCurves)
    assert str(cause) == f"curves: {cause.template.format(**cause.facts)}"
