"""Taking courier files into the reference consumer's store: the same rule for what is new as on line.

A file is one transaction: its rows and the watermark that names them, or nothing. Cut in the middle, the next run
finds what was stored and takes the rest; a file taken twice leaves no second row.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from gateway.uplink.schema import (
    Malformed,
    ack_topic,
    decode_frame,
    encode,
    lane_named,
    sign_ack,
)
from simulators.central.courier import CourierRefused, Header, Parcel, Trust, open_courier, read_courier
from simulators.central.store import Archive, Ledger, Stream


class Taken(NamedTuple):
    """What one file brought."""

    header: Header
    observations: int
    new: int
    """Observations that were not in the store."""
    notes: tuple[str, ...]


class Carried:
    """The store, open for files. `close()` leaves it."""

    def __init__(self, database: Path, trust: Trust, keys: Sequence[ec.EllipticCurvePrivateKey] = ()) -> None:
        self._archive, self._trust, self._keys = Archive(database), trust, keys
        self._touched: dict[Stream, None] = {}

    def take(self, path: Path) -> Taken:
        """Store what is new in a file. Raises `CourierRefused`, `OSError`; then nothing of it is stored."""
        parcel = open_courier(read_courier(path), self._trust, self._keys)
        touched: dict[Stream, None] = {}
        self._archive.begin()
        try:
            counts = [self._store(parcel, payload, touched) for payload in parcel.frames()]
            self._archive.commit()
        except BaseException:
            self._archive.roll_back()
            raise
        self._touched |= touched
        return Taken(parcel.header, sum(all_ for all_, _ in counts), sum(new for _, new in counts), parcel.notes)

    def acknowledgements(self, key: bytes) -> Iterator[bytes]:
        """A line for each stream that files touched: topic and payload of the message that would go on line."""
        for stream in self._touched:
            upto, holes = self._archive.word_for(stream)
            lane = lane_named(stream.lane)
            if lane is not None:
                ack = sign_ack(
                    key,
                    stream.site,
                    stream.gateway,
                    lane,
                    spool=stream.spool,
                    epoch=stream.epoch,
                    upto=upto,
                    holes=holes,
                )
                yield ack_topic(stream.site, stream.gateway, lane).encode() + b" " + encode(ack) + b"\n"

    def ledger(self) -> Ledger:
        """Counts over the whole store."""
        return self._archive.ledger()

    def close(self) -> None:
        """Leave the store."""
        self._archive.close()

    def _store(self, parcel: Parcel, payload: bytes, touched: dict[Stream, None]) -> tuple[int, int]:
        """Returns how many observations the frame holds, and how many of them were new."""
        header = parcel.header
        try:
            frame, seen = decode_frame(payload)
            if (frame.gateway, frame.site, frame.spool) != (header.gateway, header.site, header.spool):
                raise Malformed("foreign")
        except Malformed as error:
            raise CourierRefused("frame", error.reason) from error
        touched[Stream(frame.site, frame.gateway, frame.spool, frame.lane, frame.epoch)] = None
        return len(seen), len(self._archive.add(frame, seen))
