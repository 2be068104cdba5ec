"""The shell examples of docs/platform, as they are printed there, against a real broker and a real box."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config import load
from provisioning.attach import lines
from provisioning.lab import GATEWAY, Lab
from simulators.central.broker import ACL, CONSUMER, Mosquitto, find_mosquitto
from tests.platform.contract import DOCS, faults

TOOLS = ("mosquitto_sub", "mosquitto_pub", "jq", "openssl", "bash")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None] + ([] if find_mosquitto() else ["mosquitto"])
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {' '.join(MISSING)}")

WRITER = "platform-ack"
RIGHTS = ACL.format(consumer=CONSUMER) + f"\nuser {WRITER}\ntopic write jisr/v1/+/+/ack/+\n"
WAIT_S = 60
COLUMNS = 8


class Bench:
    """A broker, a ventilator, an analyzer, and a box that waits for the platform's word."""

    def __init__(self, folder: Path) -> None:
        self.lab = Lab(folder, "en")
        self.lab.broker = Mosquitto(folder / "rights", self.lab.authority, acl=RIGHTS)
        self.lab.broker.start()
        self.socket = Path(load(self.lab.write_config()).gateway.socket)
        self.store = folder / "frames.jsonl"
        self._shells: list[subprocess.Popen[str]] = []

    def plug_and_start(self) -> None:
        for device in ("ventilator", "analyzer"):
            self.lab.plug(device)
        self.lab.start_agent()

    def run(self, example: str, *words: object) -> subprocess.Popen[str]:
        where = ("localhost", str(self.lab.broker.port))
        command = ["bash", str(DOCS / "examples" / example), *where, *(str(word) for word in words)]
        # A session of its own: the shell's children (mosquitto_sub, jq) end with it.
        shell = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self._shells.append(shell)
        return shell

    def acknowledge(self, key: Path) -> subprocess.Popen[str]:
        pki = self.lab.authority
        reader, writer = (pki.consumer(name).certificate.with_suffix("") for name in (CONSUMER, WRITER))
        return self.run("acknowledge.sh", pki.ca, key, self.store, reader, writer)

    async def status(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first state of the box that is wanted; it tells it each second."""
        async with asyncio.timeout(WAIT_S):
            while not self.socket.exists():
                await asyncio.sleep(0.02)
            async for seen in lines(self.socket, ("status",)):
                if seen.status is not None and wanted(seen.status):
                    return seen.status
        raise AssertionError("the box ended")

    def close(self) -> None:
        for shell in self._shells:
            os.killpg(shell.pid, signal.SIGTERM)
            shell.communicate(timeout=20)
        self.lab.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.close()


def _waiting(status: dict[str, Any]) -> int:
    return sum(depth["observations"] for depth in status["depth"].values())


def test_values_are_printed(bench: Bench) -> None:
    pki = bench.lab.authority
    pair = pki.consumer(CONSUMER)
    shell = bench.run("values.sh", CONSUMER, pki.ca, pair.certificate, pair.key)
    bench.plug_and_start()
    assert shell.stdout is not None
    found = [next(shell.stdout).rstrip("\n").split("\t") for _ in range(20)]
    assert {len(columns) for columns in found} == {COLUMNS}
    assert {(columns[1], columns[2]) for columns in found} <= {(GATEWAY, "rea-lit4-vent")}
    valid = [columns for columns in found if columns[6] == "valid"]
    assert valid
    for columns in valid:
        assert float(columns[4]) == float(columns[7])  # the value, and the digits the device sent


def test_what_was_kept_is_acknowledged_and_the_box_frees_it(bench: Bench) -> None:
    async def play() -> None:
        bench.plug_and_start()
        await bench.status(lambda status: status["committed"]["numeric"] > 50 and status["committed"]["event"] > 5)
        shell = bench.acknowledge(bench.lab.authority.ack_key())
        assert shell.stdout is not None
        assert GATEWAY in await asyncio.to_thread(shell.stdout.readline)
        for device in ("ventilator", "analyzer"):
            bench.lab.pull(device)
        end = await bench.status(lambda status: _waiting(status) == 0)
        assert sum(end["committed"].values()) > 50

    asyncio.run(play())
    frames = bench.store.read_text(encoding="utf-8").splitlines()
    assert {json.loads(frame)["lane"] for frame in frames} >= {"event", "numeric"}
    assert not [frame for frame in frames if faults("frame", frame)]


def test_with_another_key_nothing_is_freed(bench: Bench, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_text("ab" * 32 + "\n", encoding="ascii")

    async def play() -> dict[str, Any]:
        bench.plug_and_start()
        shell = bench.acknowledge(other)
        assert shell.stdout is not None
        await asyncio.to_thread(shell.stdout.readline)
        return await bench.status(lambda _status: "AckRefused" in bench.lab.tail("agent"))

    status = asyncio.run(play())
    assert _waiting(status) == sum(status["committed"].values()) > 0
