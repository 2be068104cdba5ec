"""What lies in the folder tells nothing, and nothing that was changed in it is believed (docs/spool.md, Sealing)."""

import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.observation import Alert, Gap, Lane
from gateway.spool import cipher
from gateway.spool.cipher import NO_SECRET, SUITE_AES, SUITE_CHACHA, Keyring
from gateway.spool.cursor import SLOT_BYTES
from gateway.spool.disk import SealedOtherwise
from gateway.spool.frame import HEAD_BYTES, MAGIC, FrameHead, encode_end, parse_head
from gateway.spool.segment import HEAD_BYTES as SEGMENT_HEAD_BYTES
from gateway.spool.segment import parse_head as parse_segment_head
from gateway.spool.spool import CommitRefused, Position, Spool
from tests.gateway.spool.harness import SEGMENT, alert, no_flush, numeric, run, stored, wave

SECRET, OTHER = b"\x11" * 32, b"\x22" * 32
TOKEN = "MARWA-ELIDRISSI-1974"
BOOTS = ("0e7e0f11-53b4-4b0c-9d56-8d2a7a9a4c01", "0e7e0f11-53b4-4b0c-9d56-8d2a7a9a4c02")


def opened(folder: Path, secret: bytes = SECRET, boot: str = "") -> Spool:
    return Spool.open(folder, secret=secret, boot=boot, flush=no_flush, segment_bytes=SEGMENT)


async def lives(folder: Path, *counts: int) -> str:
    """A spool opened once per number and given so many events of about 1 kB, three a segment. Returns its id."""
    for at, count in enumerate(counts):
        spool = opened(folder, boot=BOOTS[at % 2])
        for number in range(count):
            await spool.put([alert(number, 1000)])
        await spool.close()
    return spool.id


def segments(folder: Path, lane: Lane = "event") -> list[Path]:
    return sorted((folder / lane).glob("*.seg"))


def frames(path: Path) -> list[tuple[int, FrameHead]]:
    """Where each frame of a file stands; end marks too."""
    data, at, found = path.read_bytes(), SEGMENT_HEAD_BYTES, []
    while head := parse_head(data, at):
        found.append((at, head))
        at += head.size + head.length
    return found


def patched(path: Path, at: int, new: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[at : at + len(new)] = new
    path.write_bytes(data)


def patched_head(path: Path, at: int, offset: int, new: bytes) -> None:
    """A frame's head edited by someone who knows the format: its CRC is right again."""
    patched(path, at + offset, new)
    data = path.read_bytes()
    patched(path, at + HEAD_BYTES - 4, struct.pack("<I", zlib.crc32(data[at : at + HEAD_BYTES - 4])))


async def lost(folder: Path) -> tuple[list[int], list[tuple[int, int, int]], int]:
    """What a start then reads of epoch 1's events, what it says is missing, and what it counts as damaged."""
    spool = opened(folder)
    there = [seq for _, epoch, seq in stored(spool, "event") if epoch == 1]
    await spool.commit_now()
    records = [*spool.recovery.gaps, *stored(spool, "event", Position(spool.epoch - 1, 1 << 60)).values()]
    gaps = [(each.gap_epoch, each.first, each.last) for each in records if isinstance(each, Gap)]
    damaged = spool.counters.damaged
    await spool.close()
    return there, gaps, damaged


@pytest.mark.parametrize("suite", [SUITE_CHACHA, SUITE_AES])
def test_nothing_that_was_observed_can_be_read_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite: int
) -> None:
    monkeypatch.setattr(cipher, "preferred_suite", lambda: suite)

    async def work() -> None:
        for _ in range(2):
            spool = opened(tmp_path)
            for number in range(40):
                await spool.put([alert(number, 300), numeric(number, 300), wave(number)])
                await spool.put(
                    [Alert(alert="unknown", priority="low", presence="on", validity="valid", place=TOKEN)]
                )
                await spool.tick(5)
                for lane in ("event", "numeric"):
                    spool.acknowledge(lane, spool.epoch, spool.head(lane).seq - 5)
            assert any(TOKEN.encode() in each.payload for each in spool.frames_after("event", Position(0, 0), 99))
            spool.acknowledge("numeric", spool.epoch, spool.head("numeric").seq)
            await spool.tick(1)
            await spool.close()
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        words = (TOKEN.encode(), b'"kind":"', b'"validity"', b"x" * 9)
        assert {".seg", ".free"} <= {path.suffix for path in files}
        for path in files:
            assert not any(word in path.read_bytes() for word in words)
        heads = [parse_segment_head(path.read_bytes()) for path in files if path.suffix == ".seg"]
        assert {head.origin.suite for head in heads if head} == {suite}

    run(work())


def test_no_nonce_ever_serves_twice_under_one_salt(tmp_path: Path) -> None:
    """Not even for an event that was refused, was on the medium all the same, and gave its number back."""
    written: list[tuple[bytes, int, bytes]] = []
    trouble = [False]

    def flush(_: int) -> None:
        for path in tmp_path.glob("*/*.seg"):
            head = parse_segment_head(path.read_bytes())
            for at, frame in frames(path) if head else ():
                body = path.read_bytes()[at : at + frame.size + frame.length]
                if frame.counter and head:
                    written.append((head.origin.salt, frame.counter, body))
        if trouble[0]:
            raise OSError(5, "EIO")

    async def work() -> None:
        for _ in range(3):
            spool = Spool.open(tmp_path, secret=SECRET, flush=flush, segment_bytes=SEGMENT)
            for number in range(12):
                trouble[0] = number in (3, 4, 8)
                try:
                    await spool.put([alert(number, 200), numeric(number)])
                except CommitRefused:
                    assert trouble[0]
                await spool.tick(1)
            await spool.close()

    run(work())
    assert len({(salt, counter) for salt, counter, _ in written}) == len(set(written)) > 30
    assert len({salt for salt, *_ in written}) == 3


def as_end_mark(path: Path, at: int, _end: int) -> None:
    patched_head(path, at, 44, bytes(8))
    patched_head(path, at, 7, b"\0")


EDITS: list[tuple[str, Callable[[Path, int, int], None]]] = [
    ("payload", lambda path, at, end: patched(path, end - 30, bytes([path.read_bytes()[end - 30] ^ 1]))),
    ("tag", lambda path, at, end: patched(path, end - 1, bytes([path.read_bytes()[end - 1] ^ 1]))),
    ("content", lambda path, at, end: patched_head(path, at, 7, b"\2")),
    ("first", lambda path, at, end: patched_head(path, at, 28, struct.pack("<Q", 3))),
    ("count", lambda path, at, end: patched_head(path, at, 36, struct.pack("<I", 2))),
    ("counter", lambda path, at, end: patched_head(path, at, 44, struct.pack("<Q", 9))),
    ("end mark", as_end_mark),
    ("suite", lambda path, at, end: patched_head(path, at, 5, b"\1" if path.read_bytes()[at + 5] == 2 else b"\2")),
]


@pytest.mark.parametrize(("what", "edit"), EDITS, ids=[name for name, _ in EDITS])
def test_an_edited_frame_is_refused_and_told(
    tmp_path: Path, what: str, edit: Callable[[Path, int, int], None]
) -> None:
    async def work() -> None:
        await lives(tmp_path, 9)
        (_, _), (at, head), *_ = frames(segments(tmp_path)[0])
        edit(segments(tmp_path)[0], at, at + head.size + head.length)
        assert await lost(tmp_path) == ([1, 3, 4, 5, 6, 7, 8, 9], [(1, 2, 2)], 1)

    run(work())


def test_a_frame_in_another_s_place_is_refused(tmp_path: Path) -> None:
    """Good frames, sealed by the box itself: from another place in the file, another file, epoch or lane."""

    async def work() -> None:
        await lives(tmp_path / "whole", 9, 9)
        one, two, _, later, *_ = segments(tmp_path / "whole")
        spool = opened(tmp_path / "whole")
        for number in range(9):
            await spool.put([numeric(number, 1100)])
            await spool.commit_now()
        await spool.close()
        _, (at, head), *_ = frames(one)
        size = head.size + head.length
        sources = [one, two, later, segments(tmp_path / "whole", "numeric")[0]]
        for number, source in enumerate(sources):
            folder = tmp_path / str(number)
            shutil.copytree(tmp_path / "whole", folder)
            start = frames(source)[0][0]
            patched(folder / "event" / one.name, at, source.read_bytes()[start : start + size])
            spool = opened(folder)
            assert [seq for _, epoch, seq in stored(spool, "event") if epoch == 1] == [1, *range(3, 10)]
            assert spool.counters.damaged == 1
            await spool.close()

    run(work())


def test_a_recycled_segment_s_earlier_life_is_not_replayed(tmp_path: Path) -> None:
    """Someone keeps a copy of a file and puts its frames back when the file serves again."""

    async def work() -> None:
        spool = opened(tmp_path)
        for number in range(3):
            await spool.put([alert(number, 1000)])
        old = segments(tmp_path)[0].read_bytes()
        await spool.put([alert(3, 1000)])
        spool.acknowledge("event", 1, 3)
        await spool.tick(1)
        for number in range(4, 9):
            await spool.put([alert(number, 1000)])
        spool.acknowledge("event", 1, 6)
        await spool.tick(1)
        await spool.close()
        path = segments(tmp_path)[-1]
        patched(path, SEGMENT_HEAD_BYTES, old[SEGMENT_HEAD_BYTES:])
        spool = opened(tmp_path)
        assert [int(each.vendor.code) for each in stored(spool, "event").values() if each.vendor] == []
        assert [(each.first, each.reason) for each in spool.recovery.gaps] == [(7, "torn_tail")]
        await spool.close()

    run(work())


def test_a_frame_taken_out_is_missed(tmp_path: Path) -> None:
    """The rest moved up, so that nothing between the frames looks wrong: the numbers tell."""

    async def work() -> None:
        await lives(tmp_path, 9)
        path = segments(tmp_path)[0]
        (_, (at, head), *_), data = frames(path), path.read_bytes()
        size = head.size + head.length
        path.write_bytes((data[:at] + data[at + size :]).ljust(SEGMENT, b"\0"))
        there, gaps, damaged = await lost(tmp_path)
        assert (2 not in there, gaps, damaged) == (True, [(1, 2, 2)], 1)

    run(work())


def test_an_end_mark_cannot_be_made_without_the_secret(tmp_path: Path) -> None:
    async def work() -> None:
        spool_id = await lives(tmp_path, 3)
        path = segments(tmp_path)[0]
        (_, (at, _), *_) = frames(path)
        head = parse_segment_head(path.read_bytes())
        assert head is not None
        mark = encode_end("event", head.origin, head.number, 2, Keyring(OTHER, spool_id))
        data = path.read_bytes()[:at] + mark
        path.write_bytes(data.ljust(SEGMENT, b"\0"))
        spool = opened(tmp_path)
        assert [(each.first, each.reason) for each in spool.recovery.gaps] == [(2, "torn_tail")]
        await spool.close()

    run(work())


def test_an_older_copy_of_the_newest_file_is_missed(tmp_path: Path) -> None:
    """All of it is genuine, its end mark too; what the cursor says was committed is not in it."""

    async def work() -> None:
        spool = opened(tmp_path)
        await spool.put([alert(1, 1000)])
        old = segments(tmp_path)[0].read_bytes()
        await spool.put([alert(2, 1000)])
        await spool.close()
        segments(tmp_path)[0].write_bytes(old)
        spool = opened(tmp_path)
        assert [(each.first, each.last, each.reason) for each in spool.recovery.gaps] == [(2, 2, "damaged")]
        await spool.close()

    run(work())


def test_a_forged_cursor_frees_nothing(tmp_path: Path) -> None:
    """An acknowledgement deletes data (law 5); so does whoever can write this file and make its CRC right."""

    async def work() -> None:
        await lives(tmp_path, 9)
        path = tmp_path / "event" / "cursor"
        data = bytearray(path.read_bytes())
        for at in (0, SLOT_BYTES):
            if data[at : at + 4] == b"JSRC":
                data[at + 40 : at + 48] = struct.pack("<Q", 9)
                end = at + 72 + 16
                data[end : end + 4] = struct.pack("<I", zlib.crc32(data[at:end]))
        path.write_bytes(data)
        spool = opened(tmp_path)
        assert spool.released("event") == Position(0, 0)
        assert len(stored(spool, "event")) == 9
        await spool.close()

    run(work())


def test_a_forged_segment_head_is_not_believed(tmp_path: Path) -> None:
    """With another boot, and another end of the segment before: the frames are read as those around it tell."""

    async def work() -> None:
        await lives(tmp_path, 6, 3)
        path = segments(tmp_path)[1]
        patched(path, 88, b"\xee" * 16)
        patched(path, 64, struct.pack("<I", SEGMENT_HEAD_BYTES))
        data = path.read_bytes()
        patched(path, 120, struct.pack("<I", zlib.crc32(data[:120])))
        spool = opened(tmp_path)
        frames = spool.frames_after("event", Position(0, 0), 99)
        assert [(each.epoch, each.first) for each in frames] == [
            *((1, seq) for seq in range(1, 7)),
            *((2, seq) for seq in range(1, 4)),
        ]
        assert [each.boot for each in frames] == [BOOTS[0]] * 6 + [BOOTS[1]] * 3
        assert spool.recovery.gaps == ()
        await spool.close()

    run(work())


def test_an_unsealed_segment_is_not_smuggled_in(tmp_path: Path) -> None:
    """Format 1 is believed only from the time before the spool was sealed."""

    async def work() -> None:
        spool_id = await lives(tmp_path, 3)
        fixed = struct.pack(
            "<4sBBBx8sQQQQQQII", b"JSRS", 1, 0, 0, bytes.fromhex(spool_id), 2, 1, 4, 1, 1, 3, 0, SEGMENT
        )
        head = (fixed + struct.pack("<I", zlib.crc32(fixed))).ljust(128, b"\0")
        payload = b"[]"
        fixed = struct.pack("<4sBBBBIQQQII", MAGIC, 1, 0, 0, 1, 0, 1, 2, 4, 1, len(payload))
        body = fixed + struct.pack("<I", zlib.crc32(fixed)) + payload
        forged = (head + body + struct.pack("<I", zlib.crc32(body))).ljust(SEGMENT, b"\0")
        (tmp_path / "event" / "0000000002-1-4.seg").write_bytes(forged)
        spool = opened(tmp_path)
        assert [seq for _, _, seq in stored(spool, "event")] == [1, 2, 3]
        assert spool.recovery.segments_set_aside == 1
        await spool.close()

    run(work())


@pytest.mark.parametrize("is_identity_lost", [False, True])
def test_sealed_with_another_secret(tmp_path: Path, is_identity_lost: bool) -> None:
    """Nothing is deleted, it is said once, the platform is told, the box goes on; the old secret opens it still."""

    async def work() -> None:
        spool_id = await lives(tmp_path, 6, 3)
        if is_identity_lost:
            (tmp_path / "identity").unlink()
        spool = opened(tmp_path, OTHER)
        (notice,) = spool.recovery.notices
        assert isinstance(notice, SealedOtherwise)
        assert (notice.facts["count"], spool.id != spool_id, spool.epoch) == (3, True, 1)
        await spool.put([alert(1)])
        told = [each.vendor for each in stored(spool, "event").values() if isinstance(each, Alert)]
        assert [each.code for each in told if each] == ["1", "spool_set_aside"]
        await spool.close()
        again = opened(tmp_path, OTHER)
        assert (again.id, again.epoch, again.recovery.notices) == (spool.id, 2, ())
        await again.close()
        (kept,) = (tmp_path / "kept").iterdir()
        assert kept.name == f"{spool_id}-2"
        old = opened(kept)
        assert (old.id, len(stored(old, "event"))) == (spool_id, 9)
        await old.close()

    run(work())


def test_set_aside_as_often_as_it_happens(tmp_path: Path) -> None:
    """Also where a power cut came in the middle of it, and parts lie there already."""

    async def work() -> None:
        ids = []
        for number in range(4):
            spool = opened(tmp_path, bytes([number]) * 32)
            await spool.put([alert(1)])
            ids.append(spool.id)
            await spool.close()
        (tmp_path / "kept" / f"{ids[3]}-1" / "event").mkdir(parents=True)
        spool = opened(tmp_path, OTHER)
        await spool.close()
        kept = sorted(each.name for each in (tmp_path / "kept").iterdir())
        assert kept == sorted([*(f"{each}-1" for each in ids), f"{ids[3]}-1-again"])
        assert len(list((tmp_path / "kept").glob("*/event/*.seg"))) == 4

    run(work())


def test_a_spool_that_holds_nothing_sealed_takes_any_secret(tmp_path: Path) -> None:
    async def work() -> None:
        spool_id = await lives(tmp_path, 0)
        spool = opened(tmp_path, OTHER)
        assert (spool.id, spool.epoch, spool.recovery.notices) == (spool_id, 2, ())
        await spool.close()

    run(work())


def test_every_frame_tells_its_boot(tmp_path: Path) -> None:
    async def work() -> None:
        await lives(tmp_path, 3, 3)
        spool = opened(tmp_path, boot="no boot id")
        await spool.put([alert(1)])
        boots = [each.boot for each in spool.frames_after("event", Position(0, 0), 99)]
        assert boots == [BOOTS[0]] * 3 + [BOOTS[1]] * 3 + ["no boot id"]
        await spool.close()
        spool = opened(tmp_path)
        assert spool.frames_after("event", Position(2, 3), 99)[0].boot == ""
        await spool.close()

    run(work())


def test_without_a_secret_it_is_sealed_all_the_same(tmp_path: Path) -> None:
    """For tests only; the agent always has one (tests/gateway/test_agent.py)."""

    async def work() -> None:
        spool = Spool.open(tmp_path, flush=no_flush, segment_bytes=SEGMENT)
        await spool.put([alert(1, 100)])
        await spool.close()
        assert b"xxxx" not in segments(tmp_path)[0].read_bytes()
        spool = opened(tmp_path, NO_SECRET)
        assert len(stored(spool, "event")) == 1
        await spool.close()

    run(work())
