"""The start of a spool: whose it is, whether it was sealed with our secret, what each lane holds."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from drivers.observation import LANES, Lane
from gateway.errors import JisrError
from gateway.spool.aside import BAD_SEGMENTS
from gateway.spool.buffer import Buffer
from gateway.spool.cipher import Keyring, Sealer
from gateway.spool.committer import OpenLane, Stamp
from gateway.spool.cursor import Cursor, read_slots
from gateway.spool.disk import DamagedRemoved, Disk, SealedOtherwise
from gateway.spool.identity import (
    LINE_BYTES,
    NAME,
    Identity,
    is_genuine,
    next_identity,
    origins_of,
    parse_identity,
    with_origin,
    write_identity,
)
from gateway.spool.lane import LaneIndex
from gateway.spool.recovery import CURSOR, KINDS, LaneFound, LaneRecovery, Recovery, Seals
from gateway.spool.segment import HEAD_BYTES, SegmentHead, names, parse_head, read_bytes
from gateway.spool.segment import is_genuine as is_genuine_head
from gateway.spool.writer import LaneWriter

KEPT = "kept"
"""The folder in the spool's folder for spools that were sealed with another secret."""


class Whose(Struct, frozen=True):
    """Whose spool it is, and the keys to it."""

    identity: Identity
    seals: Seals
    sealer: Sealer
    notices: tuple[JisrError, ...] = ()
    is_rebuilt: bool = False


class Survey(Struct):
    """What heads and names tell before it is known whose spool it is."""

    seen: set[tuple[str, int]] = set()
    """The (spool id, epoch) of every segment head and cursor slot; a name alone tells an epoch but no id."""
    held: set[int] = set()
    """Epochs of which there are segments."""
    heads: dict[tuple[int, bytes], list[bytes]] = {}
    """The first and the last sealed head of each epoch and salt."""


def survey(folder: Path) -> Survey:
    """Look at the head of every segment, recycled ones and such set aside included, and at the cursors."""
    found = Survey()
    for lane in LANES:
        for kind in KINDS:
            for name in names(folder / lane, kind):
                data = read_bytes(name.path(folder / lane, kind), HEAD_BYTES)
                head = parse_head(data)
                found.seen.add((head.spool, head.epoch) if head else ("", name.epoch))
                if kind != "seg":
                    continue
                found.held.add(name.epoch)
                if head and head.origin.is_sealed:
                    known = found.heads.setdefault((head.epoch, head.origin.salt), [])
                    known[1:] = [data] if known else []
                    known += [] if known else [data]
        found.seen |= {(slot.spool, slot.epoch) for _, slot in read_slots(folder / lane / CURSOR, lane)}
    return found


def begin_epoch(folder: Path, secret: bytes, boot: str, disk: Disk) -> Whose:
    """Tell whose spool it is, and begin its next epoch durably. Raises OSError.

    One that was sealed with another secret is set aside whole, and a new one begun.
    """
    stored, found = parse_identity(read_bytes(folder / NAME, 2 * LINE_BYTES)), survey(folder)
    identity, is_known = next_identity(stored, found.seen), bool(found.seen)
    keyring, notices = Keyring(secret, identity.id), list[JisrError]()
    is_ours = stored is not None and is_genuine(stored, keyring)
    sealed = list(_sealed_heads(found, keyring))
    genuine = [head for head, is_good in sealed if is_good]
    if sealed and not genuine and not is_ours:
        notices.append(_keep(folder, identity.id, identity.epoch - 1))
        stored, found, is_known, identity = None, Survey(), False, next_identity(None, ())
        keyring = Keyring(secret, identity.id)
    if not is_ours:
        first = min((head.epoch for head in genuine), default=identity.epoch)
        identity = msgspec.structs.replace(identity, sealed_from=first)
    known = origins_of(stored) if stored and is_ours else {}
    known |= {head.epoch: head.origin for head in genuine}
    sealer = keyring.sealer(identity.epoch, boot)
    needed = [each for epoch, each in known.items() if epoch in found.held]
    identity = with_origin(identity, needed, sealer.origin)
    write_identity(folder, identity, keyring, disk)
    seals = Seals(keyring, identity.sealed_from, known)
    return Whose(identity, seals, sealer, tuple(notices), is_rebuilt=stored is None and is_known)


def open_lane(folder: Path, lane: Lane, whose: Whose, segment_bytes: int, disk: Disk) -> tuple[OpenLane, LaneFound]:
    """Recover one lane and make it ready for writing. Raises OSError."""
    folder.mkdir(exist_ok=True)
    keyring, epoch = whose.seals.keyring, whose.identity.epoch
    found = LaneRecovery(folder, lane, whose.seals, segment_bytes, disk).found()
    writer = LaneWriter(
        disk, folder, lane, whose.sealer, segment_bytes=segment_bytes, number=found.number, previous=found.previous
    )
    index = LaneIndex(lane, epoch, found.runs, found.acked, keyring)
    cursor = Cursor(folder / CURSOR, lane, keyring, epoch, whose.seals.sealed_from, disk)
    return OpenLane(index, writer, cursor, Buffer(lane), saved=cursor.state), found


def recovery_of(whose: Whose, found: Mapping[Lane, LaneFound], stamp: Stamp) -> Recovery:
    """What the start found, over all lanes."""
    removed = [DamagedRemoved(limit=BAD_SEGMENTS, lane=lane) for lane, each in found.items() if each.removed]
    return Recovery(
        frames_kept=sum(each.frames_kept for each in found.values()),
        tail_bytes_cut=sum(each.tail_bytes_cut for each in found.values()),
        segments_set_aside=sum(each.set_aside for each in found.values()),
        gaps=tuple(msgspec.structs.replace(one, **stamp()) for each in found.values() for one in each.gaps),
        is_identity_rebuilt=whose.is_rebuilt,
        notices=(*whose.notices, *removed),
    )


def _keep(folder: Path, spool: str, epoch: int) -> SealedOtherwise:
    """Put a whole spool aside, as it is, so that it can be read with its own secret. Raises OSError."""
    parts = [name for name in (*LANES, NAME) if (folder / name).exists()]
    count = sum(len(names(folder / lane, "seg")) for lane in LANES)
    kept = folder / KEPT / f"{spool}-{epoch}"
    while any((kept / name).exists() for name in parts):
        kept = kept.with_name(f"{kept.name}-again")
    kept.mkdir(parents=True, exist_ok=True)
    for name in parts:  # the identity last: where the power goes before, the next start goes on
        (folder / name).rename(kept / name)
    return SealedOtherwise(path=folder, kept=kept, count=count)


def _sealed_heads(found: Survey, keyring: Keyring) -> Iterator[tuple[SegmentHead, bool]]:
    """The sealed heads of this spool that were met, and whether they were written with our secret."""
    for data in (each for heads in found.heads.values() for each in heads):
        head = parse_head(data)
        if head and head.spool == keyring.spool:
            yield head, is_genuine_head(data, head, keyring, 0)
