"""Hazard H16: a device behind the wrong profile. Every simulator against every profile: no wrong pair is believed."""

import pytest

from drivers import catalog
from drivers.observation import Numeric
from drivers.profile import Profile
from tests.pairs.devices import DEVICES
from tests.pairs.pairing import Device, Talk, stream_profiles

MINUTE_S = 60.0
PROFILES = list(stream_profiles())
SAME_BY_NATURE = {
    frozenset({"astm/sysmex_xp", "astm/erba_xl"}),
    frozenset({"nellcor_ascii/npb_290", "nellcor_ascii/n_595"}),
}
"""Profiles of one protocol whose messages do not name the model, and mean the same with each."""
RAW_ONLY = {"astm", "hamilton_g5", "hl7_monitor"}
"""Drivers whose right pair has no value under a table of its own: results, or all in the device's own codes."""


def name_of(profile: Profile) -> str:
    return f"{profile.driver}/{profile.name}"


def is_generic_for(profile: Profile, device: Device) -> bool:
    """A profile that takes any device of its protocol, for only what all of them mean alike."""
    return profile.name == "generic" and profile.driver == device.right[0].partition("/")[0]


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("profile", PROFILES, ids=name_of)
def test_a_wrong_profile_is_not_believed(device: Device, profile: Profile) -> None:
    talk = Talk(profile, device.make()).until(MINUTE_S)
    believed = list(talk.valid())
    assert talk.unsent["not_allowed"] == 0
    if name_of(profile) in device.right:
        assert believed or profile.driver in RAW_ONLY, "the right pair is heard"
    elif device.right and is_generic_for(profile, device):
        right = catalog.profile(*device.right[0].split("/")).by_code
        units = {one.vendor.code: one.unit for one in believed if isinstance(one, Numeric) and one.vendor}
        assert units == {code: right[code].unit if code in right else unit for code, unit in units.items()}
        assert units or profile.driver in RAW_ONLY
    elif not any({name_of(profile), right} in SAME_BY_NATURE for right in device.right):
        assert believed == []
