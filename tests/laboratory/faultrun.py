"""One seeded run: an analyzer with all its faults, a box that dies at every step, and what must hold at the end.

lost    the analyzer was told that a result is safe, and it is not stored
wrong   what is stored was never sent so: another text, a number that does not stand in the text, a final word
        about what the device withdrew; or the box said what it may not say
twice   one result has two identities, so that the platform, which knows results by identity, keeps both
"""

import asyncio
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from drivers import catalog
from drivers.observation import Result as Seen
from gateway.device import Setup, StreamDevice
from simulators.devices.simulator import Simulator
from tests.laboratory.analyzers import Analyzer, Key
from tests.laboratory.box import Box, Doom, Line, Spoil
from tests.laboratory.handloop import HandLoop

LIVES = 5
LIFE_S = 900.0
LAST_S = 4 * 3600.0
CALM_S = 90.0
"""After all was said: answers that come late, sessions that are repeated."""
MARGIN_S = 8.0
"""A block may trickle for a second, and its device freeze for some more."""
WITHHELD = ("partial", "wrong_device")
"""Reasons with which results are kept as raw text alone: nothing promises them."""
NOT_FINAL = ("W", "X", "D", "I", "P", "S")


@dataclass
class Verdict:
    """What was wrong in one run; empty where nothing was."""

    analyzer: str
    seed: int
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    results: int = 0
    """Results that the analyzer was told to be safe."""
    kept: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    """What struck the box, by step."""
    faults: Counter[str] = field(default_factory=Counter)
    """What the simulator did, by name."""

    def is_good(self) -> bool:
        """Nothing was."""
        return not (self.lost or self.wrong or self.twice)

    def __str__(self) -> str:
        told = {"lost": self.lost, "wrong": self.wrong, "twice": self.twice}
        return f"{self.analyzer} seed {self.seed}: " + "; ".join(
            f"{k} {v[:3]} ({len(v)})" for k, v in told.items() if v
        )


class Ledger:
    """What the analyzer has made, by its bytes: also what it never came to send whole."""

    def __init__(self, analyzer: Analyzer, simulator: Simulator) -> None:
        self._analyzer, self._simulator = analyzer, simulator
        self._known: set[bytes] = set()
        self.most: Counter[Key] = Counter()
        """How often it stands in one message: replicates."""
        self.sum: Counter[Key] = Counter()
        """In all messages that differ."""
        self.broken: set[Key] = set()
        """In messages that the device itself broke off."""
        self.status: dict[Key, str] = {}

    def look(self) -> None:
        """Note what is new."""
        for data, results, is_whole in self._analyzer.made(self._simulator):
            if data in self._known:
                continue
            self._known.add(data)
            counted = Counter(self._analyzer.said(said) for said in results)
            self.status.update((self._analyzer.said(said), said.status) for said in results)
            if not is_whole:
                self.broken.update(counted)
                continue
            self.sum.update(counted)
            self.most |= counted


def play(
    analyzer: Analyzer,
    seed: int,
    folder: Path,
    *,
    task: type[StreamDevice] = StreamDevice,
    spoil: Spoil | None = None,
    simulator: Simulator | None = None,
) -> Verdict:
    """The run of this seed, and its verdict. `task` and `spoil` are for boxes that are broken on purpose."""
    chance = random.Random(f"{analyzer.name} {seed}")
    made = simulator or analyzer.make(seed, chance)
    verdict = Verdict(analyzer.name, seed)
    profile = catalog.profile(*analyzer.profile.split("/"))
    options = dict(analyzer.driver_options)
    options |= {mine: made.options[theirs] for theirs, mine in analyzer.driver_choices.items()}
    line = Line(made, chance, is_tcp=chance.random() < 0.5)
    ledger = Ledger(analyzer, made)
    line.after = ledger.look
    setup = Setup("labo", profile, options, is_commissioned=lambda: True)  # else nothing is final, and proves nothing
    box = Box(setup, folder, line, chance, task, spoil)
    with asyncio.Runner(loop_factory=HandLoop) as runner:
        runner.run(_lives(box, made, chance))
    ledger.look()
    verdict.struck, verdict.faults = box.struck, Counter(made.injected)
    deaf = [*box.away, *((at, at) for at in line.pulls)]
    safe = set(_safe(analyzer, made, deaf))
    _judge(verdict, analyzer, ledger, safe, box.stored())
    verdict.wrong += [f"said {said!r}" for said in made.illegal[:5]]
    verdict.wrong += [f"not sent: {why}" for why in sorted(box.unsent)]
    return verdict


async def _lives(box: Box, simulator: Simulator, chance: random.Random) -> None:
    loop = asyncio.get_running_loop()
    since = math.inf

    def is_over() -> bool:
        """It has said all it had, or sets no timer any more, and so it has been for a while."""
        nonlocal since
        if getattr(simulator, "is_finished", False) or simulator.wake_at is None:
            since = min(since, loop.time())
        elif simulator.options.get("resend_all_s", "0") == "0":
            since = math.inf
        return loop.time() >= since + CALM_S

    for _life in range(chance.randint(1, LIVES)):
        if not await box.live(Doom(chance), is_over, LIFE_S):
            break
    simulator.faults = frozenset()
    await box.live(Doom(chance, is_last=True), is_over, LAST_S)
    if not is_over():
        raise AssertionError("the analyzer has never come to its end")


def _safe(analyzer: Analyzer, simulator: Simulator, deaf: Iterable[tuple[float, float]]) -> Iterable[Key]:
    """What the analyzer believes to be safe; of one that waits for no word, what it said while somebody heard."""
    gaps = list(deaf)
    for told in getattr(simulator, "history", ()):
        if not told.is_whole:
            continue
        if not analyzer.hears and any(a - MARGIN_S <= told.at <= b + MARGIN_S for a, b in gaps):
            continue
        yield from (analyzer.said(said) for said in told.results if said.purpose in ("patient", "control"))


def _judge(verdict: Verdict, analyzer: Analyzer, ledger: Ledger, safe: set[Key], stored: list[Seen]) -> None:
    identities: dict[Key, set[str]] = defaultdict(set)
    first: dict[str, Seen] = {}
    for seen in stored:
        key = analyzer.seen(seen)
        if seen.test in analyzer.settings or seen.reason == "not_decoded":
            continue
        if seen.reason in WITHHELD:
            verdict.wrong += [f"withheld, and {what}" for what in _flaws_of_withheld(seen, key, ledger)]
            continue
        verdict.wrong += [f"{key}: {what}" for what in _flaws(analyzer, seen, key, ledger)]
        known = first.setdefault(seen.identity, seen)
        if analyzer.seen(known) != key:
            verdict.lost.append(f"{key}: the platform takes it for {analyzer.seen(known)}")
        identities[key].add(seen.identity)
    for key, known_as in identities.items():
        most = ledger.most[key] if key[3] else ledger.sum[key]
        if key in ledger.sum and len(known_as) > most:
            verdict.twice.append(f"{key}: {len(known_as)} of {most}")
    for key in safe:
        if len(identities[key]) < ledger.most[key]:
            verdict.lost.append(f"{key}: {len(identities[key])} of {ledger.most[key]}")
    verdict.results, verdict.kept = len(safe), len(first)


def _flaws(analyzer: Analyzer, seen: Seen, key: Key, ledger: Ledger) -> Iterable[str]:
    if key not in ledger.sum:
        yield "broken off by the device, and given out" if key in ledger.broken else "never sent"
        return
    if seen.value is not None and not analyzer.has_number(key[2], seen.value):
        yield f"the value {seen.value} does not stand in it"
    if seen.status == "final" and ledger.status[key] in NOT_FINAL:
        yield f"final, and the device says {ledger.status[key]}"


def _flaws_of_withheld(seen: Seen, key: Key, ledger: Ledger) -> Iterable[str]:
    if key not in ledger.sum and key not in ledger.broken:
        yield f"never sent: {key}"
    if seen.value is not None or seen.status == "final":
        yield f"believed: {key}"
