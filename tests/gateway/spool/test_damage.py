"""Whatever happens to the files between two starts: what was committed is there once and in order, or in a gap."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.observation import LANES, AnyObservation, Lane
from gateway.spool.spool import Position, Spool
from tests.gateway.spool.harness import Ledger, alert, no_flush, numeric, run, stored, wave

SEGMENT = 2048
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Not about power: the folder's own fsync need not cost anything."""
SPOOL_LANES: tuple[Lane, ...] = ("event", "numeric", "wave")

puts = st.tuples(
    st.just("put"),
    st.lists(st.tuples(st.sampled_from(SPOOL_LANES), st.integers(0, 700)), min_size=1, max_size=12),
)
acks = st.tuples(
    st.just("ack"),
    st.sampled_from(SPOOL_LANES),
    st.integers(0, 3),
    st.integers(0, 40),
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 4)), max_size=3),
)
ticks = st.tuples(st.just("tick"), st.sampled_from((1, 5, 60)))
starts = st.tuples(st.just("start"), st.booleans())
harm = st.tuples(
    st.just("harm"),
    st.sampled_from(("flip", "cut", "zero", "grow")),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)


def harmed(folder: Path, how: str, which: int, where: int) -> None:
    """One thing that goes wrong with one file that holds something."""
    files = sorted([*folder.glob("*/*.seg"), *folder.glob("*/cursor"), folder / "identity"])
    path = files[which % len(files)]
    data = bytearray(path.read_bytes())
    used = max(1, len(data.rstrip(b"\0")))
    at = where % used
    if how == "flip":
        data[at] ^= 1 << (where % 8)
    elif how == "cut":
        del data[at:]
    elif how == "zero":
        data[at : at + 64] = bytes(len(data[at : at + 64]))
    else:
        data += b"JSRF" + bytes(range(100))
    path.write_bytes(data)


class Life:
    """Applies the steps to a spool and to the ledger."""

    def __init__(self, root: Path) -> None:
        self.root, self.turn, self.number = root, 0, 0
        self.ledger = Ledger()
        self.spools: list[Spool] = []
        self.is_harmed = False

    @property
    def folder(self) -> Path:
        return self.root / str(self.turn)

    @property
    def spool(self) -> Spool:
        return self.spools[-1]

    async def start(self) -> None:
        self.spools.append(Spool.open(self.folder, flush=no_flush, segment_bytes=SEGMENT))
        assert not any((epoch == self.spool.epoch) for _, epoch, _ in self.ledger.kept), "an epoch came twice"
        self.ledger.watch(self.spool)
        await self.spool.put(self.spool.recovery.gaps)
        await self.check()

    async def check(self) -> None:
        missing = self.ledger.missing(self.spool)
        if missing:  # found out by reading just now: the gap is owed, and comes with the next commit
            await self.spool.commit_now()
            missing = self.ledger.missing(self.spool)
        assert missing == []
        if not self.is_harmed:
            assert self.spool.recovery.gaps == ()
            waiting = {key for key in self.ledger.kept if key not in self.ledger.acked}
            assert sum(each.observations for each in self.spool.depth().values()) == len(waiting)

    async def put(self, wanted: list[tuple[Lane, int]]) -> None:
        observations: list[AnyObservation] = []
        kinds: dict[Lane, Callable[[int, int], AnyObservation]] = {"event": alert, "numeric": numeric, "wave": wave}
        for lane, size in wanted:
            self.number += 1
            observations.append(kinds[lane](self.number, size if lane != "wave" else size // 4))
        await self.spool.put(observations)

    async def ack(self, lane: Lane, back: int, upto: int, holes: list[tuple[int, int]]) -> None:
        ranges = [(a, a + b) for a, b in holes]
        epoch = max(0, self.spool.epoch - back)
        before = set(self.ledger.acked)
        released = self.ledger.acknowledge(self.spool, lane, epoch, upto, ranges)
        if not self.is_harmed:
            assert released == len(self.ledger.acked - before)
            for _, of, seq in sorted(self.ledger.acked - before):
                assert self.spool.is_acknowledged(lane, of, seq, seq)

    async def again(self, *, is_orderly: bool) -> None:
        """Stop and start; or be killed: the files as they are, under another name."""
        if is_orderly:
            await self.spool.close()
        else:
            old, self.turn = self.folder, self.turn + 1
            await self.spool.tick(60)  # committed or not does not matter here; the cursor must not be ahead
            shutil.copytree(old, self.folder)
        await self.start()

    async def harm(self, how: str, which: int, where: int) -> None:
        await self.spool.close()
        self.is_harmed = True
        harmed(self.folder, how, which, where)
        await self.start()

    async def live(self, steps: list[tuple]) -> None:  # type: ignore[type-arg]
        await self.start()
        for name, *rest in steps:
            if name == "put":
                await self.put(*rest)
            elif name == "ack":
                await self.ack(*rest)
            elif name == "tick":
                await self.spool.tick(*rest)
            elif name == "start":
                await self.again(is_orderly=rest[0])
            else:
                await self.harm(*rest)
        await self.again(is_orderly=True)
        for spool in self.spools:
            await spool.close()


def lives(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        run(Life(Path(folder)).live(steps))


FAST = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FAST
@given(st.lists(st.one_of(puts, puts, acks, ticks, starts), max_size=25))
def test_kept_in_order_over_starts(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    lives(steps)


@FAST
@given(
    st.lists(st.one_of(puts, puts, acks, ticks), min_size=1, max_size=12),
    harm,
    st.lists(st.one_of(puts, acks, ticks, starts), max_size=8),
)
def test_damage_is_told(before: list[tuple], hurt: tuple, after: list[tuple]) -> None:  # type: ignore[type-arg]
    lives([*before, hurt, *after])


@FAST
@given(st.lists(st.one_of(puts, puts, ticks, harm), max_size=16))
def test_any_damage_at_all_lets_it_start(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    """Many things at once may hide each other, but the spool starts, reads in order and takes new observations."""

    async def work(root: Path) -> None:
        spool = Spool.open(root, flush=no_flush, segment_bytes=SEGMENT)
        for name, *rest in steps:
            if name == "put":
                await spool.put([alert(at, size) for at, (_, size) in enumerate(rest[0])])
            elif name == "tick":
                await spool.tick(*rest)
            else:
                await spool.close()
                harmed(root, *rest)
                spool = Spool.open(root, flush=no_flush, segment_bytes=SEGMENT)
        await spool.put([numeric(1), alert(1)])
        await spool.commit_now()
        for lane in LANES:
            stored(spool, lane)
        assert ("event", spool.epoch, spool.committed["event"]) in stored(spool, "event", Position(spool.epoch, 0))
        await spool.close()

    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        run(work(Path(folder)))
