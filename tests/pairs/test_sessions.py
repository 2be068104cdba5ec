"""Two hours of a device with every fault of its simulator: nothing is believed that was not said, and it recovers."""

import pytest

from drivers import catalog
from drivers.observation import Device as Mds
from drivers.observation import Enumeration, Numeric
from tests.pairs.devices import VENTILATORS
from tests.pairs.pairing import Device, Talk
from tests.pairs.said import Word, words

TWO_HOURS_S = 7200.0
TROUBLE_S, CALM_S = 120.0, 480.0
"""All faults at once, then none; a line is not believed for five minutes after a damaged frame (drivers/quality)."""
FAULT_RATE = "0.02"


def session(device: Device) -> tuple[Talk, set[Word], int]:
    """The right profile for two hours, goodbye; what was said, and how many frames were damaged on purpose."""
    driver, name = device.right[0].split("/")
    simulator = device.make({"fault_rate": FAULT_RATE})
    talk, said = Talk(catalog.profile(driver, name), simulator, device.asks), set[Word]()
    while talk.now < TWO_HOURS_S:
        for faults, seconds in ((frozenset(simulator.FAULTS), TROUBLE_S), (frozenset(), CALM_S)):
            simulator.faults = frozenset[str](faults)
            talk.until(talk.now + seconds)
            said.update(words(simulator))
    return talk.stop(), said, simulator.injected.total()


@pytest.mark.parametrize("device", VENTILATORS, ids=str)
def test_two_hours_with_every_fault(device: Device) -> None:
    talk, said, faults = session(device)
    simulator = talk.simulator
    believed = [one for one in talk.valid() if isinstance(one, Numeric | Enumeration) and one.vendor]
    wrong = {(one.mds, one.vendor.code, one.vendor.text.strip()) for one in believed if one.vendor} - said
    assert wrong == set()
    assert all(simulator.injected[fault] for fault in simulator.FAULTS), simulator.injected
    assert talk.rejected > faults / 20, "damaged frames are refused"
    assert simulator.illegal == []
    assert talk.unsent["not_allowed"] == talk.unsent["too_often"] == 0
    assert len(believed) > TWO_HOURS_S / 2, "in the calm it is believed again"
    assert talk.last_frame_at > TWO_HOURS_S - CALM_S / 10, "it comes back after the last fault"
    links = [one.connection for _at, one in talk.seen if isinstance(one, Mds) and not one.mds]
    assert links[-1] == "disconnected"
