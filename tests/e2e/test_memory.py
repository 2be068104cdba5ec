"""Asked for more than the link carries, the box fills its disk and not its memory."""

import sys
from pathlib import Path

import pytest

from simulators.central.broker import find_mosquitto
from tests.e2e.line import ALL, running_line
from tests.e2e.processes import memory_kb
from tests.e2e.proxy import proxy

pytestmark = [pytest.mark.alone, pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")]

WARM, MORE, TORTURE = 2000, 8000, 40_000
"""Observations on disk when memory is read for the first and the second time (in `make torture`)."""
GROWTH_LIMIT_KB = 2500
"""Less than what the observations between the two would take."""


def test_overload_does_not_grow_memory(tmp_path: Path, torture: bool) -> None:
    """A flood of results over a link of 20 kB/s: four times the backlog, the same memory; later all of it arrives."""
    most = TORTURE if torture else MORE
    with running_line(tmp_path) as line:
        link = line.stage.enter(proxy(line.broker.port))
        line.port = link.port
        line.plug_in(*ALL, every_s=0.002)
        line.start()
        line.until(lambda: line.is_connected, "connected")
        line.stage.run(link.throttle(20_000))
        pid = line.processes.pid("agent")
        sizes = []
        for more in (WARM, most - WARM):
            line.read_on(more, 600)
            sizes.append(memory_kb(pid, "VmRSS"))
        backlog = line.waiting
        line.stage.run(link.throttle(0))
        found = line.verdict(180)
        sys.stderr.write(f"memory {sizes} kB at {WARM} and {most} observations, {backlog} waiting\n")
        assert backlog > most // 4
        assert sizes[1] - sizes[0] < GROWTH_LIMIT_KB
        assert found.faults == {}
