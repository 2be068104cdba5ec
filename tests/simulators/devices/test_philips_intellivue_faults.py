"""The IntelliVue monitor: each fault, and what holds whatever happens."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import (
    datagrams,
    dri_frames,
    ge_dri,
    intellivue_frames,
    intellivue_objects,
    mindray_frames,
    mindray_pds,
    philips_intellivue,
    vitals,
)
from simulators.devices import intellivue_frames as wire
from simulators.devices.philips_intellivue import PhilipsIntellivue
from tests.simulators.devices import intellivue_talk as talk
from tests.simulators.devices.intellivue_talk import Box, Reply, known, one, poll


@pytest.mark.parametrize("fault", sorted(PhilipsIntellivue.FAULTS.keys() - {"swapped"}))
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    rate = "0.2" if fault == "refuse" else "0.05"
    box = Box(1, frozenset({fault}), silence_s="2", fault_rate=rate, linked="always")
    for turn in range(250):
        if box.device.terms is None:
            box.associate()
        elif turn % 2 and fault == "refuse":
            box.say(talk.RELEASE)
        elif not box.device.is_known:
            box.say(wire.ABORTION)
        box.say(poll(talk.NUMERICS, 600), 4.0)
    assert box.device.injected[fault] > 5
    assert set(box.device.injected) == {fault}
    assert box.device.sent > 150
    assert box.device.refused == box.device.injected["refuse"]
    assert not box.device.illegal


def test_a_frame_that_is_taken_back() -> None:
    box = known()
    box.device.faults, box.device._rate = frozenset({"aborted_frame"}), 1.0
    heard = box.device.receive(talk.frame(poll(talk.NUMERICS)), box.now) + box.listen(0.5)
    assert b"\x7d\xc1\xc0" in heard
    assert len(talk.payloads(heard)) == 1


def test_a_wrong_checksum_is_wrong_in_nothing_else() -> None:
    box = known()
    box.device.history.clear()
    box.device.faults, box.device._rate = frozenset({"bad_checksum"}), 1.0
    heard = box.device.receive(talk.frame(poll(talk.NUMERICS)), box.now) + box.listen(0.5)
    assert heard[0] == 0xC0
    assert heard[-1] == 0xC1
    assert talk.payloads(heard) == []
    assert not box.device.history


def test_a_restarted_monitor_has_forgotten_the_box() -> None:
    box = known(silence_s="1")
    box.device.faults, box.device._rate = frozenset({"reboot"}), 1.0
    assert box.say(poll(talk.NUMERICS)) == []
    box.device.faults = frozenset()
    box.listen(3.0)
    assert box.say(poll(talk.NUMERICS)) == []
    box.associate()
    assert one(box, talk.NUMERICS).ticks < 20 * 8000


def test_a_day_passes() -> None:
    box = known()
    box.say(poll(talk.NUMERICS, 600))
    box.device.wake(box.now + 86_400)
    assert box.device.timeouts == 1
    assert box.device.wake_at is None


@given(st.binary(max_size=300), st.integers(0, 5))
def test_any_bytes_are_survived(noise: bytes, seed: int) -> None:
    box = known(seed)
    box.device.receive(noise, box.now)
    box.device.receive(talk.frame(noise), box.now)
    box.device.receive(b"\xc1", box.now)
    box.listen(12.0)
    box.say(wire.ABORTION)
    assert box.associate()[0][0] == 0x0E


def test_the_same_seed_is_the_same_monitor() -> None:
    def run(seed: int) -> list[Reply]:
        box = known(seed)
        box.say(poll(talk.NUMERICS, 60))
        box.say(poll(talk.CURVES, 60))
        return box.follow(30)

    assert run(4) == run(4)
    assert run(4) != run(5)


@pytest.mark.parametrize(
    ("faults", "options"),
    [({"wrong"}, {}), (set(), {"transport": "usb"}), (set(), {"profile": "1"}), (set(), {"demo": "on"})],
)
def test_wrong_names_are_refused(faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="philips_intellivue"):
        PhilipsIntellivue(0, frozenset(faults), options)


@pytest.mark.parametrize(
    "module",
    [
        dri_frames, ge_dri, datagrams, intellivue_frames, intellivue_objects, mindray_frames, mindray_pds,
        philips_intellivue, vitals,
    ],
)  # fmt: skip
def test_a_simulator_knows_nothing_of_drivers(module: object) -> None:
    tree = ast.parse(Path(str(getattr(module, "__file__", ""))).read_text(encoding="utf-8"))
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    assert not [name for name in names if name.startswith(("drivers", "gateway"))]
