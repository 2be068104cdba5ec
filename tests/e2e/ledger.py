"""The judge, outside the agent: what was promised against what the platform's store holds."""

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from simulators.devices.astm import Delivery
from tests.e2e.onlookers import Flight, Name, fingerprint

REPORT_LIMIT = 12
Content = tuple[str, str, str]
"""Specimen, test and value of a result, as the analyzer printed them."""


class Row(NamedTuple):
    """One row of the store."""

    spool: str
    name: Name
    kind: str
    text: str
    repeats: int | None


@dataclass
class Findings:
    """What is wrong: all of it empty if every promise was kept."""

    rows: int = 0
    names: set[Name] = field(default_factory=set)
    faults: dict[str, list[Any]] = field(default_factory=dict)
    gaps: list[dict[str, Any]] = field(default_factory=list)

    def add(self, fault: str, what: Iterable[Any]) -> None:
        """Note some; nothing if there are none."""
        found = list(what)
        if found:
            self.faults[fault] = [f"{len(found)} of them", *found[:REPORT_LIMIT]]


def rows_of(store: Path) -> list[Row]:
    """Everything the platform holds, in the order in which it was stored."""
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        found = database.execute(
            "SELECT spool, epoch, lane, seq, kind, json, duplicate_of FROM observations ORDER BY id"
        ).fetchall()
    return [Row(spool, (epoch, lane, seq), kind, text, again) for spool, epoch, lane, seq, kind, text, again in found]


def judge(rows: Sequence[Row], promised: Mapping[Name, bytes], messages: Sequence[Delivery] = ()) -> Findings:
    """Each promised observation there, as it was promised, and once; no number missing; each result once."""
    found = Findings(len(rows), {row.name for row in rows})
    stored = {row.name: fingerprint(row.text) for row in rows}
    found.gaps = [json.loads(row.text) for row in rows if row.kind == "gap"]
    found.add("lost", sorted(promised.keys() - stored.keys()))
    found.add("altered", sorted(name for name in promised.keys() & stored.keys() if promised[name] != stored[name]))
    found.add("duplicated", _repeated(row.name for row in rows))
    found.add("spools", sorted({row.spool for row in rows})[1:])
    found.add("holes", _holes(found.names | promised.keys(), stored.keys() | _declared_gone(found.gaps)))
    found.add("disorder", _disorder(rows))
    _judge_results(found, rows, messages)
    return found


def gaps_beside(found: Findings, promised: Mapping[Name, bytes]) -> list[dict[str, Any]]:
    """Gap records that a SIGKILL cannot explain.

    It can end a write between two pages (generic_perform_write asks for a fatal signal), so a tail that was never
    promised may be declared torn; nothing else may.
    """
    return [
        gap
        for gap in found.gaps
        if gap["reason"] != "torn_tail" or any(name in promised for name in _declared_gone([gap]))
    ]


def wire_disorder(flights: Sequence[Flight]) -> list[Flight]:
    """Frames that brought something new, and brought it behind something later of the same lane and way."""
    seen: set[Name] = set()
    last: dict[tuple[str, str], tuple[int, int]] = {}
    wrong = []
    for flight in flights:
        names = {(flight.epoch, flight.lane, seq) for seq in range(flight.first, flight.last + 1)}
        fresh = sorted(names - seen)
        if not fresh:
            continue
        way = (flight.lane, flight.era)
        if (flight.epoch, fresh[0][2]) <= last.get(way, (0, 0)):
            wrong.append(flight)
        last[way] = max(last.get(way, (0, 0)), (flight.epoch, flight.last))
        seen |= names
    return wrong


def _repeated(names: Iterable[Name]) -> list[Name]:
    seen: set[Name] = set()
    return [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]


def _declared_gone(gaps: Sequence[dict[str, Any]]) -> set[Name]:
    return {(gap["gap_epoch"], gap["gap_lane"], seq) for gap in gaps for seq in range(gap["first"], gap["last"] + 1)}


def _holes(known: Iterable[Name], accounted: set[Name]) -> list[Name]:
    """Numbers from 1 to the highest known of each epoch and lane that are neither stored nor declared gone."""
    highest: dict[tuple[int, str], int] = {}
    for epoch, lane, seq in known:
        highest[epoch, lane] = max(seq, highest.get((epoch, lane), 0))
    wanted = {(epoch, lane, seq) for (epoch, lane), last in highest.items() for seq in range(1, last + 1)}
    return sorted(wanted - accounted)


def _disorder(rows: Sequence[Row]) -> list[Name]:
    """Rows that neither live nor back-fill can have brought in order.

    A lane's rows are two rising sequences merged, so no three of them may fall one below the other.
    """
    wrong: list[Name] = []
    for lane in sorted({row.name[1] for row in rows}):
        live = hist = (0, 0)
        for row in rows:
            epoch, of, seq = row.name
            if of != lane:
                continue
            if (epoch, seq) > live:
                live = (epoch, seq)
            elif (epoch, seq) > hist:
                hist = (epoch, seq)
            else:
                wrong.append(row.name)
    return wrong


def _judge_results(found: Findings, rows: Sequence[Row], messages: Sequence[Delivery]) -> None:
    """Every result whose message was acknowledged is there once; what nobody sent is not there at all."""
    stored: Counter[Content] = Counter()
    for row in rows:
        if row.kind == "result" and row.repeats is None:
            one = json.loads(row.text)
            stored[one["specimen"], one["test"], one["text"]] += 1
    sent, acknowledged = _contents(messages), _contents([one for one in messages if one.status == "delivered"])
    found.add("results lost", sorted(acknowledged - stored.keys()))
    found.add("results twice", sorted(content for content, count in stored.items() if count > 1))
    found.add("results invented", sorted(stored.keys() - sent))


def _contents(messages: Sequence[Delivery]) -> set[Content]:
    return {(result.specimen, result.test, result.value) for message in messages for result in message.results}
