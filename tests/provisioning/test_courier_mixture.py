"""Any mixture of the link and the courier, of the same spool: each observation exactly once, and all of them."""

import asyncio
import io
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from drivers.observation import LANES, Lane
from gateway.clock import Clock
from gateway.inbox import Inbox
from gateway.journal import Journal
from gateway.spool.cipher import NO_SECRET
from gateway.spool.reader import SpoolReader
from gateway.spool.spool import Spool
from gateway.uplink.identity import TlsFiles
from gateway.uplink.schema import FrameEnvelope, decode_frame, decode_key, encode
from provisioning.courier import Recipient, Signer, read_recipient, read_signer
from provisioning.export import Box, Export, join
from provisioning.stick import Stick
from simulators.central.carried import Carried
from simulators.central.courier import Trust, read_private_key
from simulators.central.lab_ca import LabAuthority
from simulators.central.store import Archive, Stream
from tests.gateway.spool.harness import alert, no_flush, numeric, wave

GATEWAY, SITE = "gw-test", "site-1"
NOW = datetime(2027, 1, 1, tzinfo=UTC)
LANE = st.sampled_from(LANES[:3])
STEPS = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 6)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("link"), LANE, st.integers(0, 5), st.integers(1, 4), st.booleans()),
    st.tuples(st.just("export"), st.sampled_from(("released", "all")), st.sampled_from(("json", "compact"))),
    st.tuples(st.just("import"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("word")),
)


class Programme:
    """The certificates and keys, made once."""

    def __init__(self, folder: Path) -> None:
        authority = LabAuthority(folder)
        box, platform = authority.gateway(GATEWAY), authority.courier()
        files = TlsFiles(str(authority.ca), str(box.certificate), str(box.key))
        self.signer: Signer = read_signer(files, GATEWAY, NOW)
        self.recipient: Recipient = read_recipient(platform.certificate, str(authority.ca), NOW)
        self.trust = Trust(authority.ca.read_bytes())
        self.private = read_private_key(platform.key.read_bytes())
        self.ack_key = authority.ack_key()
        self.key = decode_key(self.ack_key.read_text())


@pytest.fixture(scope="module")
def programme(tmp_path_factory: pytest.TempPathFactory) -> Programme:
    return Programme(tmp_path_factory.mktemp("pki"))


class World:
    """A box, a stick, a platform; `put` is what the spool said it has."""

    def __init__(self, folder: Path, programme: Programme) -> None:
        self.programme, self.folder, self.stick = programme, folder, folder / "stick"
        self.stick.mkdir()
        self.put: set[tuple[str, int, int]] = set()
        self.spool = self.opened()
        self.archive = Archive(folder / "central.db")
        self.words: list[bytes] = []

    def opened(self) -> Spool:
        spool = Spool.open(self.folder / "spool", flush=no_flush, segment_bytes=4096)

        def committed(lane: Lane, first: int, observations: tuple[Any, ...]) -> None:
            self.put |= {(lane, spool.epoch, seq) for seq in range(first, first + len(observations))}

        spool.listen(committed)
        return spool

    async def do(self, step: tuple[Any, ...]) -> None:
        name, *arguments = step
        done = getattr(self, f"do_{name}")(*arguments)
        if asyncio.iscoroutine(done):
            await done

    async def do_put(self, count: int) -> None:
        await self.spool.put([one for n in range(count) for one in (numeric(n, 40), alert(n), wave(n + 1))])
        await self.spool.commit_now()

    async def do_restart(self) -> None:
        await self.spool.close()
        self.spool = self.opened()

    async def do_link(self, lane: Lane, skip: int, count: int, is_heard: bool) -> None:
        """Some frames over the link, joined or not; the platform's acknowledgement may get lost."""
        frames = self.spool.frames_after(lane, self.spool.released(lane), skip + count)[skip:]
        same = [one for one in frames if one.epoch == frames[0].epoch]
        if not same:
            return
        frame = join(same)
        envelope = FrameEnvelope(
            GATEWAY, SITE, self.spool.id, frame.epoch, lane, frame.first, frame.count, Raw(frame.payload)
        )
        stream = Stream(SITE, GATEWAY, self.spool.id, lane, frame.epoch)
        self.archive.begin()
        self.archive.add(*decode_frame(encode(envelope)))
        upto, holes = self.archive.word_for(stream)
        self.archive.commit()
        if is_heard:
            self.spool.acknowledge(lane, frame.epoch, upto, holes)
            await self.spool.tick(60)

    def do_export(self, since: Any, encoding: Any) -> None:
        box = Box(GATEWAY, SITE, self.programme.signer, self.programme.recipient, encoding)
        reader = SpoolReader(self.folder / "spool", NO_SECRET)
        stick = Stick(self.stick, GATEWAY, reader.id, reader.folder)
        stick.look(box.signer, box.recipient)
        tally = Export(box, reader, stick, Clock().now).run(LANES, since)
        assert not tally.unreadable
        assert not tally.is_full

    def do_import(self, which: int, is_all: bool) -> None:
        files = sorted(self.stick.glob("*.courier"))
        carried = Carried(self.folder / "central.db", self.programme.trust, [self.programme.private])
        for path in files if is_all else files[which : which + 1]:
            carried.take(path)
        word = b"".join(carried.acknowledgements(self.programme.key))
        carried.close()
        if word:
            self.words.append(word)

    async def do_word(self) -> None:
        inbox = Inbox(
            self.folder / "spool", SITE, GATEWAY, str(self.programme.ack_key), self.spool, Journal(io.StringIO())
        )
        for word in self.words[-2:]:
            assert set(inbox.take(word).refused) <= {"old"}
        await self.spool.tick(60)

    def rows(self) -> list[tuple[str, int, int]]:
        return self.archive._db.execute("SELECT lane,epoch,seq FROM observations").fetchall()


LAST: list[tuple[Any, ...]] = [("export", "released", "json"), ("import", 0, True), ("word",)]


@settings(max_examples=60)
@example(plan=[("put", 2)] * 6 + [("link", "numeric", 2, 2, True), ("restart",), ("put", 1)])
@example(plan=[("put", 2), ("export", "all", "compact"), ("restart",), ("put", 1), ("export", "released", "json")])
@given(plan=st.lists(STEPS, max_size=14))
def test_each_observation_exactly_once(programme: Programme, plan: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:

        async def work() -> None:
            world = World(Path(folder), programme)
            for step in plan + LAST:
                await world.do(step)
            rows = world.rows()
            assert len(rows) == len(set(rows))
            assert set(rows) == world.put
            assert not any(depth.observations for depth in world.spool.depth().values())
            world.archive.close()
            await world.spool.close()

        asyncio.run(work())
