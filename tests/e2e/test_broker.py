"""A broker that refuses, forgets, loses, repeats or limits: what it does not take stays on disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulators.central.broker import find_mosquitto, free_port
from simulators.central.faulty_broker import DENIED, NOBODY, QUOTA, FaultyBroker, Habit, faulty_broker
from tests.e2e.faults import CONFIRM
from tests.e2e.ledger import rows_of
from tests.e2e.line import ALL, ANALYZER, VENTILATOR, Line, running_line

pytestmark = [pytest.mark.alone, pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")]
STRIKES = 12
SMALL_BYTES = 4096


@contextmanager
def spoiled_line(folder: Path, confirm_s: int = 0, **grant: int) -> Iterator[tuple[Line, FaultyBroker]]:
    """A line that runs, and the faulty broker before its real one."""
    with running_line(folder) as line:
        pki = line.authority
        made = faulty_broker(free_port(), line.broker.port, pki.server(), line.box, pki.chain)
        spoiler = line.stage.enter(made)
        line.stage.run(spoiler.grant(**grant))
        line.port = spoiler.port
        line.spoilt = {CONFIRM: str(confirm_s)} if confirm_s else {}
        line.plug_in(*ALL)
        line.look_on()
        line.start()
        line.until(lambda: line.is_connected and len(line.names()) > 20, "the line runs")
        yield line, spoiler


@pytest.mark.parametrize(
    ("code", "kind"), [(QUOTA, "NotDelivered"), (DENIED, "NotDelivered"), (NOBODY, "NobodyListens")]
)
def test_publications_refused_for_a_while(tmp_path: Path, code: int, kind: str) -> None:
    """0x97, 0x87, 0x10: an acknowledgement of the broker that says no frees nothing, is said, and is sent again."""
    with spoiled_line(tmp_path) as (line, spoiler):
        line.stage.run(spoiler.strike("refuse", STRIKES, code))
        line.until(lambda: spoiler.struck["refuse"] == STRIKES, "as many were refused")
        line.arrive()
        found = line.verdict()
        assert kind in line.said()
        # A frame behind a refused one may have been taken: the refused one then comes later, as back-fill.
        found.faults.pop("wire disorder", None)
        found.faults.pop("disorder", None)
        assert found.faults == {}
        assert found.gaps == []


@pytest.mark.parametrize("habit", ["lose_puback", "repeat", "break_off", "swallow"])
def test_bad_habits(tmp_path: Path, torture: bool, habit: Habit) -> None:
    """Lost confirmations, frames twice, ends in the middle of a packet, frames that vanish."""
    with spoiled_line(tmp_path, 0 if torture else 8) as (line, spoiler):
        times = STRIKES if habit == "repeat" else 3
        line.stage.run(spoiler.strike(habit, times))
        line.until(lambda: spoiler.struck[habit] == times, "it happened so often")
        line.arrive(240 if habit == "swallow" else 60)
        found = line.verdict()
        assert found.faults == {}
        assert found.gaps == []


def test_receive_maximum_one(tmp_path: Path) -> None:
    """A broker that takes one publication at a time, and hangs up on more, is never given two."""
    with spoiled_line(tmp_path, receive_maximum=1) as (line, spoiler):
        line.until(lambda: len(line.names()) > 150, "it flows")
        assert line.verdict().faults == {}
        assert spoiler.most_under_way == 1
        assert not spoiler.broken_rules


def test_packets_of_four_kilobytes(tmp_path: Path) -> None:
    """What does not fit in 4 kB goes in several frames; only one observation that alone is larger would stay."""
    with spoiled_line(tmp_path, packet_bytes=SMALL_BYTES) as (line, spoiler):
        line.until(lambda: len(line.names()) > 300, "it flows")
        assert line.verdict().faults == {}
        assert SMALL_BYTES // 2 < spoiler.largest <= SMALL_BYTES
        assert not spoiler.broken_rules


def test_nobody_at_the_platform(tmp_path: Path) -> None:
    """The real broker, and no consumer yet: 0x10. Nothing is freed; with the consumer everything arrives."""
    with running_line(tmp_path) as line:
        line.plug_in(VENTILATOR, ANALYZER)
        line.broker.start()
        line.start_agent()
        line.until(lambda: "NobodyListens" in line.said(), "it is said")
        line.until(lambda: line.waiting > 50, "the devices are read on, and nothing is freed")
        line.start_consumer()
        line.arrive()
        assert line.verdict().faults == {}


def test_acl_denied_live(tmp_path: Path) -> None:
    """The real broker reads a stricter ACL in mid-stream and later the right one again."""
    with running_line(tmp_path) as line:
        line.plug_in(VENTILATOR, ANALYZER)
        line.start()
        line.until(lambda: len(line.names()) > 20, "the line runs")
        rules = line.acl_file.read_text(encoding="utf-8")
        line.acl_file.write_text(rules.replace("/live/+", "/live/x").replace("/hist/+", "/hist/x"), encoding="utf-8")
        line.broker.reload()
        line.until(lambda: "NotDelivered" in line.said(), "it is said")
        line.until(lambda: line.waiting > 50, "the devices are read on, and nothing is freed")
        line.acl_file.write_text(rules, encoding="utf-8")
        line.broker.reload()
        line.arrive()
        found = line.verdict()
        found.faults.pop("disorder", None)  # what was refused comes behind what was taken, as back-fill
        assert found.faults == {}


def test_broker_restarted_empty(tmp_path: Path) -> None:
    """It forgot sessions, subscriptions and retained messages: all of them are there again, and nothing is lost."""
    with running_line(tmp_path) as line:
        line.plug_in(*ALL)
        line.start()
        line.until(lambda: len(line.names()) > 20, "the line runs")
        line.broker.kill()
        line.broker.start()
        line.until(lambda: line.breaks, "the box notices")
        line.arrive()
        line.until(lambda: 0 <= line.waiting < 50, "acknowledgement goes on")
        late = line.look_on()
        line.until(lambda: {"birth", "state"} <= dict(late.told).keys(), "birth and state are retained again")
        assert dict(late.told)["state"]["state"] == "online"
        assert line.verdict().faults == {}


def test_the_platform_loses_its_store(tmp_path: Path) -> None:
    """What it acknowledged is gone with it, and no more than that: everything else arrives in the new one, once."""
    with running_line(tmp_path) as line:
        line.plug_in(VENTILATOR, ANALYZER)
        line.start()
        line.until(lambda: len(line.names()) > 100, "the line runs")
        line.processes.kill("consumer")
        lost = tmp_path / "lost.sqlite"
        for ending in ("", "-wal", "-shm"):
            (tmp_path / f"platform.sqlite{ending}").rename(tmp_path / f"lost.sqlite{ending}")
        line.start_consumer()
        line.read_on(100)
        found = line.verdict()
        older = {row.name for row in rows_of(lost)}
        assert "duplicated" not in found.faults
        assert line.feed.promised.keys() <= found.names | older
        assert len(found.names) > 100
