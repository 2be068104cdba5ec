"""The arithmetic of room: thresholds, what a commit needs, when the gate closes and opens."""

import shutil
from pathlib import Path

import pytest

from gateway.spool.buffer import Owed
from gateway.spool.frame import OVERHEAD_BYTES, Frame
from gateway.spool.plan import segments_for
from gateway.spool.room import CAPS, DiskUse, Gate, caps_with, disk_use, excess, size_text, told
from gateway.spool.segment import HEAD_BYTES

TOTAL = 1000


def used(percent: float) -> DiskUse:
    return DiskUse(TOTAL, round(TOTAL * (1 - percent / 100)))


def test_the_file_system_s_own_word(tmp_path: Path) -> None:
    use, told = disk_use(tmp_path), shutil.disk_usage(tmp_path)
    assert (use.total, abs(use.available - told.free) < 1 << 30) == (told.total, True)
    assert disk_use(tmp_path / "nothing") == DiskUse(0, 0)
    assert DiskUse(0, 0).share == 0


@pytest.mark.parametrize(("percent", "short"), [(10, 0), (93, 0), (93.9, 0), (94, 11), (95, 21), (100, 71)])
def test_how_much_is_too_much(percent: float, short: int) -> None:
    assert excess(used(percent)) == pytest.approx(short, abs=1)
    assert (excess(used(percent)) > 0) == (short > 0)


def test_the_gate_closes_for_the_disk_and_opens_lower() -> None:
    gate, said = Gate(10_000, 1000), []
    for percent, has_evictable in [
        (94.9, False),
        (95, True),
        (95, False),
        (99, False),
        (93, False),
        (96, True),
        (92.9, True),
        (94.9, False),
    ]:
        told = gate.judge(used(percent), has_evictable=has_evictable, allocated=9900)
        said.append((told.presence if told else "", gate.refusal() is not None))
    assert said == [
        ("", False),
        ("", False),
        ("on", True),
        ("", True),
        ("", True),
        ("", True),
        ("off", False),
        ("", False),
    ]


def test_the_gate_closes_for_the_cap_and_opens_when_a_segment_fits() -> None:
    gate, said = Gate(10_000, 1000), []
    for allocated, is_short in [
        (10_000, False),
        (10_000, True),
        (9400, False),
        (9300, True),
        (9299, False),
        (9000, True),
    ]:
        told = gate.judge(used(10), has_evictable=True, allocated=allocated, is_short=is_short)
        said.append(told.presence if told else "")
    assert said == ["", "on", "", "", "", "off"]
    assert gate.refusal() is None


def test_caps() -> None:
    assert caps_with(None, 1 << 20) == CAPS
    assert caps_with({"log": 5}, 1000) == CAPS | {"log": 2000}


@pytest.mark.parametrize(
    ("size", "text"),
    [(512, "512 B"), (8 << 10, "8 KiB"), (3 << 19, "1.5 MiB"), (1 << 30, "1 GiB"), (8 << 30, "8 GiB")],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("sizes", "room", "begun"),
    [((), 0, 0), ((100,), 0, 1), ((100,), 99, 1), ((100,), 100, 0), ((900, 900, 100), 0, 2), ((400, 400, 400), 0, 2)],
)
def test_segments_that_a_commit_begins(sizes: tuple[int, ...], room: int, begun: int) -> None:
    frames = [Frame("numeric", 1, at, 1, 1, b"x" * (size - OVERHEAD_BYTES)) for at, size in enumerate(sizes)]
    assert segments_for(frames, room, 1000 + HEAD_BYTES) == begun


def test_what_is_over_before_it_was_told_is_not_told() -> None:
    """However often the gate moves while no record can be stored, two of its alerts wait at most."""
    owed = Owed()
    for number in range(7):
        owed.add(told("refused", "off" if number % 2 else "on", "disk"))
        owed.add(told("other", "on"))
    waiting = [(each.vendor.code, each.presence) for each in owed.take() if each.vendor]  # type: ignore[union-attr]
    assert waiting == [("refused", "on"), ("other", "on")]
