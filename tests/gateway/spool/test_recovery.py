"""What a start makes of what it finds: tails, lost segments, foreign ones, a damaged identity or cursor."""

import shutil
import zlib
from pathlib import Path

import msgspec
import pytest

from drivers.observation import Gap, Lane
from gateway.spool import frame, segment
from gateway.spool.acked import Acked, without_holes
from gateway.spool.cipher import NO_SECRET, SUITE_CHACHA, Keyring
from gateway.spool.cursor import SLOT_BYTES, Slot, State, encode_slot, parse_slot
from gateway.spool.identity import ORIGINS, Identity, encode_identity, is_genuine, next_identity, parse_identity
from gateway.spool.spool import Position, Spool
from tests.gateway.spool.harness import SEGMENT, Ledger, alert, no_flush, run, sealer_of, stored


async def filled(folder: Path, *epochs: int) -> Ledger:
    """A spool that was opened once per number, and given so many events of about 1 kB: three a segment."""
    ledger = Ledger()
    for count in epochs:
        spool = Spool.open(folder, flush=no_flush, segment_bytes=SEGMENT)
        ledger.watch(spool)
        for number in range(count):
            await spool.put([alert(number, 1000)])
        await spool.close()
    return ledger


def opened(folder: Path) -> Spool:
    return Spool.open(folder, flush=no_flush, segment_bytes=SEGMENT)


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "event").glob("*.seg"))


def head_of(path: Path) -> segment.SegmentHead:
    head = segment.parse_head(path.read_bytes())
    assert head is not None
    return head


def walked(path: Path) -> frame.Walk:
    head = head_of(path)
    return frame.Walk(path.read_bytes()[segment.HEAD_BYTES :], "event", 1, head.origin, sealer_of(head), 0)


def told(spool: Spool) -> list[tuple[int, int, int, str]]:
    return [(each.gap_epoch, each.first, each.last, each.reason) for each in spool.recovery.gaps]


def spoil(path: Path) -> None:
    """Nothing in it can be read any more."""
    path.write_bytes(b"\xa5" * path.stat().st_size)


@pytest.mark.parametrize(
    ("epochs", "which", "gaps"),
    [
        ((9,), 0, [(1, 1, 3, "damaged")]),
        ((9,), 1, [(1, 4, 6, "damaged")]),
        ((9,), 2, [(1, 7, 7, "torn_tail")]),
        ((6, 3), 1, [(1, 4, 6, "damaged")]),
        ((6, 3), 2, [(2, 1, 1, "torn_tail")]),
        ((3, 3), 0, [(1, 1, 3, "damaged")]),
        ((6, 6), 2, [(2, 1, 3, "damaged")]),
    ],
)
def test_a_lost_segment_is_set_aside_and_told(
    tmp_path: Path, epochs: tuple[int, ...], which: int, gaps: list[tuple[int, int, int, str]]
) -> None:
    ledger = run(filled(tmp_path, *epochs))
    spoil(segments(tmp_path)[which])
    spool = opened(tmp_path)
    assert told(spool) == gaps
    assert spool.recovery.segments_set_aside == 1
    ledger.gaps += spool.recovery.gaps
    assert ledger.missing(spool) == []
    assert len(stored(spool, "event")) == sum(epochs) - 3
    assert len(list((tmp_path / "event").glob("*.bad"))) == 1
    run(spool.close())


def test_a_lost_segment_that_was_released_is_not_told(tmp_path: Path) -> None:
    async def work() -> None:
        spool = opened(tmp_path)
        for number in range(9):
            await spool.put([alert(number, 1000)])
        spool.acknowledge("event", 1, 5)
        await spool.close()
        spoil(segments(tmp_path)[0])
        spool = opened(tmp_path)
        assert told(spool) == [(1, 6, 6, "damaged")]
        await spool.close()

    run(work())


def test_a_head_that_cannot_be_read_costs_nothing(tmp_path: Path) -> None:
    ledger = run(filled(tmp_path, 6, 6))
    for path in segments(tmp_path):
        data = bytearray(path.read_bytes())
        data[:100] = b"\xff" * 100
        path.write_bytes(data)
    spool = opened(tmp_path)
    assert told(spool) == []
    assert ledger.missing(spool) == []
    assert spool.depth()["event"].observations == 12
    run(spool.close())


def test_a_torn_tail_is_cut_and_counted_once(tmp_path: Path) -> None:
    """A commit of which only the head landed: it says which observations it was about."""
    run(filled(tmp_path, 2))
    path = segments(tmp_path)[-1]
    lost = frame.encode_frame(frame.Frame("event", 1, 3, 4, 1, b"x" * 200), 1, sealer_of(head_of(path)))
    data = path.read_bytes()
    walk = walked(path)
    assert len(list(walk.frames())) == 2
    data = data[: segment.HEAD_BYTES + walk.end]
    path.write_bytes((data + lost[:100]).ljust(SEGMENT, b"\0"))
    spool = opened(tmp_path)
    assert told(spool) == [(1, 3, 6, "torn_tail")]
    cut = len(lost[:100].rstrip(b"\0"))  # what is sealed may end with a zero; nobody can tell that from nothing
    assert (spool.recovery.tail_bytes_cut, spool.recovery.frames_kept) == (cut, 2)
    run(spool.close())
    spool = opened(tmp_path)
    assert told(spool) == []
    assert len(stored(spool, "event")) == 2
    run(spool.close())


@pytest.mark.parametrize("kept", [1, 2])
def test_a_file_cut_between_two_frames_is_noticed(tmp_path: Path, kept: int) -> None:
    run(filled(tmp_path, 3))
    path = segments(tmp_path)[-1]
    walk = walked(path)
    ends = [seen.end for seen in walk.frames()]
    path.write_bytes(path.read_bytes()[: segment.HEAD_BYTES + ends[kept - 1]])
    spool = opened(tmp_path)
    assert told(spool) == [(1, kept + 1, kept + 1, "torn_tail")]
    run(spool.close())


def test_a_file_that_is_gone_is_told_until_it_is_released(tmp_path: Path) -> None:
    run(filled(tmp_path, 9))
    segments(tmp_path)[1].unlink()
    for _ in range(2):
        spool = opened(tmp_path)
        assert told(spool) == [(1, 4, 6, "damaged")]
        run(spool.close())
    spool = opened(tmp_path)
    assert spool.acknowledge("event", 1, 9) == 6
    assert spool.released("event") == Position(1, 9)
    run(spool.close())
    spool = opened(tmp_path)
    assert told(spool) == []
    run(spool.close())


def test_damage_met_while_reading_leaves_a_gap_and_keeps_the_file(tmp_path: Path) -> None:
    async def work() -> None:
        ledger = await filled(tmp_path, 9)
        path = segments(tmp_path)[0]
        data = bytearray(path.read_bytes())
        data[1500] ^= 1
        path.write_bytes(data)
        spool = opened(tmp_path)
        ledger.watch(spool)
        assert told(spool) == []
        assert list(stored(spool, "event")) == [("event", 1, seq) for seq in (1, 3, 4, 5, 6, 7, 8, 9)]
        await spool.tick(1)
        gaps = [each for each in stored(spool, "event", Position(2, 0)).values() if isinstance(each, Gap)]
        assert [(each.gap_epoch, each.first, each.last, each.reason) for each in gaps] == [(1, 2, 2, "damaged")]
        assert spool.acknowledge("event", 1, 1) == 1
        assert spool.released("event") == Position(1, 2), "nobody waits for what cannot come"
        stored(spool, "event")
        await spool.tick(2)
        assert spool.committed["event"] == 1, "told once"
        spool.acknowledge("event", 1, 9)
        await spool.tick(3)
        assert [each.name[:10] for each in (tmp_path / "event").glob("*.bad")] == ["0000000001"]
        await spool.close()

    run(work())


def test_foreign_and_stray_files(tmp_path: Path) -> None:
    run(filled(tmp_path / "one", 3))
    run(filled(tmp_path / "two", 3))
    foreign = segments(tmp_path / "two")[0]
    shutil.copy(foreign, tmp_path / "one" / "event" / "0000000007-1-1.seg")
    for stray in ("notes.seg", "1-2.seg", "0000000009-1-1.new"):
        (tmp_path / "one" / "event" / stray).write_bytes(b"stray")
    spool = opened(tmp_path / "one")
    assert len(stored(spool, "event")) == 3
    assert (told(spool), spool.recovery.segments_set_aside) == ([], 1)
    assert not list((tmp_path / "one" / "event").glob("*.new"))
    assert (tmp_path / "one" / "event" / "notes.seg").exists()
    run(spool.close())


def test_a_segment_that_was_given_up_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk refused a flush but kept the bytes, and the file could not even be removed."""

    async def work() -> None:
        trouble = [False]

        def flush(_: int) -> None:
            if trouble[0]:
                raise OSError(5, "EIO")

        spool = Spool.open(tmp_path, flush=flush, segment_bytes=SEGMENT)
        for number in range(3):
            await spool.put([alert(number, 1000)])
        trouble[0] = True
        with monkeypatch.context() as patch:

            def unlink(_: Path, missing_ok: bool = False) -> None:
                raise OSError(5, "EIO")

            patch.setattr(Path, "unlink", unlink)
            with pytest.raises(Exception, match="refused"):
                await spool.put([alert(666, 1000)])
        trouble[0] = False
        await spool.put([alert(4, 1000)])
        await spool.close()
        assert len(segments(tmp_path)) == 3
        again = opened(tmp_path)
        assert [each.vendor.code for each in stored(again, "event").values() if each.vendor] == ["0", "1", "2", "4"]
        assert told(again) == []
        await again.close()

    run(work())


def test_a_blank_segment_is_nothing(tmp_path: Path) -> None:
    """Made, and the power went before the first commit in it; or recycled, and only renamed."""
    run(filled(tmp_path, 3))
    (tmp_path / "event" / "0000000002-2-1.seg").write_bytes(bytes(SEGMENT))
    shutil.copy(segments(tmp_path)[0], tmp_path / "event" / "0000000003-2-1.seg")
    spool = opened(tmp_path)
    assert (told(spool), spool.recovery.segments_set_aside) == ([], 0)
    assert len(stored(spool, "event")) == 3
    run(spool.close())


@pytest.mark.parametrize("how", ["gone", "spoiled", "empty"])
def test_an_identity_is_rebuilt_from_what_is_there(tmp_path: Path, how: str) -> None:
    async def work() -> None:
        spool = opened(tmp_path)
        await spool.close()
        await filled(tmp_path, 3)
        path = tmp_path / "identity"
        if how == "gone":
            path.unlink()
        else:
            path.write_bytes(b"" if how == "empty" else b"\xff" * 256)
        again = opened(tmp_path)
        assert (again.id, again.epoch) == (spool.id, 3)
        assert again.recovery.is_identity_rebuilt
        assert len(stored(again, "event")) == 3
        await again.close()

    run(work())


def test_an_epoch_whose_frames_are_all_released_is_not_used_again(tmp_path: Path) -> None:
    async def work() -> None:
        await filled(tmp_path, 3, 3, 3)
        spool = opened(tmp_path)
        await spool.put([alert(1)])
        for epoch in range(1, 5):
            spool.acknowledge("event", epoch, 9)
        await spool.close()
        for _ in range(2):
            spool = opened(tmp_path)
            await spool.tick(1)
            await spool.close()
        assert segments(tmp_path) == []
        (tmp_path / "identity").unlink()
        again = opened(tmp_path)
        assert (again.id, again.epoch) == (spool.id, 5)
        await again.close()

    run(work())


def test_next_identity() -> None:
    assert next_identity(Identity("ab" * 8, 4), []) == Identity("ab" * 8, 5)
    assert next_identity(Identity("ab" * 8, 4), [("ab" * 8, 9), ("cd" * 8, 20)]) == Identity("ab" * 8, 10)
    assert next_identity(None, [("ab" * 8, 9), ("cd" * 8, 3)]) == Identity("ab" * 8, 10)
    assert next_identity(None, [("", 12), ("ab" * 8, 9)]) == Identity("ab" * 8, 13)
    assert next_identity(None, [("", 12)]).epoch == 13
    assert next_identity(None, []).epoch == 1
    assert next_identity(None, []).id != next_identity(None, []).id


def test_head_and_identity_both_gone(tmp_path: Path) -> None:
    """Nothing tells the key any more: what was there is set aside and told, before everything new."""

    async def work() -> None:
        await filled(tmp_path, 0, 2)
        (tmp_path / "identity").unlink()
        path = segments(tmp_path)[0]
        path.write_bytes(b"\xff" * segment.HEAD_BYTES + path.read_bytes()[segment.HEAD_BYTES :])
        spool = opened(tmp_path)
        await spool.put([alert(1)])
        assert list(stored(spool, "event")) == [("event", 3, 1)]
        assert told(spool) == [(2, 1, 1, "torn_tail")]
        assert len(list((tmp_path / "event").glob("*.bad"))) == 1
        await spool.close()

    run(work())


def test_identity_line() -> None:
    origins = ((5, 1, "ab" * 16, "boot"), (2**40, 2, "cd" * 16, ""))
    identity, keyring = Identity("00ff" * 4, 2**40, sealed_from=5, origins=origins), Keyring(NO_SECRET, "00ff" * 4)
    line = encode_identity(identity, keyring)
    assert len(line) == 4096
    seen = parse_identity(line)
    assert seen is not None
    assert msgspec.structs.replace(seen, check="") == identity
    assert is_genuine(seen, keyring)
    assert not is_genuine(seen, Keyring(b"\1" * 32, "00ff" * 4))
    assert not is_genuine(msgspec.structs.replace(seen, sealed_from=9), keyring)
    full = Identity("00ff" * 4, 2**40, origins=tuple((2**40 + at, 2, "cd" * 16, "b" * 36) for at in range(ORIGINS)))
    assert len(encode_identity(full, keyring)) == 4096
    for at in range(len(line.rstrip())):
        bad = bytearray(line)
        bad[at] ^= 1
        assert parse_identity(bytes(bad)) is None


def crc_line(text: bytes) -> bytes:
    return b"%s %08x\n" % (text, zlib.crc32(text))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'{"epoch":1,"format":0,"id":"00ff00ff00ff00ff"}',
        b'{"epoch":-1,"format":2,"id":"00ff00ff00ff00ff"}',
        b'{"epoch":1,"format":2,"id":"00ff00ff00ff00ff","origins":[[1,1,"xy",""]]}',
        b'{"epoch":1,"format":1,"id":"00ff"}',
        b"\xff\xff",
    ],
)
def test_identity_of_another_kind(text: bytes) -> None:
    assert parse_identity(crc_line(text)) is None


def test_cursor_slots_alternate(tmp_path: Path) -> None:
    """A slot that is torn costs one update."""

    async def work() -> None:
        spool = opened(tmp_path)
        await spool.put([alert(number) for number in range(9)])
        for upto in (2, 4, 6):
            spool.acknowledge("event", 1, upto)
            await spool.tick(60)
        await spool.close()
        path = tmp_path / "event" / "cursor"
        data = path.read_bytes()
        slots = [parse_slot(data[at : at + SLOT_BYTES], "event") for at in (0, SLOT_BYTES)]
        assert sorted(each.state.released.seq for each in slots if each) == [4, 6]
        newest = max((0, 1), key=lambda place: slots[place].counter)  # type: ignore[union-attr]
        torn = bytearray(data)
        torn[newest * SLOT_BYTES + 40] ^= 4
        path.write_bytes(torn)
        spool = opened(tmp_path)
        assert spool.released("event") == Position(1, 4)
        assert spool.depth()["event"].observations == 5
        spool.acknowledge("event", 1, 7)
        await spool.tick(60)
        await spool.close()
        path.write_bytes(bytes(2 * SLOT_BYTES))
        spool = opened(tmp_path)
        assert spool.released("event") == Position(0, 0)
        assert spool.depth()["event"].observations == 9
        await spool.close()

    run(work())


def test_the_slot_that_holds_is_not_written_before_the_other_is_flushed(tmp_path: Path) -> None:
    async def work() -> None:
        spool = opened(tmp_path)
        await spool.put([alert(number) for number in range(9)])
        spool.acknowledge("event", 1, 2)
        await spool.tick(60)
        await spool.close()
        path = tmp_path / "event" / "cursor"
        before = path.read_bytes()
        spool = opened(tmp_path)
        for upto in (3, 4, 5):
            spool.acknowledge("event", 1, upto)
            await spool.tick(1)
        after = path.read_bytes()
        slots = [
            parse_slot(data[at : at + SLOT_BYTES], "event") for data in (before, after) for at in (0, SLOT_BYTES)
        ]
        assert sorted(each.state.released.seq for each in slots if each) == [2, 2, 5]
        await spool.close()

    run(work())


def test_slot_codec() -> None:
    keyring = Keyring(NO_SECRET, "ab" * 8)
    slot = Slot(5, "ab" * 8, 7, State(Position(6, 3), ((6, 5, 9), (7, 1, 2)), Position(7, 4), 12))
    data = encode_slot(slot, "wave", keyring).ljust(SLOT_BYTES, b"\0")
    assert parse_slot(data, "wave", keyring) == slot
    for other in (None, Keyring(b"\1" * 32, "ab" * 8)):
        seen = parse_slot(data, "wave", other)
        assert seen is not None
        assert not seen.is_genuine
    assert parse_slot(data, "log", keyring) is None
    assert parse_slot(data[:60], "wave", keyring) is None
    full = Slot(5, "ab" * 8, 7, State(Position(6, 3), tuple((7, at, at) for at in range(1, 999, 2))))
    assert len(encode_slot(full, "event", keyring)) <= SLOT_BYTES


@pytest.mark.parametrize(("at", "value"), [(segment.HEAD_BYTES + 4, 3), (segment.HEAD_BYTES + 5, 9), (4, 3), (5, 9)])
def test_what_a_newer_version_wrote_is_left_alone(tmp_path: Path, at: int, value: int) -> None:
    """A frame or a segment of another version or suite: not readable here, so it is kept, whole, for good."""
    run(filled(tmp_path, 1))
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[at] = value
    path.write_bytes(data)
    spool = opened(tmp_path)
    assert stored(spool, "event") == {}
    assert len(spool.recovery.gaps) == 1
    run(spool.close())
    assert next((tmp_path / "event").glob("*.kept")).read_bytes() == bytes(data)


def test_a_walk_gives_only_this_segment_s_frames_in_order() -> None:
    """Leftovers of a recycled file, each in turn behind a good frame, and a good one behind them."""

    keyring = Keyring(NO_SECRET, "ab" * 8)
    sealers = {epoch: keyring.sealer(epoch, suite=SUITE_CHACHA) for epoch in (4, 5)}
    origin = sealers[5].origin

    def made(first: int, epoch: int = 5, number: int = 3, lane: Lane = "event") -> bytes:
        return frame.encode_frame(frame.Frame(lane, epoch, first, 2, 1, b"x" * 9), number, sealers[epoch])

    for stale in (made(13, epoch=4), made(13, number=2), made(13, lane="wave"), made(9), made(11)):
        walk = frame.Walk(made(11) + stale + made(15), "event", 3, origin, keyring.opener(origin), 10)
        assert [(seen.head.first, seen.is_after_damage) for seen in walk.frames()] == [(11, False), (15, True)]
        end = frame.encode_end("event", origin, 3, 13, keyring)
        walk = frame.Walk(made(11) + end + stale, "event", 3, origin, keyring.opener(origin), 10)
        assert [seen.head.first for seen in walk.frames()] == [11]
        assert walk.state == "ended"


@pytest.mark.parametrize(
    ("holes", "pieces"),
    [
        ([], [(3, 9)]),
        ([(1, 2)], [(3, 9)]),
        ([(1, 3)], [(4, 9)]),
        ([(5, 6)], [(3, 4), (7, 9)]),
        ([(5, 6), (5, 8)], [(3, 4), (9, 9)]),
        ([(9, 12)], [(3, 8)]),
        ([(10, 12)], [(3, 9)]),
        ([(1, 20)], []),
    ],
)
def test_without_holes(holes: list[tuple[int, int]], pieces: list[tuple[int, int]]) -> None:
    assert list(without_holes(3, 9, holes)) == pieces


def test_ranges_are_joined() -> None:
    acked = Acked(Position(2, 10))
    assert [acked.add(2, 1, 12), acked.add(2, 20, 22), acked.add(1, 1, 99), acked.add(2, 1, 9)] == [2, 3, 0, 0]
    assert acked.add(2, 12, 20) == 7
    assert acked.ranges == [(2, 11, 22)]
    assert acked.add(3, 1, 4) == 4
    assert acked.beyond() == 16
    assert acked.covers(2, 5, 22)
    assert not acked.covers(3, 4, 5)
    assert acked.advance(11, 2)
    assert acked.released == Position(2, 22)
    assert not acked.advance(23, 2)
