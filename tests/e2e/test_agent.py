"""The real agent as a process, with a simulated ventilator on a pty: surroundings, watching, recording, the end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.config import load
from provisioning.attach import Seen, lines
from provisioning.lab import Lab
from simulators.central.broker import find_mosquitto
from simulators.devices.draeger_medibus import DraegerMedibus
from simulators.devices.runner import pty_line

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
WAIT_S = 30.0
VENT = """
[[device]]
name = "vent"
driver = "draeger_medibus"
profile = "evita_4"
port = "serial:{vent}"
line = "19200 8E1"
mode = "test"
{trial}

[[device]]
name = "absent"
driver = "astm"
profile = "erba_xl"
port = "serial:{absent}"
line = "9600 8N1"
"""
TRIAL = 'first_trial = "no_patient"'


class Box:
    """One agent process and the ventilator at its port."""

    def __init__(self, folder: Path, trial: str = TRIAL) -> None:
        self.lab = Lab(folder, "en")
        self.link = folder / "vent"
        self.config = self.lab.write_config(VENT.format(vent=self.link, absent=folder / "nothing", trial=trial))
        self.simulator = DraegerMedibus(seed=1, options={"period_s": "0.2"})
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.lab.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "provisioning.command", "run", str(self.config)], stdout=log, stderr=log
            )

    async def first(self, wanted: object, kinds: tuple[str, ...] = ("observation", "status")) -> Seen:
        """The first line of the feed that `wanted` accepts."""
        socket = Path(load(self.config).gateway.socket)
        async with asyncio.timeout(WAIT_S):
            while not socket.exists():
                await asyncio.sleep(0.02)
            async for seen in lines(socket, kinds):  # type: ignore[arg-type]
                if wanted(seen):  # type: ignore[operator]
                    return seen
        raise AssertionError("the agent ended")

    async def stop(self) -> tuple[float, int, list[dict[str, object]]]:
        """SIGTERM; seconds it took, exit code, journal."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self.process.wait, WAIT_S)
        journal = (self.lab.folder / "agent.log").read_text(encoding="utf-8").splitlines()
        return time.monotonic() - began, code, [json.loads(line) for line in journal if line.startswith("{")]


def has_value(seen: Seen) -> bool:
    one = seen.observation
    return one is not None and one.device == "vent" and getattr(one, "value", None) is not None


def test_no_broker_an_absent_port_and_an_orderly_end(tmp_path: Path) -> None:
    box = Box(tmp_path)

    async def play() -> tuple[float, int, list[dict[str, object]]]:
        async with pty_line(box.simulator, box.link):
            box.start()
            seen = await box.first(has_value)
            assert seen.observation is not None
            assert (seen.observation.mode, seen.observation.driver) == ("test", "draeger_medibus/1")
            status = (await box.first(lambda line: line.status is not None)).status
            assert status is not None
            assert status["devices"]["absent"]["connection"] == "disconnected"
            assert "there is no such port" in status["devices"]["absent"]["why"]
            assert sum(depth["observations"] for depth in status["depth"].values()) > 0
            return await box.stop()

    took, code, journal = asyncio.run(play())
    assert code == 0
    assert took < 5.0
    assert box.simulator.link == "stopped"
    assert box.simulator.comm_errors == 0
    assert box.simulator.illegal == []
    said = [event for event in journal if event.get("kind") == "PortAbsent"]
    assert len(said) == 1
    last = journal[-1]
    assert last["event"] == "stopped"
    assert sum(last["committed"].values()) > 0  # type: ignore[attr-defined]


def test_nothing_is_sent_before_a_person_said_that_no_patient_is_attached(tmp_path: Path) -> None:
    box = Box(tmp_path, trial="")

    async def play() -> list[dict[str, object]]:
        async with pty_line(box.simulator, box.link):
            box.start()
            tried = await box.first(
                lambda line: line.status is not None and line.status["devices"]["vent"]["unsent"].get("listen_only")
            )
            assert tried.status is not None
            return (await box.stop())[2]

    journal = asyncio.run(play())
    assert not box.simulator.commands
    assert not box.simulator.illegal
    assert box.simulator.link == "calling"
    assert any(event.get("kind") == "ListenedTo" for event in journal)


def test_watch_and_record_beside_a_running_agent(tmp_path: Path) -> None:
    box = Box(tmp_path)
    capture = tmp_path / "capture.jsonl"

    def jisr(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "provisioning.command", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)

    async def play() -> tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]:
        async with pty_line(box.simulator, box.link):
            box.start()
            await box.first(has_value)
            where = ("--config", str(box.config), "--seconds", "3")
            both = await asyncio.gather(
                asyncio.to_thread(jisr, "watch", "--json", *where),
                asyncio.to_thread(jisr, "record", "vent", str(capture), *where),
            )
            await box.stop()
            return both[0], both[1]

    watched, recorded = asyncio.run(play())
    assert (watched.returncode, recorded.returncode) == (0, 0), watched.stderr + recorded.stderr
    shown = [json.loads(line) for line in watched.stdout.splitlines()]
    assert any(one["kind"] == "numeric" and one["value"] is not None for one in shown)
    pieces = [json.loads(line) for line in capture.read_text(encoding="utf-8").splitlines()]
    assert pieces[0]["device"] == "vent"
    assert {piece["dir"] for piece in pieces[1:]} == {"rx", "tx"}
    replayed = jisr("replay", str(capture), "--driver", "draeger_medibus", "--profile", "evita_4")
    values = [json.loads(line) for line in replayed.stdout.splitlines()]
    assert any(one["kind"] == "numeric" and one["value"] is not None for one in values)
    assert all(one["at"].startswith("20") for one in values)
