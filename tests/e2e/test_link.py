"""The link to the broker at its worst: dead without a word, refused, half gone, slow. Nothing is lost or doubled."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulators.central.broker import find_mosquitto
from tests.e2e.faults import KEEPALIVE
from tests.e2e.line import ALL, Line, running_line
from tests.e2e.proxy import Proxy, proxy

pytestmark = [pytest.mark.alone, pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")]

NOTICED_S = 80.0
"""Keep-alive is 30 s: a PINGREQ after 30 s without a word, the end after 30 s more, and some patience."""
SHORT_S = "4"
"""A keep-alive for tests of what follows its end."""

BACKLOG = 1500


@contextmanager
def far_line(
    folder: Path, keepalive: str = "", every_s: float = 0.3, bytes_per_s: int = 0
) -> Iterator[tuple[Line, Proxy]]:
    """A line that runs, and the link between its box and its broker."""
    with running_line(folder) as line:
        link = line.stage.enter(proxy(line.broker.port))
        line.port = link.port
        line.spoilt = {KEEPALIVE: keepalive} if keepalive else {}
        line.plug_in(*ALL, every_s=every_s)
        line.look_on()
        line.stage.run(link.throttle(bytes_per_s))
        line.start()
        line.until(lambda: line.is_connected and len(line.names()) > 20, "the line runs")
        yield line, link


def clean(line: Line) -> None:
    """Every promise was kept, and the disk dropped nothing meanwhile."""
    found = line.verdict()
    assert found.faults == {}
    assert found.gaps == []


@pytest.mark.parametrize(("how", "seconds"), [("swallow", 30), ("swallow", 180), ("hold", 30), ("hold", 180)])
def test_black_hole(tmp_path: Path, torture: bool, how: str, seconds: int) -> None:
    """Bytes go in and nothing comes out, nobody is told; the box notices by itself, and everything arrives."""
    if (how, seconds) != ("swallow", 30) and not torture:
        pytest.skip("only with --torture")
    with far_line(tmp_path) as (line, link):
        began, before = time.monotonic(), len(line.feed.promised)
        line.stage.run(link.swallow() if how == "swallow" else link.hold())
        if seconds < NOTICED_S and how == "hold":
            time.sleep(seconds)
        else:
            line.until(lambda: line.breaks, "the box notices the black hole", NOTICED_S)
        noticed = time.monotonic() - began
        time.sleep(max(0.0, seconds - noticed))
        assert len(line.feed.promised) > before + 50
        line.stage.run(link.mend())
        line.arrive(360)
        again = time.monotonic() - began
        sys.stderr.write(f"{how} {seconds} s: noticed after {noticed:.0f} s, all there after {again:.0f} s\n")
        clean(line)


def test_refused_port(tmp_path: Path) -> None:
    """Nobody listens: it is said in one sentence, the devices are read on, and everything arrives afterwards."""
    with far_line(tmp_path) as (line, link):
        line.stage.run(link.refuse())
        line.until(lambda: "BrokerRefuses" in line.said(), "it is said")
        line.read_on(50)
        line.stage.run(link.listen())
        line.arrive()
        assert line.said().count("BrokerRefuses") == 1
        clean(line)


def test_broker_cut_off_without_a_word_to_the_box(tmp_path: Path) -> None:
    """Half-open: the box's peer is gone and nobody says so; keep-alive ends it, and everything arrives."""
    with far_line(tmp_path, SHORT_S) as (line, link):
        line.stage.run(link.forget_broker())
        line.until(lambda: line.breaks, "the box notices")
        line.arrive()
        assert "ConnectionLost" in line.said()
        clean(line)


def test_box_gone_without_a_word_to_the_broker(tmp_path: Path) -> None:
    """Half-open the other way: the broker still believes in the old connection when the box comes back."""
    with far_line(tmp_path) as (line, link):
        line.stage.run(link.forget_box())
        line.processes.kill("agent")
        line.start_agent()
        line.until(lambda: len(line.events("connected")) == 2, "connected beside its own ghost")
        line.read_on(30)
        line.arrive()
        assert "already connected, closing old connection" in line.broker.log()
        clean(line)


def test_link_that_is_reset_again_and_again(tmp_path: Path) -> None:
    """RST in mid-stream, three times."""
    with far_line(tmp_path) as (line, link):
        for _ in range(3):
            line.stage.run(link.reset())
            line.read_on(30)
            line.arrive()
        clean(line)


def test_slow_link_stays_up(tmp_path: Path) -> None:
    """Less goes through than what is read, yet keep-alive is never late behind the data, and all of it arrives later.

    8 kB/s with a keep-alive of 4 s is as hard as 1 kB/s with the product's 30 s.
    """
    with far_line(tmp_path, SHORT_S, every_s=0.01, bytes_per_s=8000) as (line, link):
        line.until(lambda: line.waiting > BACKLOG, "more is read than goes through")
        assert (line.breaks, link.calls) == (0, 1)
        line.stage.run(link.throttle(0))
        clean(line)
