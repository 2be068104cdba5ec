"""The clock map in the store: points out of clock records, pieces made from them, and a view that dates every row.

No row is ever changed by it: the view `dated` reckons each time anew, so it does not matter in which order records
and observations come. `redated` is NULL where nothing is known of a boot.
"""

import sqlite3

from gateway.uplink.schema import AnyObservation, Malformed, parse_utc
from simulators.central.redating import Point, is_usable, pieces_of

SCHEMA = """
CREATE TABLE IF NOT EXISTS clock_points(
    gateway TEXT, boot TEXT, mono REAL, utc REAL, error REAL, is_signed INTEGER,
    PRIMARY KEY(gateway, boot, mono, is_signed)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clock_pieces(
    gateway TEXT, boot TEXT, since REAL, until REAL, origin REAL, utc REAL, rate REAL, error REAL, slope REAL,
    PRIMARY KEY(gateway, boot, since)) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS dated AS
SELECT o.*,
    strftime('%Y-%m-%dT%H:%M:%fZ', p.utc + (o.mono - p.origin) * p.rate, 'unixepoch') AS redated,
    CAST(round(1000 * (p.error + p.slope * min(abs(o.mono - p.since), abs(p.until - o.mono)))) AS INTEGER)
        AS redated_error_ms
FROM (SELECT *, json_extract(json, '$.clock.boot') AS boot,
        coalesce(json_extract(json, '$.clock.mono_s'), 0.0) AS mono FROM observations) o
LEFT JOIN clock_pieces p
    ON p.gateway = o.gateway AND p.boot = o.boot AND p.since <= o.mono AND o.mono < p.until;
"""
POINTS = 20_000
"""Of one boot: a year and more of hourly ones."""
ROUNDED_S = 0.002
"""Both numbers of a record are whole milliseconds."""


def point_of(record: AnyObservation) -> tuple[str, Point] | None:
    """Boot and point of a clock record, or None where it is not one that can be built on.

    A signed time is a point when it comes; what the box reckons from it later is not another one.
    """
    quality, why = getattr(record, "quality", ""), getattr(record, "why", "")
    boot, error_ms = getattr(record, "boot", ""), getattr(record, "error_ms", None)
    if not boot or error_ms is None or not (quality == "ntp" or (quality == "signed" and why == "signed")):
        return None
    try:
        utc = parse_utc(getattr(record, "utc", ""))
    except Malformed:
        return None
    point = Point(getattr(record, "mono_s", 0.0), utc, error_ms / 1000 + ROUNDED_S, quality == "signed")
    return (boot, point) if is_usable(point) else None


class ClockMap:
    """Inside the archive's transactions."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._touched: set[tuple[str, str]] = set()

    def note(self, gateway: str, record: AnyObservation) -> None:
        """A clock record came."""
        found = point_of(record)
        if found is None:
            return
        boot, point = found
        (count,) = self._db.execute(
            "SELECT count(*) FROM clock_points WHERE gateway=? AND boot=?", (gateway, boot)
        ).fetchone()
        if count < POINTS:
            self._db.execute("INSERT OR REPLACE INTO clock_points VALUES(?,?,?,?,?,?)", (gateway, boot, *point))
            self._touched.add((gateway, boot))

    def draw(self) -> None:
        """Make the pieces of what was touched; before the commit."""
        for gateway, boot in self._touched:
            rows = self._db.execute(
                "SELECT mono, utc, error, is_signed FROM clock_points WHERE gateway=? AND boot=?", (gateway, boot)
            )
            pieces = pieces_of([Point(mono, utc, error, bool(signed)) for mono, utc, error, signed in rows])
            self._db.execute("DELETE FROM clock_pieces WHERE gateway=? AND boot=?", (gateway, boot))
            self._db.executemany(
                "INSERT INTO clock_pieces VALUES(?,?,?,?,?,?,?,?,?)", [(gateway, boot, *piece) for piece in pieces]
            )
        self._touched.clear()

    def forget(self) -> None:
        """The batch did not happen."""
        self._touched.clear()
