"""The samples a second that a driver tells beforehand are those that its device then brings."""

from typing import Any

import msgspec
import pytest

from drivers import catalog
from drivers.curves import curve_stream
from drivers.observation import Waveform
from simulators.devices.catalog import SIMULATORS
from tests.pairs.devices import ALL_OF_MEDIBUS, CIE, SCI
from tests.pairs.pairing import Talk

SECONDS = 60.0
SECOND_US = 1_000_000
LINE_BYTES_PER_S = 19200 / 11
"""8E1."""
DEVICES = [
    ("ge_dri", "ge_dri", "s5", {"model": "s5"}, {"curves": ("ECG1", "INVP1", "CO2")}),
    ("servo_cie", "servo_cie", "servo_i", {"model": "servo_i"}, CIE),
    ("servo_sci", "servo_sci", "servo_u", {"model": "servo_u"}, SCI),
    ("nonin", "nonin", "df2", {"format": "df2"}, {"curves": "PLETH"}),
    ("contec_cms50", "contec_cms50", "cms50_v5", {}, {"curves": "PLETH"}),
    ("puritan_bennett_waveforms", "puritan_bennett", "waveform_port", {}, {}),
    ("draeger_medibus", "draeger_medibus", "evita_4", {"model": "evita_4"}, ALL_OF_MEDIBUS),
]


@pytest.mark.parametrize(
    ("simulator", "driver", "profile", "made", "asks"), DEVICES, ids=[each[0] for each in DEVICES]
)
def test_what_comes_is_what_was_told(
    simulator: str, driver: str, profile: str, made: dict[str, str], asks: dict[str, Any]
) -> None:
    talk = Talk(catalog.profile(driver, profile), SIMULATORS[simulator](1, frozenset(), made), asks).until(SECONDS)
    waves = [one for _at, one in talk.seen if isinstance(one, Waveform)]
    intervals = {wave.vendor.code: wave.interval_us for wave in waves if wave.vendor}
    options = catalog.driver_class(driver).Options
    stream = curve_stream(msgspec.convert({**talk.profile.options, **asks}, options))
    assert stream is not None
    assert len(intervals) == len(stream.codes)
    come = sum(SECOND_US / interval for interval in intervals.values())
    counted = sum(len(wave.samples) for wave in waves) / SECONDS
    most = stream.most(LINE_BYTES_PER_S)
    assert most is not None
    assert 0 < counted <= 1.01 * most
    assert come <= 1.001 * most
    if stream.per_s is not None:
        assert come == pytest.approx(stream.per_s, rel=0.001)
        assert counted > 0.85 * stream.per_s
    assert len(waves) / SECONDS < 2 * stream.arrays_per_s + 0.1
