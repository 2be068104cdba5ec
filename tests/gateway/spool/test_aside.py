"""Files that are set aside, and files that are not there any more: bounded, counted, told."""

from pathlib import Path

import pytest

from drivers.observation import Gap
from gateway.errors import JisrError
from gateway.spool.aside import BAD_SEGMENTS
from gateway.spool.disk import DamagedRemoved
from gateway.spool.spool import Position, Spool
from tests.gateway.spool.harness import SEGMENT, alert, no_flush, run, stored


def opened(folder: Path) -> Spool:
    return Spool.open(folder, flush=no_flush, segment_bytes=SEGMENT)


def files(folder: Path, kind: str = "seg") -> list[Path]:
    return sorted((folder / "event").glob(f"*.{kind}"))


def told(spool: Spool) -> list[tuple[int, int, int, str]]:
    return [(each.gap_epoch, each.first, each.last, each.reason) for each in spool.recovery.gaps]


async def put(spool: Spool, count: int) -> None:
    """Three a segment."""
    for number in range(count):
        await spool.put([alert(number, 1000)])


def test_damaged_files_are_bounded_at_a_start(tmp_path: Path) -> None:
    async def work() -> None:
        spool = opened(tmp_path)
        await put(spool, 3 * (BAD_SEGMENTS + 4))
        await spool.close()
        for path in files(tmp_path)[:-1]:
            path.write_bytes(b"\xa5" * SEGMENT)
        spool = opened(tmp_path)
        assert spool.recovery.segments_set_aside == BAD_SEGMENTS + 3
        assert [path.name[:10] for path in files(tmp_path, "bad")] == [
            f"{number:010d}" for number in range(4, BAD_SEGMENTS + 4)
        ]
        (notice,) = spool.recovery.notices
        assert isinstance(notice, DamagedRemoved)
        assert notice.facts["lane"] == "event"
        await spool.close()

    run(work())


def test_damaged_files_are_bounded_while_running(tmp_path: Path) -> None:
    async def work() -> None:
        spool, notices = opened(tmp_path), list[JisrError]()
        spool.listen_notices(notices.append)
        last = Position(0, 0)
        for _ in range(BAD_SEGMENTS + 2):
            await put(spool, 3)
            data = bytearray(files(tmp_path)[-1].read_bytes())
            data[300] ^= 1
            files(tmp_path)[-1].write_bytes(data)
            await put(spool, 1)  # the next segment begins, so that the damaged one can go
            stored(spool, "event", last)
            last = spool.head("event")
            spool.acknowledge("event", 1, last.seq)
            await spool.tick(1)
        assert len(files(tmp_path, "bad")) == BAD_SEGMENTS
        assert spool.counters.damaged_files_removed >= 1
        assert any(isinstance(each, DamagedRemoved) for each in notices)
        await spool.close()

    run(work())


def test_what_a_later_version_wrote_is_never_removed(tmp_path: Path) -> None:
    async def work() -> None:
        spool = opened(tmp_path)
        await put(spool, 3 * (BAD_SEGMENTS + 4))
        await spool.close()
        for path in files(tmp_path)[:-1]:
            data = bytearray(path.read_bytes())
            data[4] = 3
            path.write_bytes(data)
        spool = opened(tmp_path)
        assert len(files(tmp_path, "kept")) == BAD_SEGMENTS + 3
        assert (files(tmp_path, "bad"), spool.recovery.notices) == ([], ())
        number = spool._lanes["event"].writer._number
        assert number > BAD_SEGMENTS + 4
        await spool.close()

    run(work())


def test_a_later_version_s_frame_met_on_the_way_keeps_its_file(tmp_path: Path) -> None:
    """The head of the segment is ours; one frame in it is not: what is readable is sent, the file stays."""

    async def work() -> None:
        spool = opened(tmp_path)
        await put(spool, 7)
        data = bytearray(files(tmp_path)[0].read_bytes())
        at = data.index(b"JSRF", 300)
        data[at + 4] = 3
        files(tmp_path)[0].write_bytes(data)
        assert [seq for _, _, seq in stored(spool, "event")] == [1, 3, 4, 5, 6, 7]
        spool.acknowledge("event", 1, 7)
        await spool.tick(1)
        assert [path.read_bytes() for path in files(tmp_path, "kept")] == [bytes(data)]
        await spool.close()

    run(work())


@pytest.mark.parametrize(("count", "gap"), [(9, (7, 9)), (8, (7, 8)), (2, (1, 2))])
def test_the_newest_file_is_gone(tmp_path: Path, count: int, gap: tuple[int, int]) -> None:
    """No other file names it; the cursor does, and says how far it went when that was written last."""

    async def work() -> None:
        spool = opened(tmp_path)
        await put(spool, count)
        await spool.close()
        files(tmp_path)[-1].unlink()
        spool = opened(tmp_path)
        assert told(spool) == [(1, *gap, "damaged")]
        await spool.put([alert(1)])
        await spool.close()
        spool = opened(tmp_path)
        assert told(spool) == [], "told once"
        assert spool.released("event") == Position(0, 0) or count == 2
        await spool.close()

    run(work())


def test_a_killed_agent_s_newest_file_is_gone(tmp_path: Path) -> None:
    """Nothing was written at the end: the last beat that began a segment wrote the cursor."""

    async def work() -> None:
        spool = opened(tmp_path)
        await put(spool, 7)
        await spool.tick(1)
        await put(spool, 1)
        files(tmp_path)[-1].rename(tmp_path / "elsewhere")
        for lane in spool._lanes.values():
            lane.writer.close()
        copy = tmp_path / "copy"
        (copy / "event").mkdir(parents=True)
        for path in [*files(tmp_path), tmp_path / "event" / "cursor"]:
            (copy / "event" / path.name).write_bytes(path.read_bytes())
        (copy / "identity").write_bytes((tmp_path / "identity").read_bytes())
        again = opened(copy)
        assert told(again) == [(1, 7, 7, "damaged")], "at least as far as the cursor knew"
        await again.close()
        await spool.close()

    run(work())


def test_a_newest_file_that_was_released_is_not_missed(tmp_path: Path) -> None:
    async def work() -> None:
        spool = opened(tmp_path)
        await put(spool, 3)
        spool.acknowledge("event", 1, 3)
        await spool.close()
        files(tmp_path)[-1].unlink()
        for _ in range(2):
            spool = opened(tmp_path)
            assert told(spool) == []
            await spool.close()

    run(work())


def test_gap_records_carry_the_box_s_time(tmp_path: Path) -> None:
    """Those of the start, of reading, and of giving up: whatever `stamp` says."""

    async def work() -> None:
        def spool_at(hour: int) -> Spool:
            stamp = {"at": f"2026-11-25T{hour:02d}:00:00.000Z"}
            return Spool.open(tmp_path, flush=no_flush, segment_bytes=SEGMENT, stamp=lambda: stamp)

        spool = spool_at(1)
        await put(spool, 9)
        await spool.close()
        one, two, _ = files(tmp_path)
        one.write_bytes(b"\xa5" * SEGMENT)
        data = bytearray(two.read_bytes())
        data[300] ^= 1
        two.write_bytes(data)
        spool = spool_at(2)
        assert [each.at[11:13] for each in spool.recovery.gaps] == ["02"]
        stored(spool, "event")
        await spool.commit_now()
        gaps = [each for each in stored(spool, "event", Position(2, 0)).values() if isinstance(each, Gap)]
        assert [(each.first, each.at[11:13]) for each in gaps] == [(4, "02")]
        await spool.close()

    run(work())
