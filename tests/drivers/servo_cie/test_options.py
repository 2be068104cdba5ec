"""What the configuration may say: channels of the right class, none that is fixed, curves only with an interval."""

from typing import Any

import msgspec
import pytest

from drivers import catalog
from drivers.profile import Profile
from drivers.servo_cie.options import Options

CIE = catalog.profile("servo_cie", "servo_i")
SCI = catalog.profile("servo_sci", "servo_u")


@pytest.mark.parametrize(
    ("profile", "options"),
    [
        (CIE, {"breath": ("20",)}),
        (CIE, {"breath": ("2OO",)}),
        (CIE, {"breath": "300"}),
        (CIE, {"breath": ("200", "200")}),
        (CIE, {"breath": ("213",)}),
        (CIE, {"curves": ("104",), "interval_us": 20000}),
        (CIE, {"curves": ("100",)}),
        (CIE, {"curves": ("100", "101", "102", "103", "113"), "interval_us": 20000}),
        (CIE, {"alarms": tuple(str(400 + n) for n in range(51))}),
        (CIE, {"settings": ("410",)}),
        (CIE, {"limits": ("600",)}),
        (CIE, {"poll_s": 1.0}),
        (CIE, {"interval_us": -1}),
        (CIE, {"unknown": 1}),
        (SCI, {"limits": ("500",)}),
        (SCI, {"breath": ("400",)}),
        (SCI, {"curves": ("000",)}),
        (SCI, {"limits_s": 1.0}),
        (SCI, {"curves": tuple(f"00{n}" for n in range(7)), "interval_us": 10000}),
    ],
)
def test_refused(profile: Profile, options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        catalog.create(profile, options)


@pytest.mark.parametrize(
    ("profile", "options"),
    [
        (CIE, {"breath": "200", "curves": ("100", "113"), "interval_us": 20000}),
        (SCI, {"limits": "600", "breath": ("399",), "curves": ("000", "006"), "interval_us": 10000}),
    ],
)
def test_accepted(profile: Profile, options: dict[str, Any]) -> None:
    catalog.create(profile, options)


def test_fixed_channels_are_in_no_table() -> None:
    assert {104, 112, 213, 221, 228, 237} <= Options.FIXED
    assert not [row.code for row in CIE.metric if int(row.code) in Options.FIXED]
