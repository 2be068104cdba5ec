"""What the reference consumer keeps: one SQLite file; rows and the watermark that names them in ONE transaction.

Several consumers that share a subscription write to the same file. The transaction takes the file's write lock before
it reads (BEGIN IMMEDIATE), and what is remembered of the file counts only while nobody else has written to it.
"""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import DecodeError, Struct
from msgspec.json import decode

from gateway.uplink.schema import AnyObservation, FrameEnvelope, Range, canonical
from simulators.central import clockmap

SCHEMA = """
CREATE TABLE IF NOT EXISTS observations(
    id INTEGER PRIMARY KEY, site TEXT, gateway TEXT, spool TEXT, epoch INTEGER, lane TEXT, seq INTEGER,
    kind TEXT, device TEXT, metric TEXT, value TEXT, json TEXT, at TEXT, received REAL,
    identity TEXT, duplicate_of INTEGER);
CREATE INDEX IF NOT EXISTS results ON observations(device, identity) WHERE identity IS NOT NULL;
CREATE TABLE IF NOT EXISTS received(
    gateway TEXT, spool TEXT, lane TEXT, epoch INTEGER, first INTEGER, last INTEGER, gone INTEGER);
CREATE INDEX IF NOT EXISTS received_by ON received(gateway, spool, lane, epoch);
CREATE TABLE IF NOT EXISTS boxes(
    site TEXT, gateway TEXT, leaf TEXT, json TEXT, received REAL, PRIMARY KEY(site, gateway, leaf));
CREATE TABLE IF NOT EXISTS refused(topic TEXT, reason TEXT, payload BLOB, received REAL);
"""
"""No UNIQUE on the identity of an observation: were the watermark rule wrong, the second row would be seen."""
REFUSED_ROWS = 1000
CACHED_STREAMS = 1000
LOCK_S = 60.0
"""How long to wait for another consumer's transaction; one takes milliseconds."""


class Stream(NamedTuple):
    """What one watermark is about."""

    site: str
    gateway: str
    spool: str
    lane: str
    epoch: int


class Ledger(NamedTuple):
    """Counts that would show a duplicate or a loss."""

    rows: int
    distinct: int
    duplicates: int
    """Rows with an identity (gateway, spool, epoch, lane, seq) that another row has too: must be 0."""
    missing: int
    """Sequence numbers below a stream's highest that were neither received nor declared gone."""
    repeated_results: int
    """Results a device sent more than once: kept, and marked with `duplicate_of`."""
    redelivered: int
    """Frames that came again in this life and left no row."""


def add_range(ranges: Sequence[Range], first: int, last: int) -> list[Range]:
    """Sorted disjoint ranges with one more, adjacent ones joined."""
    merged: list[Range] = []
    for start, end in sorted([*ranges, (first, last)]):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def holes_of(ranges: Sequence[Range]) -> tuple[int, list[Range]]:
    """The highest number, and what is missing below it, counted from 1."""
    holes, before = [], 0
    for first, last in ranges:
        if first > before + 1:
            holes.append((before + 1, first - 1))
        before = last
    return before, holes


class _Told(Struct):
    """What says which of two births, states or health messages is the newer one."""

    session: int = 0
    spool: Any = ""
    state: str = ""
    uptime_s: float = 0.0

    def is_before(self, other: "_Told") -> bool:
        """Sessions rise; a session goes off line once, at its end; a box's uptime rises."""
        return (self.session, self.state == "offline", self.uptime_s) < (
            other.session,
            other.state == "offline",
            other.uptime_s,
        )


def is_newer(leaf: str, text: str, *, old: str, birth: str) -> bool:
    """Whether a message takes the place of the `old` one of its leaf; `birth` is the newest birth of the box."""
    try:
        new, was, born = (decode(one or "{}", type=_Told) for one in (text, old, birth))
    except (DecodeError, RecursionError):
        return True
    if leaf == "birth":
        return new.spool != was.spool or not new.is_before(was)  # a new disk counts its sessions from the beginning
    if birth and new.session != born.session:
        return False  # a late will, or a box of which no birth was taken
    return was.session != new.session or not new.is_before(was)


class Archive:
    """Used from one thread. `begin` … `commit` is one transaction; nothing outside it counts."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, LOCK_S, isolation_level=None, check_same_thread=False)
        self._write_ahead()
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(SCHEMA + clockmap.SCHEMA)
        self._clocks = clockmap.ClockMap(self._db)
        self._cache: dict[Stream, tuple[list[Range], list[Range]]] = {}
        self._version = 0
        self.redelivered = 0

    def begin(self) -> None:
        """Start a batch: nobody else writes until it ends."""
        self._db.execute("BEGIN IMMEDIATE")
        self._forget_if_old()

    def commit(self) -> None:
        """The batch is on disk when this returns."""
        self._clocks.draw()
        self._db.execute("COMMIT")

    def roll_back(self) -> None:
        """The batch did not happen."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._clocks.forget()
        self._cache.clear()

    def close(self) -> None:
        """Leave the file."""
        self._db.close()

    def add(self, frame: FrameEnvelope, observations: Iterable[AnyObservation]) -> list[AnyObservation]:
        """Store what is new of a frame; returns that."""
        stream = Stream(frame.site, frame.gateway, frame.spool, frame.lane, frame.epoch)
        received, gone = self._ranges(stream)
        fresh = [one for one in observations if not any(first <= one.seq <= last for first, last in received)]
        if not fresh:
            self.redelivered += 1
            return []
        now = time.time()
        for one in fresh:
            self._insert(stream, one, now)
        self._save(stream, add_range(received, frame.first, frame.first + frame.count - 1), gone)
        for one in fresh:
            if getattr(one, "gap_lane", None) is not None:
                self._declare_gone(stream, one)
            elif one.__struct_config__.tag == "clock":
                self._clocks.note(stream.gateway, one)
        return fresh

    def word_for(self, stream: Stream) -> tuple[int, list[Range]]:
        """What may be acknowledged: received, or declared gone by the box itself."""
        if not self._db.in_transaction:
            self._forget_if_old()
        received, gone = self._ranges(stream)
        ranges = received
        for first, last in gone:
            ranges = add_range(ranges, first, last)
        return holes_of(ranges)

    def note_box(self, site: str, gateway: str, leaf: str, text: str) -> None:
        """The newest birth, state or health of a box: of two consumers the slower one may come with an older one."""
        if is_newer(leaf, text, old=self.box(gateway, leaf), birth=self.box(gateway, "birth")):
            row = (site, gateway, leaf, text, time.time())
            self._db.execute("INSERT OR REPLACE INTO boxes VALUES(?,?,?,?,?)", row)

    def box(self, gateway: str, leaf: str) -> str:
        """JSON of the newest birth, state or health; empty if none came."""
        row = self._db.execute("SELECT json FROM boxes WHERE gateway=? AND leaf=?", (gateway, leaf)).fetchone()
        return str(row[0]) if row else ""

    def note_refused(self, topic: str, reason: str, payload: bytes) -> None:
        """What could not be understood is kept for a person to look at, up to a limit."""
        if self._count("SELECT count(*) FROM refused") < REFUSED_ROWS:
            self._db.execute("INSERT INTO refused VALUES(?,?,?,?)", (topic, reason, payload[:65536], time.time()))

    def ledger(self) -> Ledger:
        """Counts over the whole file."""
        rows = self._count("SELECT count(*) FROM observations")
        distinct = self._count(
            "SELECT count(*) FROM (SELECT DISTINCT gateway,spool,epoch,lane,seq FROM observations)"
        )
        missing = 0
        for row in self._db.execute("SELECT DISTINCT '',gateway,spool,lane,epoch FROM received").fetchall():
            missing += sum(last - first + 1 for first, last in self.word_for(Stream(*row))[1])
        repeated = self._count("SELECT count(*) FROM observations WHERE duplicate_of IS NOT NULL")
        return Ledger(rows, distinct, rows - distinct, missing, repeated, self.redelivered)

    def _write_ahead(self) -> None:
        """Two that make the file at once: SQLite does not wait for a lock while it changes this mode."""
        end = time.monotonic() + LOCK_S
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(0.02)
            else:
                return

    def _forget_if_old(self) -> None:
        version = self._count("PRAGMA data_version")  # changes with each commit of another connection
        if version != self._version:
            self._cache.clear()
            self._version = version

    def _count(self, sql: str) -> int:
        return int(self._db.execute(sql).fetchone()[0])

    def _insert(self, stream: Stream, one: AnyObservation, now: float) -> None:
        value, identity = getattr(one, "value", None), getattr(one, "identity", None)
        identity = identity if isinstance(identity, str) else None
        first = None
        if identity is not None:
            row = self._db.execute(
                "SELECT id FROM observations WHERE device=? AND identity=? AND gateway=? ORDER BY id LIMIT 1",
                (one.device, identity, stream.gateway),
            ).fetchone()
            first = row[0] if row else None
        metric = one.metric or (one.vendor.code if one.vendor else "")
        kind = str(one.__struct_config__.tag)
        self._db.execute(
            "INSERT INTO observations(site,gateway,spool,epoch,lane,seq,kind,device,metric,value,json,at,received,"
            "identity,duplicate_of) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                stream.site,
                stream.gateway,
                stream.spool,
                stream.epoch,
                stream.lane,
                one.seq,
                kind,
                one.device,
                metric,
                (getattr(one, "answer", "") or None) if value is None else str(value),
                canonical(one),
                one.at,
                now,
                identity,
                first,
            ),
        )

    def _declare_gone(self, stream: Stream, gap: AnyObservation) -> None:
        there = stream._replace(lane=getattr(gap, "gap_lane", ""), epoch=getattr(gap, "gap_epoch", 0))
        received, gone = self._ranges(there)
        first, last = getattr(gap, "first", 0), getattr(gap, "last", 0)
        if 1 <= first <= last:
            self._save(there, received, add_range(gone, first, last))

    def _ranges(self, stream: Stream) -> tuple[list[Range], list[Range]]:
        key = stream._replace(site="")
        if key not in self._cache:
            if len(self._cache) >= CACHED_STREAMS:
                self._cache.clear()
            rows = self._db.execute(
                "SELECT first,last,gone FROM received WHERE gateway=? AND spool=? AND lane=? AND epoch=? "
                "ORDER BY first",
                key[1:],
            ).fetchall()
            self._cache[key] = ([row[:2] for row in rows if not row[2]], [row[:2] for row in rows if row[2]])
        return self._cache[key]

    def _save(self, stream: Stream, received: list[Range], gone: list[Range]) -> None:
        key = stream._replace(site="")
        self._cache[key] = (received, gone)
        self._db.execute("DELETE FROM received WHERE gateway=? AND spool=? AND lane=? AND epoch=?", key[1:])
        self._db.executemany(
            "INSERT INTO received VALUES(?,?,?,?,?,?,?)",
            [(*key[1:], first, last, 0) for first, last in received]
            + [(*key[1:], first, last, 1) for first, last in gone],
        )
