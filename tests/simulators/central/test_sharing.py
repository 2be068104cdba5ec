"""Several consumers on one subscription and one file: every row once, no word beyond what is stored."""

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.uplink.schema import FrameEnvelope, decode_ack, decode_observations, encode, verify_ack
from gateway.uplink.topics import consumer_filters
from provisioning.command import main
from provisioning.commands.consume import _Store
from simulators.central.broker import ACL, CONSUMER, Mosquitto, find_mosquitto
from simulators.central.consumer import Consumer
from simulators.central.lab_ca import LabAuthority
from simulators.central.store import Archive, is_newer
from tests.simulators.central.test_consumer import Box, until
from tests.simulators.central.test_store import STREAM, frame

NEEDS_BROKER = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
NAMES = ("platform-a", "platform-b")
FRAMES = 400
HIGHEST = 24


def _numbers(upto: int, holes: list[tuple[int, int]] | tuple[tuple[int, int], ...]) -> set[int]:
    missing = {number for first, last in holes for number in range(first, last + 1)}
    return set(range(1, upto + 1)) - missing


def _rows(path: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return [row[0] for row in db.execute("SELECT seq FROM observations")]


class Two:
    """Two archives on one file, as two processes have them; either may die in mid transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.archives = [Archive(path), Archive(path)]
        self.stored: set[int] = set()

    def take(self, which: int, frames: list[FrameEnvelope], *, dies: bool) -> None:
        archive = self.archives[which]
        archive.begin()
        for one in frames:
            archive.add(one, decode_observations(one))
        word = _numbers(*archive.word_for(STREAM))
        if dies:
            archive.close()
            self.archives[which] = Archive(self.path)
            return
        archive.commit()
        self.stored |= {seq for one in frames for seq in range(one.first, one.first + one.count)}
        assert word == self.stored
        for other in self.archives:
            assert _numbers(*other.word_for(STREAM)) == self.stored

    def close(self) -> None:
        for archive in self.archives:
            archive.close()


FRAME = st.tuples(st.integers(1, HIGHEST), st.integers(1, 4))
BATCH = st.tuples(st.integers(0, 1), st.lists(FRAME, min_size=1, max_size=3), st.booleans())


@settings(max_examples=40)
@given(st.lists(BATCH, max_size=12))
def test_any_split_of_frames_and_any_death(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[int, list[tuple[int, int]], bool]]
) -> None:
    two = Two(tmp_path_factory.mktemp("shared") / "central.db")
    with contextlib.closing(two):
        for which, frames, dies in batches:
            two.take(which, [frame(first, count) for first, count in frames], dies=dies)
        assert sorted(_rows(two.path)) == sorted(two.stored)
        assert two.archives[0].ledger().missing == two.archives[1].ledger().missing


def test_a_gap_that_one_hears_of_counts_for_the_other(tmp_path: Path) -> None:
    gap = '{"kind":"gap","validity":"valid","gap_lane":"numeric","gap_epoch":1,"first":3,"last":4}'
    two = Two(tmp_path / "central.db")
    with contextlib.closing(two):
        first, second = two.archives
        for archive, one in ((first, frame(1, 2)), (second, frame(5, 1)), (first, frame(1, 1, "event", gap))):
            archive.begin()
            archive.add(one, decode_observations(one))
            archive.commit()
        assert second.word_for(STREAM) == (5, [])


def test_two_that_make_the_file_at_once_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "central.db", isolation_level=None)) as first:
        first.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("simulators.central.store.time.sleep", lambda _seconds: first.execute("COMMIT"))
        with contextlib.closing(Archive(tmp_path / "central.db")) as second:
            assert not first.in_transaction
            assert second.ledger().rows == 0


BIRTH = '{"session":7000002,"spool":"aa"}'


@pytest.mark.parametrize(
    ("leaf", "old", "new", "birth", "is_taken"),
    [
        ("birth", "", BIRTH, "", True),
        ("birth", BIRTH, BIRTH, BIRTH, True),
        ("birth", BIRTH, '{"session":7000001,"spool":"aa"}', BIRTH, False),
        ("birth", BIRTH, '{"session":1000001,"spool":"bb"}', BIRTH, True),
        ("birth", BIRTH, "{", BIRTH, True),
        ("state", "", '{"session":7000002,"state":"online"}', BIRTH, True),
        ("state", "", '{"session":7000001,"state":"offline"}', BIRTH, False),
        ("state", '{"session":7000002,"state":"online"}', '{"session":7000002,"state":"offline"}', BIRTH, True),
        ("state", '{"session":7000002,"state":"offline"}', '{"session":7000002,"state":"online"}', BIRTH, False),
        ("state", '{"session":9000002,"state":"offline"}', '{"session":7000002,"state":"online"}', BIRTH, True),
        ("health", "", '{"session":5,"uptime_s":9.5,"spool":{"event":{"bytes":1}}}', "", True),
        ("health", '{"session":5,"uptime_s":9.5}', '{"session":5,"uptime_s":3.5}', "", False),
    ],
)
def test_the_slower_of_two_consumers_does_not_put_the_clock_back(
    leaf: str, old: str, new: str, birth: str, is_taken: bool
) -> None:
    assert is_newer(leaf, new, old=old, birth=birth) is is_taken


def test_a_shared_subscription_leaves_out_what_is_retained() -> None:
    assert consumer_filters() == ("jisr/v1/+/+/#",)
    shared = consumer_filters("day")
    assert "$share/day/jisr/v1/+/+/live/+" in shared
    assert {one for one in shared if not one.startswith("$share/day/")} == {
        "jisr/v1/+/+/birth",
        "jisr/v1/+/+/state",
        "jisr/v1/meta/dict/+",
    }


class Shared:
    """A broker, a box by hand, and two consumers as the processes they are."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.authority = folder, LabAuthority(folder / "ca")
        rights = ACL.format(consumer=CONSUMER)
        head, _, lines = rights.partition(f"user {CONSUMER}\n")
        acl = head + "\n".join(f"user {name}\n{lines}" for name in NAMES)
        self.broker = Mosquitto(folder / "broker", self.authority, acl=acl)
        self.broker.start()
        self.store = folder / "central.db"
        self.processes = {name: self.start(name) for name in NAMES}
        self.box = Box(self.broker, self.authority)

    def start(self, name: str) -> subprocess.Popen[bytes]:
        pair = self.authority.consumer(name)
        words = ["consume", f"--broker={self.broker.url}", f"--ca={self.authority.ca}", "--share=day"]
        words += [f"--certificate={pair.certificate}", f"--key={pair.key}", f"--client-id={name}"]
        words += [f"--ack-key={self.authority.ack_key()}", f"--store={self.store}"]
        command = [sys.executable, "-m", "provisioning.command", *words]
        with (self.folder / f"{name}.out").open("ab") as out:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE)
        assert process.stderr is not None
        while b"connected." not in (line := process.stderr.readline()):
            assert line, f"{name} ended"
        return process

    def printed(self, name: str) -> list[str]:
        """Lines of what this consumer stored; a line that a kill cut short is left out."""
        lines = (self.folder / f"{name}.out").read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line.startswith("{") and line.endswith("}")]

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.communicate()

    def acknowledged(self) -> set[int]:
        """Every number that a word of either consumer names; its MAC is right, and the rows are there."""
        key = bytes.fromhex(self.authority.ack_key().read_text())
        named: set[int] = set()
        for payload in list(self.box.acks):
            ack = decode_ack(payload)
            assert verify_ack(key, "site-1", "gw-test", "numeric", ack)
            named |= _numbers(ack.upto, ack.holes)
        assert named <= set(_rows(self.store))
        return named

    def close(self) -> None:
        self.box.close()
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
        self.broker.stop()


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    found = Shared(tmp_path)
    yield found
    found.close()


@NEEDS_BROKER
def test_two_processes_share_and_one_is_killed_again_and_again(shared: Shared) -> None:
    chance = random.Random(4)
    frames = [frame(first, 2) for first in range(1, 2 * FRAMES, 2)]
    wanted = set(range(1, 2 * FRAMES + 1))
    todo = frames + chance.sample(frames, FRAMES // 4)  # a quarter of them twice
    chance.shuffle(todo)
    for step, one in enumerate(todo):
        shared.box.publish(chance.choice(["live/numeric", "hist/numeric"]), encode(one))
        if step % 150 == 100:
            shared.kill(NAMES[step // 150 % 2])
        if step % 150 == 120:
            name = NAMES[step // 150 % 2]
            shared.processes[name] = shared.start(name)
            shared.acknowledged()
    until(lambda: shared.acknowledged() == wanted)
    assert sorted(_rows(shared.store)) == sorted(wanted)
    assert all(process.poll() is None for process in shared.processes.values())
    until(lambda: all(len(shared.printed(name)) > FRAMES // 4 for name in NAMES))  # the work was divided
    printed = [line for name in NAMES for line in shared.printed(name)]
    assert len(printed) == len(set(printed))


@NEEDS_BROKER
def test_while_the_store_refuses_nothing_is_acknowledged_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.central.store.LOCK_S", 0.01)
    monkeypatch.setattr("simulators.central.consumer.STORE_RETRY_S", 0.01)
    authority, told = LabAuthority(tmp_path / "ca"), list[str]()
    broker = Mosquitto(tmp_path / "broker", authority)
    broker.start()
    pair, key = authority.consumer(CONSUMER), authority.ack_key()
    consumer = Consumer(
        tmp_path / "central.db", port=broker.port, ca=authority.ca, identity=pair, ack_key=key, on_store=told.append
    )
    consumer.start()
    assert consumer.ready.wait(10)
    box = Box(broker, authority)
    with contextlib.closing(sqlite3.connect(tmp_path / "central.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        box.publish("live/numeric", encode(frame(1, 2)))
        until(lambda: told.count("database is locked") > 2)
        assert not box.acks
        other.execute("COMMIT")
    until(lambda: box.acks)
    assert consumer.ledger().rows == 2
    assert told[-1] == ""
    box.close()
    consumer.stop()
    broker.stop()


def test_a_name_that_cannot_be_shared(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["consume", "--ca=ca.pem", "--store=x.sqlite", "--share=a/b"])
    assert ended.value.code == 2
    assert "1 to 64 letters" in capsys.readouterr().err


def test_the_store_s_refusal_is_told_once_and_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    store = _Store()
    for why in ("", "locked", "locked", "", ""):
        store.tell(why)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "(locked)" in told[0]
    assert "again" in told[1]


def test_a_store_that_cannot_be_opened_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = LabAuthority(tmp_path / "ca")
    pair = authority.consumer(CONSUMER)
    words = [f"--ca={authority.ca}", f"--certificate={pair.certificate}", f"--key={pair.key}"]
    words += [f"--ack-key={authority.ack_key()}", f"--store={tmp_path}", "--broker=mqtts://localhost:1"]
    assert main(["consume", *words]) == 2
    assert "cannot be used" in capsys.readouterr().err
