"""Reading a spool from outside: what it says is there, whatever happened to it and whoever works on it meanwhile."""

import asyncio
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.observation import LANES, AnyObservation, Lane
from gateway.spool import reader as module
from gateway.spool.cipher import NO_SECRET, SUITE_CRC, Keyring, Sealer
from gateway.spool.cursor import Slot, State, encode_slot
from gateway.spool.frame import Position
from gateway.spool.reader import LaneSeen, SpoolReader, Unreadable
from gateway.spool.segment import HEAD_BYTES, encode_head, named, parse_head, read_bytes
from gateway.spool.spool import Spool
from tests.gateway.spool.harness import SEGMENT, Key, Ledger, alert, no_flush, numeric, run, sealer_of, wave
from tests.provisioning.ward import tree

START = Position(0, 0)
_PAYLOAD = msgspec.json.Decoder(list[AnyObservation])


def reading(folder: Path, secret: bytes | None = NO_SECRET) -> SpoolReader:
    """With the secret that `opened` seals with."""
    return SpoolReader(folder, secret)


def opened(folder: Path) -> Spool:
    return Spool.open(folder, flush=no_flush, segment_bytes=SEGMENT)


async def fill(spool: Spool, commits: int = 30) -> None:
    for number in range(commits):
        await spool.put([numeric(number, 100), numeric(number), alert(number, 50), wave(number + 1)])
        await spool.commit_now()


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Path, Ledger]:
    """Two epochs, several segments a lane, closed."""

    async def work() -> Ledger:
        ledger = Ledger()
        for _ in range(2):
            spool = opened(tmp_path / "spool")
            ledger.watch(spool)
            await fill(spool)
            await spool.close()
        return ledger

    return tmp_path / "spool", run(work())


def found(reader: SpoolReader, lane: Lane, after: Position = START) -> tuple[dict[Key, AnyObservation], set[Key]]:
    """What the frames of a lane hold, and what is told as unreadable; fails if they are out of order."""
    seen: dict[Key, AnyObservation] = {}
    lost: set[Key] = set()
    before = Position(0, 0)
    for each in reader.frames(lane, after):
        assert Position(each.epoch, each.first) > before
        before = Position(each.epoch, each.last)
        if isinstance(each, Unreadable):
            lost |= {(lane, each.epoch, seq) for seq in range(each.first, each.last + 1)}
        else:
            inside = _PAYLOAD.decode(each.payload)
            assert (each.lane, len(inside)) == (lane, each.count)
            seen |= {(lane, each.epoch, seq): one for seq, one in enumerate(inside, each.first)}
    return seen, lost


def of_lane(ledger: Ledger, lane: Lane) -> dict[Key, AnyObservation]:
    return {key: one for key, one in ledger.kept.items() if key[0] == lane}


def files(folder: Path, lane: Lane = "numeric", kind: str = "seg") -> list[Path]:
    return [path for _, path in named(folder / lane, kind)]


def spoil(path: Path, at: int, by: int = 0x55) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= by
    path.write_bytes(data)


def states(seen: LaneSeen) -> list[str]:
    return [segment.state for segment in seen.segments]


def test_everything_in_order_with_the_right_numbers(filled: tuple[Path, Ledger]) -> None:
    folder, ledger = filled
    reader = reading(folder)
    assert reader.identity is not None
    assert (len(reader.id), reader.identity.epoch, reader.is_spool(), reader.is_running()) == (16, 2, True, False)
    for lane in LANES:
        assert found(reader, lane) == (of_lane(ledger, lane), set())
        seen = reader.lane(lane)
        assert set(states(seen)) <= {"good"}
        assert sum(one.last - one.first + 1 for one in seen.segments) == len(of_lane(ledger, lane)) == seen.waiting
        assert (seen.missing, seen.aside) == ((), ())
    assert len(reader.lane("numeric").segments) > 4


def test_behind_a_position(filled: tuple[Path, Ledger]) -> None:
    folder, ledger = filled
    for after in (Position(1, 7), Position(1, 60), Position(2, 0), Position(2, 31), Position(9, 0)):
        seen, _ = found(reading(folder), "numeric", after)
        wanted = {key for key in of_lane(ledger, "numeric") if Position(*key[1:]) > after}
        assert wanted <= set(seen) <= wanted | {("numeric", after.epoch, n) for n in range(after.seq + 1)}


def test_the_cursor(filled: tuple[Path, Ledger]) -> None:
    folder, _ = filled

    async def work() -> None:
        spool = opened(folder)
        spool.acknowledge("numeric", 1, 40, [(11, 12)])
        await spool.close()

    run(work())
    seen = reading(folder).lane("numeric")
    assert (seen.acked.released, seen.acked.ranges) == (Position(1, 10), [(1, 13, 40)])
    assert seen.waiting == 120 - 38
    (folder / "numeric" / "cursor").unlink()
    assert reading(folder).lane("numeric").acked.released == START


def test_a_damaged_frame_is_stepped_over_and_told(filled: tuple[Path, Ledger]) -> None:
    folder, ledger = filled
    first, *_ = files(folder)
    spoil(first, 250)
    seen, lost = found(reading(folder), "numeric")
    assert lost == {("numeric", 1, 1), ("numeric", 1, 2)}
    assert seen == {key: one for key, one in of_lane(ledger, "numeric").items() if key not in lost}
    lane = reading(folder).lane("numeric")
    assert states(lane)[0] == "damaged"
    assert lane.segments[0].lost == ((1, 2),)


def test_a_damaged_head_a_lost_file_and_a_cut_tail(filled: tuple[Path, Ledger]) -> None:
    folder, ledger = filled
    one, two, three, *_, last = files(folder)
    spoil(one, 40)
    gone = reading(folder).lane("numeric").segments[1]
    two.unlink()
    last.write_bytes(last.read_bytes()[:300])
    lane = reading(folder).lane("numeric")
    assert states(lane)[0] == "damaged"
    assert lane.segments[0].frames > 0
    assert lane.missing == ((1, gone.first, gone.last),)
    assert states(lane)[-1] == "torn"
    seen, _ = found(reading(folder), "numeric")
    assert seen.items() <= of_lane(ledger, "numeric").items()
    assert ("numeric", 1, 1) in seen
    assert three.exists()


def test_files_that_are_no_part_of_it(filled: tuple[Path, Ledger], tmp_path: Path) -> None:
    folder, ledger = filled

    async def work() -> None:
        spool = opened(tmp_path / "other")
        await fill(spool, 2)
        await spool.close()

    run(work())
    (stranger,) = files(tmp_path / "other")
    last = files(folder)[-1]
    number = int(last.name.split("-", maxsplit=1)[0])
    shutil.copy(stranger, folder / "numeric" / f"{number + 1:010d}-1-1.seg")
    (folder / "numeric" / f"{number + 2:010d}-3-1.seg").write_bytes(bytes(SEGMENT))
    (folder / "numeric" / "notes.seg").write_text("hello")
    (folder / "numeric" / "0000000001-1-1.bad").write_bytes(b"x")
    lane = reading(folder).lane("numeric")
    assert states(lane)[-2:] == ["foreign", "blank"]
    assert lane.aside == ("0000000001-1-1.bad",)
    assert found(reading(folder), "numeric") == (of_lane(ledger, "numeric"), set())


def test_a_segment_that_was_given_up_is_not_believed(filled: tuple[Path, Ledger]) -> None:
    """Its successor names another predecessor: the disk refused what is in it, and stored it all the same."""
    folder, ledger = filled
    *_, last = files(folder)
    data, head = last.read_bytes(), parse_head(last.read_bytes())
    assert head is not None
    for number in (head.number, head.number + 1):
        again = msgspec.structs.replace(head, number=number + 1, first=head.first + 50 * (number + 1 - head.number))
        path = folder / "numeric" / f"{again.number:010d}-{again.epoch}-{again.first}.seg"
        path.write_bytes(encode_head(again, sealer_of(again)) + data[HEAD_BYTES:])
    lane = reading(folder).lane("numeric")
    assert states(lane)[-2] == "unconfirmed"
    seen, _ = found(reading(folder), "numeric")
    assert seen.items() <= ledger.kept.items()


def test_a_head_left_over_from_an_earlier_life_says_nothing(filled: tuple[Path, Ledger]) -> None:
    folder, ledger = filled
    one, two, *_, last = files(folder)
    before = reading(folder).lane("numeric")
    shutil.copy(one, folder / "numeric" / f"{int(last.name[:10]) + 1:010d}-2-61.seg")  # named, and not yet written
    assert reading(folder).lane("numeric").segments == before.segments
    shutil.copy(one, folder / "numeric" / f"{two.name[:10]}-1-5.seg")
    assert found(reading(folder), "numeric")[0] == of_lane(ledger, "numeric")


def test_what_stands_behind_the_end_that_the_next_head_tells_was_never_confirmed(filled: tuple[Path, Ledger]) -> None:
    folder, ledger = filled
    _, two, *_ = files(folder)
    data, head = two.read_bytes(), parse_head(two.read_bytes())
    assert head is not None
    confirmed = msgspec.structs.replace(head.previous, end=head.previous.end - 1, last=head.previous.last - 2)
    changed = encode_head(msgspec.structs.replace(head, previous=confirmed), sealer_of(head))
    two.write_bytes(changed + data[len(changed) :])
    last = ("numeric", 1, head.previous.last)
    assert last in ledger.kept
    seen, lost = found(reading(folder), "numeric")
    assert last not in seen
    assert not lost


def test_a_tail_in_the_middle_of_a_commit_is_read_again(
    filled: tuple[Path, Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = filled
    left = iter(range(2))

    def half(path: Path, size: int, offset: int = 0) -> bytes:
        data = read_bytes(path, size, offset)
        return data[:300] if path == files(folder)[-1] and size > 300 and next(left, None) is not None else data

    monkeypatch.setattr(module, "read_bytes", half)
    assert states(reading(folder).lane("numeric"))[-1] == "good"


@pytest.mark.parametrize(("secret", "key"), [(None, "none"), (b"x" * 32, "other")])
def test_without_the_secret_heads_tell_all_they_can(
    filled: tuple[Path, Ledger], secret: bytes | None, key: str
) -> None:
    folder, ledger = filled
    whole, blind = reading(folder), reading(folder, secret)
    assert (whole.key, blind.key) == ("fits", key)
    for lane in LANES:
        seen, lost = found(blind, lane)
        assert (seen, lost) == ({}, set(of_lane(ledger, lane)))
        for one, two in zip(whole.lane(lane).segments, blind.lane(lane).segments, strict=True):
            same = ("file", "number", "epoch", "first", "last", "frames", "bytes", "version", "suite")
            assert [getattr(one, name) for name in same] == [getattr(two, name) for name in same]
            assert (one.state, two.state, one.version) == ("good", "sealed", 2)
        assert blind.lane(lane).waiting == whole.lane(lane).waiting


def test_what_somebody_edited_and_made_to_look_right_is_not_believed(filled: tuple[Path, Ledger]) -> None:
    """A head and a cursor whose CRC holds, written without the secret."""
    folder, ledger = filled
    one, two, *_ = files(folder)
    data, head = two.read_bytes(), parse_head(two.read_bytes())
    assert head is not None
    shorter = msgspec.structs.replace(head, previous=msgspec.structs.replace(head.previous, last=2, end=400))
    stranger = Sealer(Keyring(b"x" * 32, head.spool), head.origin)
    two.write_bytes(encode_head(shorter, stranger) + data[HEAD_BYTES:])
    slot = Slot(1 << 40, head.spool, 2, State(released=Position(2, 60)))
    (folder / "numeric" / "cursor").write_bytes(encode_slot(slot, "numeric", Keyring(b"x" * 32, head.spool)))
    lane = reading(folder).lane("numeric")
    assert states(lane)[:2] == ["good", "damaged"]
    assert lane.acked.released == START
    assert found(reading(folder), "numeric") == (of_lane(ledger, "numeric"), set())
    assert one.exists()


def test_a_segment_of_a_later_version(filled: tuple[Path, Ledger]) -> None:
    folder, _ = filled
    spoil(files(folder)[-1], 4, 0x07)
    lane = reading(folder).lane("numeric")
    assert states(lane)[-1] == "newer"
    last = files(folder)[-1]
    last.rename(last.with_suffix(".kept"))
    assert reading(folder).lane("numeric").aside == (last.with_suffix(".kept").name,)


@pytest.mark.parametrize("secret", [NO_SECRET, None])
def test_a_spool_of_format_1(secret: bytes | None) -> None:
    folder = Path(__file__).parent / "format_1" / "spool"
    reader = reading(folder, secret)
    assert reader.identity is not None
    assert (reader.identity.format, reader.identity.epoch) == (1, 2)
    for lane in LANES:
        seen, lost = found(reader, lane)
        told = reader.lane(lane)
        assert not lost
        assert set(states(told)) <= {"good"}
        assert {(one.version, one.suite) for one in told.segments} <= {(1, SUITE_CRC)}
        assert len(seen) == sum(one.last - one.first + 1 for one in told.segments)
    assert found(reader, "numeric")[0]


def test_the_boot_is_told(tmp_path: Path) -> None:
    boot = "0f0e0d0c-0b0a-0908-0706-050403020100"

    async def work() -> None:
        spool = Spool.open(tmp_path, flush=no_flush, segment_bytes=SEGMENT, boot=boot)
        await fill(spool, 1)
        await spool.close()

    run(work())
    (frame,) = reading(tmp_path).frames("event", START)
    assert not isinstance(frame, Unreadable)
    assert frame.boot == boot


def test_whose_it_is_without_its_identity(filled: tuple[Path, Ledger], tmp_path: Path) -> None:
    folder, ledger = filled
    known = reading(folder).id
    (folder / "identity").write_bytes(b"\0" * 256)
    reader = reading(folder)
    assert (reader.identity, reader.id, reader.is_spool()) == (None, known, True)
    assert found(reader, "event")[0] == of_lane(ledger, "event")
    spoil(files(folder)[0], 40)  # what its frames are sealed with only the other heads of its epoch know
    assert found(reading(folder), "numeric") == (of_lane(ledger, "numeric"), set())
    assert not reading(tmp_path / "nothing").is_spool()
    assert not reading(tmp_path).is_spool()


def test_whether_an_agent_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        spool = opened(tmp_path / "spool")
        reader = reading(tmp_path / "spool")
        assert reader.is_running()
        await spool.close()
        assert not reader.is_running()
        other = opened(tmp_path / "other")
        assert not reader.is_running()
        monkeypatch.setattr(module, "LOCKS", tmp_path / "nothing")
        assert not reading(tmp_path / "other").is_running()
        await other.close()

    run(work())


def test_it_opens_nothing_for_writing_and_leaves_all_as_it_was(
    filled: tuple[Path, Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = filled
    before, flags = tree(folder), set[int]()
    plain = os.open

    def watched(path: Any, how: int, *more: Any, **named_: Any) -> int:
        flags.add(how)
        return plain(path, how, *more, **named_)

    monkeypatch.setattr(os, "open", watched)
    reader = reading(folder)
    for lane in LANES:
        reader.lane(lane)
        assert list(reader.frames(lane, START)) is not None
    assert reader.is_running() is False
    assert flags == {os.O_RDONLY}
    monkeypatch.undo()
    assert tree(folder) == before


def test_beside_an_agent_that_commits_releases_and_recycles(tmp_path: Path) -> None:
    """Nothing of what is read is wrong, and nothing that is only being written or recycled is called damaged."""

    async def work() -> None:
        spool = opened(tmp_path)
        ledger = Ledger()
        ledger.watch(spool)
        await fill(spool, 5)
        stop = asyncio.Event()
        reading = asyncio.create_task(asyncio.to_thread(look, stop))
        for number in range(120):
            await fill(spool, 3)
            if number % 3 == 0:
                for lane in LANES:
                    spool.acknowledge(lane, 1, max(0, spool.head(lane).seq - 5), ())
                await spool.tick(60)
            if number % 10 == 9:
                while (rounds := len(looked)) < number // 10:
                    await asyncio.sleep(0.001)
                assert rounds
        stop.set()
        await reading
        for seen, lost, troubled in looked:
            assert not lost
            assert not troubled
            assert seen.items() <= ledger.kept.items()
        await spool.close()

    looked: list[tuple[dict[Key, AnyObservation], set[Key], list[str]]] = []

    def look(stop: asyncio.Event) -> None:
        while not stop.is_set():
            reader = reading(tmp_path)
            for lane in ("event", "numeric", "wave"):
                seen, lost = found(reader, lane)
                looked.append((seen, lost, [one for one in states(reader.lane(lane)) if one != "good"]))

    run(work())
    assert len(looked) > 30


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Key, AnyObservation]]:
    folder = tmp_path_factory.mktemp("pristine")

    async def work() -> dict[Key, AnyObservation]:
        spool = opened(folder)
        ledger = Ledger()
        ledger.watch(spool)
        await fill(spool, 12)
        await spool.close()
        return ledger.kept

    return folder, run(work())


@given(seed=st.integers(0, 1 << 30), cuts=st.booleans(), count=st.integers(1, 20))
def test_whatever_was_done_to_the_files(pristine: Any, seed: int, cuts: bool, count: int) -> None:
    folder, kept = pristine
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "spool"
        shutil.copytree(folder, copy)
        paths = sorted(path for path in copy.rglob("*") if path.is_file())
        for _ in range(count):
            path = chance.choice(paths)
            data = bytearray(path.read_bytes())
            if data:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            path.write_bytes(data[: chance.randrange(len(data) + 1)] if cuts and chance.random() < 0.3 else data)
        reader = reading(copy)
        for lane in LANES:
            seen, _ = found(reader, lane)
            assert seen.items() <= kept.items()
            reader.lane(lane)


def test_what_is_read_of_one_file_is_bounded(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    (folder / "event").mkdir(parents=True)
    with (folder / "event" / "0000000001-1-1.seg").open("wb") as file:
        file.truncate(1 << 36)
    reader = reading(folder)
    assert states(reader.lane("event")) == ["blank"]
    assert list(reader.frames("event", START)) == []
