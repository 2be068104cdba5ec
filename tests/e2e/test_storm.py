"""Agent, broker and consumer killed at random while devices talk: nothing lost, nothing twice, nothing disordered."""

import random
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from simulators.central.broker import find_mosquitto
from tests.e2e.ledger import Findings, gaps_beside
from tests.e2e.line import ALL, Line, running_line
from tests.e2e.processes import memory_kb

pytestmark = [pytest.mark.alone, pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")]

BLOWS, TORTURE_BLOWS = 8, 90
VICTIMS = (("agent",), ("broker",), ("consumer",), ("consumer", "broker"))
"""What dies at once; the last is the platform's power: what neither of the two had kept is gone."""
ENCODINGS = ("json", "compact")
"""Each life of the agent has one."""
PAUSE_S = (1.5, 5.0)
DOWN_S = (0.0, 1.5)
GROWTH_LIMIT_KB = 6 << 10
"""Between the most memory of one life and of another, whatever it found on disk."""


class Storm:
    """Who is killed when; the same seed gives the same plan."""

    def __init__(self, line: Line, seed: int) -> None:
        self.line, self.dice = line, random.Random(seed)
        self.killed: Counter[str] = Counter()
        self.peaks_kb: list[int] = []

    def blow(self, blows: int) -> None:
        """Each kind of victim equally often, in any order."""
        plan = [VICTIMS[at % len(VICTIMS)] for at in range(blows)]
        self.dice.shuffle(plan)
        for victims in plan:
            time.sleep(self.dice.uniform(*PAUSE_S))
            for victim in victims:
                self._kill(victim)
            time.sleep(self.dice.uniform(*DOWN_S))
            for victim in reversed(victims):
                self._start(victim)

    def report(self, found: Findings) -> str:
        """The figures of a run."""
        return (
            f"killed {dict(self.killed)}, {self.line.starts} lives, {len(self.line.feed.promised)} promised, "
            f"{found.rows} stored, {self.line.acknowledged} messages acknowledged to the analyzer, "
            f"{len(found.gaps)} gaps, frames {dict(self.encodings)}, "
            f"agent's memory at most {min(self.peaks_kb)} to {max(self.peaks_kb)} kB"
        )

    @property
    def encodings(self) -> Counter[str]:
        """How many frames passed in each."""
        assert self.line.wire is not None
        return Counter(flight.encoding for flight in self.line.wire.flights)

    def _kill(self, victim: str) -> None:
        self.killed[victim] += 1
        if victim == "broker":
            self.line.broker.kill()
            return
        if victim == "agent":
            self.peaks_kb.append(memory_kb(self.line.processes.pid("agent"), "VmHWM"))
        self.line.processes.kill(victim)

    def _start(self, victim: str) -> None:
        line = self.line
        line.uplink = f'encoding = "{self.dice.choice(ENCODINGS)}"'
        {"agent": line.start_agent, "broker": line.broker.start, "consumer": line.start_consumer}[victim]()


def test_random_kills_lose_nothing_and_double_nothing(tmp_path: Path, torture: bool, torture_seed: int) -> None:
    """Design, sections 1 and 10: 0 lost, 0 duplicated after dedupe, order within a lane, memory flat."""
    with running_line(tmp_path) as line:
        line.plug_in(*ALL)
        line.look_on()
        line.uplink = 'encoding = "compact"'
        line.start()
        line.until(lambda: line.is_connected and len(line.names()) > 20, "the line runs")
        storm = Storm(line, torture_seed)
        storm.blow(TORTURE_BLOWS if torture else BLOWS)
        found = line.verdict(seconds=120)
        report = storm.report(found)
    sys.stderr.write(f"seed {torture_seed}: {report}\n")
    assert found.faults == {}, report
    assert gaps_beside(found, line.feed.promised) == []
    assert found.rows > 100
    assert storm.encodings["compact"] > 0
    assert line.acknowledged > 10
    assert max(storm.peaks_kb) - min(storm.peaks_kb) < GROWTH_LIMIT_KB, storm.peaks_kb
