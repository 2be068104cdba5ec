"""The storm of tests/e2e in figures: SIGKILLs of agent, broker and platform, and what was lost or came twice."""

from pathlib import Path

from msgspec import Struct

from tests.e2e.line import ALL, running_line
from tests.e2e.test_storm import Storm

SEED = 20261125
SETTLE_S = 120.0


class Loss(Struct, frozen=True):
    """What the storm left behind."""

    kills: int
    promised: int
    lost: int
    duplicated: int


def measure(folder: Path, kills: int) -> Loss:
    """Kill so often, then let everything arrive, then compare with what was promised."""
    folder.mkdir()
    with running_line(folder) as line:
        line.plug_in(*ALL)
        line.look_on()
        line.start()
        line.until(lambda: line.is_connected and len(line.names()) > 20, "the line runs")
        storm = Storm(line, SEED)
        storm.blow(kills)
        found = line.verdict(seconds=SETTLE_S)
        promised = len(line.feed.promised)
    lost = sum(_count(found.faults.get(name, [])) for name in ("lost", "altered", "holes", "results lost"))
    twice = sum(_count(found.faults.get(name, [])) for name in ("duplicated", "results twice"))
    return Loss(sum(storm.killed.values()), promised, lost, twice)


def _count(fault: list[str]) -> int:
    """How many; a fault's first line says it."""
    return int(fault[0].split()[0]) if fault else 0
