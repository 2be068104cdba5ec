"""A spool that an older version left: opened, sent, released, sealed from then on (tests/gateway/spool/format_1)."""

import shutil
from pathlib import Path

import pytest

from drivers.observation import LANES, Alert, Lane, Numeric, Waveform
from gateway.spool import frame
from gateway.spool.identity import parse_identity
from gateway.spool.segment import parse_head
from gateway.spool.spool import Position, Spool
from tests.gateway.spool.harness import alert, no_flush, numeric, run, stored

OLD = Path(__file__).parent / "format_1" / "spool"
SEGMENT = 2048
SECRET = b"\x11" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(OLD, tmp_path / "spool")


def opened(folder: Path, secret: bytes = SECRET) -> Spool:
    return Spool.open(folder, secret=secret, boot="", flush=no_flush, segment_bytes=SEGMENT)


def versions(folder: Path) -> dict[int, int]:
    """Version by epoch, over all segments."""
    found = {}
    for path in folder.glob("*/*.seg"):
        data = path.read_bytes()
        head = parse_head(data)
        assert head is not None
        found[head.epoch] = data[4]
    return found


def test_everything_in_it_is_read(folder: Path) -> None:
    async def work() -> None:
        spool = opened(folder)
        assert (spool.id, spool.epoch) == ("f0f1f2f3f4f5f6f7", 3)
        assert (spool.recovery.gaps, spool.recovery.segments_set_aside, spool.recovery.notices) == ((), 0, ())
        assert [spool.released(lane) for lane in ("event", "numeric", "wave")] == [
            Position(1, 4),
            Position(1, 10),
            Position(0, 0),
        ]
        events = stored(spool, "event", Position(1, 4))
        assert [(epoch, seq) for _, epoch, seq in events] == [(1, 5), (1, 6), (1, 7), *((2, n) for n in range(1, 8))]
        codes = [each.vendor.code for each in events.values() if isinstance(each, Alert) and each.vendor]
        assert codes == list("5671234567")
        numerics = stored(spool, "numeric", Position(1, 12)).values()
        assert [str(each.value) for each in numerics if isinstance(each, Numeric)] == [
            *(f"{10 * n + k}.0" for n in range(4, 8) for k in range(4)),
            *(f"{10 * n + k}.0" for n in range(1, 8) for k in range(4)),
        ]
        waves = [each.interval_us for each in stored(spool, "wave").values() if isinstance(each, Waveform)]
        assert waves == [*range(1, 8), *range(1, 8)]
        assert {each.boot for each in spool.frames_after("event", Position(0, 0), 99)} == {""}
        await spool.close()

    run(work())


def test_what_comes_is_sealed_and_what_was_is_released(folder: Path) -> None:
    async def work() -> None:
        spool = opened(folder)
        for number in range(8, 12):
            await spool.put([alert(number), numeric(number)])
            await spool.commit_now()
        assert versions(folder) == {1: 1, 2: 1, 3: 2}
        await spool.close()
        spool = opened(folder)
        assert [epoch for _, epoch, _ in stored(spool, "event", Position(1, 4))] == [1] * 3 + [2] * 7 + [3] * 4
        lanes: tuple[Lane, ...] = LANES
        for lane in lanes:
            for epoch in (1, 2):
                spool.acknowledge(lane, epoch, 1000)
        await spool.tick(60)
        assert versions(folder) == {3: 2}
        await spool.close()
        stored_identity = parse_identity((folder / "identity").read_bytes())
        assert stored_identity is not None
        assert (stored_identity.format, stored_identity.sealed_from) == (2, 3)
        spool = opened(folder)
        assert spool.released("event") == Position(2, 7)
        assert list(stored(spool, "event")) == [("event", 3, n) for n in range(1, 5)]
        await spool.close()

    run(work())


def test_damage_in_it_is_found_as_before(folder: Path) -> None:
    async def work() -> None:
        path = sorted((folder / "numeric").glob("*.seg"))[1]
        data = bytearray(path.read_bytes())
        data[500] ^= 1
        path.write_bytes(data)
        spool = opened(folder)
        before = len(stored(spool, "numeric", Position(1, 12)))
        assert before == 28 + 16 - 4
        assert spool.counters.damaged == 4
        await spool.close()

    run(work())


def test_left_open_by_the_older_version(folder: Path) -> None:
    """Killed in the middle of a commit: the torn tail is cut, and closed with an end mark of its own format."""

    async def work() -> None:
        path = sorted((folder / "event").glob("*.seg"))[-1]
        data = path.read_bytes()
        end = data.rindex(frame.MAGIC, 0, data.rindex(frame.MAGIC))
        path.write_bytes(data[: end + 60].ljust(SEGMENT, b"\0"))
        for gaps in ([(2, 7, 7, "torn_tail")], []):
            spool = opened(folder)
            assert [(each.gap_epoch, each.first, each.last, each.reason) for each in spool.recovery.gaps] == gaps
            assert len(stored(spool, "event", Position(1, 4))) == 9
            await spool.close()
        assert path.read_bytes()[-52:-47] == b"JSRF\1"

    run(work())


def test_its_secret_may_be_lost_without_harm(folder: Path) -> None:
    """Nothing in it is sealed: any secret will do, until the first segment of format 2."""

    async def work() -> None:
        for secret in (b"\x22" * 32, SECRET):
            spool = opened(folder, secret)
            assert (spool.id, spool.recovery.notices) == ("f0f1f2f3f4f5f6f7", ())
            assert len(stored(spool, "event", Position(1, 4))) == 10
            await spool.close()

    run(work())
