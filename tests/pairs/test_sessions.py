"""Hours, and a day, of a device with every fault of its simulator and with the cable pulled now and then.

Nothing is believed that was not said, nothing forbidden is sent, and it recovers each time. The faults are those of
the simulator: noise, flips, half frames, reboots, silence, the device's clock set by an hour or a day.
"""

import random
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest

from drivers import catalog
from drivers.contract import NOISE
from drivers.observation import Alert, Enumeration, Numeric, Waveform
from drivers.observation import Device as Mds
from simulators.devices.datagrams import STREAM_FAULTS
from tests.pairs.devices import MONITORS, OXIMETERS, PUSHING, SAME_WORDS, SKETCHES, VENTILATORS, WITH_CURVES
from tests.pairs.pairing import Device, Talk
from tests.pairs.said import Word, number, words

TWO_HOURS_S, DAY_S = 7200.0, 86_400.0
TROUBLE_S, CALM_S = 120.0, 480.0
"""All faults at once, then none; a line is not believed for five minutes after a damaged frame (drivers/quality)."""
LONGEST_PULL_S = 60.0
"""The cable is pulled once in each trouble, for up to so long."""
FAULT_RATE = "0.02"
HEXADECIMAL = {"philips_intellivue"}
AGREEING = {"contec_cms50"}
"""Drivers that see it all the same: frames must agree before a value is believed."""


def struck(talk: Talk) -> frozenset[str]:
    """All faults; without a checksum a flipped bit inside a digit is a digit, and nobody can see it."""
    unseen = () if talk.profile.protocol.checksum or talk.profile.driver in AGREEING else ("flipped_bit",)
    elsewhere = STREAM_FAULTS | {"aborted_frame"} if talk.simulator.is_datagram else {"swapped"}
    return frozenset(talk.simulator.FAULTS) - {*unseen, *elsewhere}


def spoken(driver: str, one: Numeric) -> Decimal | str | None:
    """The number in the device's text; where that is hexadecimal words, the value."""
    return one.value if driver in HEXADECIMAL else number(one.vendor.text if one.vendor else "")


def session(device: Device, until_s: float) -> tuple[Talk, set[Word], int]:
    """The right profile so long, then goodbye; what was said, and how many frames were damaged on purpose."""
    driver, name = device.right[0].split("/")
    simulator = device.make({"fault_rate": FAULT_RATE})
    talk, said = Talk(catalog.profile(driver, name), simulator, device.asks), set[Word]()
    chance = random.Random(1)
    while talk.now < until_s:
        begins, pull_s = talk.now, chance.uniform(1.0, LONGEST_PULL_S)
        simulator.faults = struck(talk)
        talk.until(begins + chance.uniform(0.0, TROUBLE_S - pull_s)).unplug(pull_s)
        talk.until(begins + TROUBLE_S)
        said.update(words(simulator))
        simulator.faults = frozenset()
        talk.until(begins + TROUBLE_S + CALM_S)
        said.update(words(simulator))
    return talk.stop(), said, simulator.injected.total()


@pytest.mark.parametrize("device", VENTILATORS, ids=str)
def test_two_hours_with_every_fault(device: Device) -> None:
    talk, said, faults = session(device, TWO_HOURS_S)
    believed = [one for one in talk.valid() if isinstance(one, Numeric | Enumeration) and one.vendor]
    wrong = {(one.mds, one.vendor.code, one.vendor.text.strip()) for one in believed if one.vendor} - said
    assert wrong == set()
    holds(talk, faults, TWO_HOURS_S)
    assert all(talk.simulator.injected[fault] for fault in struck(talk)), talk.simulator.injected
    assert len(believed) > TWO_HOURS_S / 2, "in the calm it is believed again"


@pytest.mark.parametrize("device", WITH_CURVES, ids=str)
def test_two_hours_of_curves_with_every_fault(device: Device) -> None:
    talk, _said, faults = session(device, TWO_HOURS_S)
    curves = [one for one in talk.valid() if isinstance(one, Waveform)]
    assert len(curves) > TWO_HOURS_S / 4, "in the calm they are believed again"
    holds(talk, faults, TWO_HOURS_S)


@pytest.mark.parametrize("device", [*SKETCHES, *OXIMETERS, *MONITORS, PUSHING], ids=str)
def test_a_day_with_every_fault(device: Device) -> None:
    """The two hands named some fields differently: what both name is compared, by its number."""
    talk, said, faults = session(device, DAY_S)
    names = SAME_WORDS[device.simulator]
    numbers = {(code, number(text)) for _mds, code, text in said}
    believed = [one for one in talk.valid() if isinstance(one, Numeric) and one.vendor and one.vendor.code in names]
    told = {(names[one.vendor.code], spoken(talk.profile.driver, one)) for one in believed if one.vendor}
    assert told - numbers == set()
    holds(talk, faults, DAY_S)
    assert all(talk.simulator.injected[fault] for fault in struck(talk)), talk.simulator.injected
    assert len(believed) > DAY_S / 87 or not names, "in the calm it is believed again"


def holds(talk: Talk, faults: int, until_s: float) -> None:
    """What every session must hold."""
    simulator = talk.simulator
    assert talk.rejected + talk.faults[NOISE] > faults / 40, "damaged frames are refused"
    assert simulator.illegal == []
    assert talk.unsent["not_allowed"] == talk.unsent["too_often"] == 0
    assert talk.last_frame_at > until_s - CALM_S / 10, "it comes back after the last fault"
    links = [one.connection for _at, one in talk.seen if isinstance(one, Mds) and not one.mds]
    assert links[-1] == "disconnected"
    assert list(repeated(talk)) == [], "an alert that the device repeats is one: on, then off"


def repeated(talk: Talk) -> Iterator[Alert]:
    """Alerts that went on as they were on already; a new connection begins anew."""
    known: dict[tuple[str, str], Alert] = {}
    for _at, one in talk.seen:
        if isinstance(one, Mds) and not one.mds:
            known.clear()
        elif isinstance(one, Alert) and one.vendor:
            key, said = (one.mds, one.vendor.code), msgspec.structs.replace(one, device_time="", validity="valid")
            if known.get(key) == said:
                yield one
            known[key] = said
