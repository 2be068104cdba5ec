"""The lab of `jisr demo`: every part of the line as its own process, in one folder that is gone afterwards."""

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from provisioning.stations import EVERYTHING, GROUPS, Station
from simulators.central.broker import Mosquitto, find_mosquitto
from simulators.central.lab_ca import LabAuthority

GATEWAY, SITE = "gw-demo", "lab"
TERMINATE_S = 6.0

CONFIG = """\
[gateway]
id = "{gateway}"
site = "{site}"
language = "{language}"
socket = "agent.sock"

[uplink]
broker = "mqtts://localhost:{broker_port}"
ack = "platform"
ack_key = "{ack_key}"
tls = {{ ca = "{ca}", certificate = "{certificate}", key = "{key}" }}

[spool]
path = "spool"
"""


class Ledger(NamedTuple):
    """What the platform holds: rows, their identities (epoch, lane, seq), and how many of each device."""

    rows: int
    identities: set[tuple[int, str, int]]
    devices: dict[str, dict[str, object]]


class Lab:
    """Starts the parts, cuts and mends them, and reads the ledger at the end."""

    def __init__(self, folder: Path, language: str, stations: Sequence[Station] = GROUPS[EVERYTHING]) -> None:
        self.folder = folder
        self.authority = LabAuthority(folder / "pki")
        self._gateway = self.authority.gateway(GATEWAY)
        self._consumer = self.authority.consumer()
        self.broker = Mosquitto(folder / "broker", self.authority)
        self.stations = {station.name: station for station in stations}
        self._ports = {station.name: station.place(folder) for station in stations}
        self._language = language
        self._parts: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Broker, platform, devices, agent, in the order in which nothing waits long."""
        self.broker.start()
        self.start_consumer()
        for name in self.stations:
            self.plug(name)
        self.start_agent()

    def write_config(self, devices: str | None = None) -> Path:
        """The agent's configuration, with the lab's devices or these."""
        text = CONFIG.format(
            gateway=GATEWAY,
            site=SITE,
            language=self._language,
            broker_port=self.broker.port,
            ca=self.authority.ca,
            certificate=self._gateway.certificate,
            key=self._gateway.key,
            ack_key=self.authority.ack_key(),
        )
        file = self.folder / "jisr.toml"
        if devices is None:
            devices = "".join(each.config.format(port=self._ports[name]) for name, each in self.stations.items())
        file.write_text(text + devices, encoding="utf-8")
        return file

    def start_consumer(self) -> None:
        """The platform."""
        self._spawn(
            "consumer",
            "consume",
            f"--broker=mqtts://localhost:{self.broker.port}",
            f"--ca={self.authority.ca}",
            f"--certificate={self._consumer.certificate}",
            f"--key={self._consumer.key}",
            f"--ack-key={self.authority.ack_key()}",
            f"--store={self.folder / 'platform.sqlite'}",
            "--quiet",
        )

    def plug(self, name: str) -> None:
        """A simulated device comes up."""
        self._spawn(name, "simulate", *self.stations[name].words(self._ports[name]))

    def pull(self, name: str) -> None:
        """Its cable is pulled: the other end is gone at once, with no goodbye."""
        self._kill(name)
        if self.stations[name].way == "pty":
            Path(self._ports[name]).unlink(missing_ok=True)

    def start_agent(self) -> None:
        """The real agent, by its real command."""
        self._spawn("agent", "run", str(self.folder / "jisr.toml"))

    def stop_agent(self) -> dict[str, Any]:
        """SIGTERM, as systemd does. Returns its last word: what it committed, by lane."""
        self._terminate("agent")
        for line in reversed((self.folder / "agent.log").read_text(encoding="utf-8").splitlines()):
            if line.startswith("{"):
                event: dict[str, Any] = json.loads(line)
                if event.get("event") == "stopped":
                    return event
        return {}

    def deliver_rest(self, deadline_s: float) -> dict[str, Any]:
        """Start the agent again without devices until nothing more arrives. Returns the last word of that start."""
        self.write_config("")
        self.start_agent()
        end = time.monotonic() + deadline_s
        rows = -1
        while time.monotonic() < end and rows != (rows := self.ledger().rows):
            time.sleep(2.0)
        return self.stop_agent()

    def tail(self, name: str) -> str:
        """The end of one part's journal."""
        log = self.folder / f"{name}.log"
        return log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""

    def ledger(self) -> Ledger:
        """What the platform has stored, counted from its own rows: a duplicate would show."""
        with contextlib.closing(
            sqlite3.connect(f"file:{self.folder / 'platform.sqlite'}?mode=ro", uri=True)
        ) as store:
            rows = store.execute("SELECT count(*) FROM observations").fetchone()[0]
            found = store.execute("SELECT DISTINCT epoch, lane, seq FROM observations").fetchall()
            devices = store.execute(
                "SELECT device, json_extract(json, '$.driver'), count(*) FROM observations WHERE device <> '' "
                "GROUP BY 1, 2 ORDER BY 1"  # what the box says of itself (its clock, gaps) is of no device
            ).fetchall()
        return Ledger(rows, set(found), {name: {"driver": by, "observations": count} for name, by, count in devices})

    def broker_version(self) -> str:
        """`mosquitto 2.0.11`, as the program says it."""
        told = subprocess.run([str(find_mosquitto()), "-h"], capture_output=True, text=True, check=False)  # noqa: S603
        return told.stdout.splitlines()[0].replace(" version", "")

    def close(self) -> None:
        """End every process that is still there."""
        for name in ("agent", *self.stations, "consumer"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._terminate(name)
            self._kill(name)
        self.broker.stop()

    def _spawn(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._parts[name] = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "provisioning.command", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _terminate(self, name: str) -> None:
        part = self._parts.get(name)
        if part is not None and part.poll() is None:
            part.send_signal(signal.SIGTERM)
            part.wait(TERMINATE_S)

    def _kill(self, name: str) -> None:
        part = self._parts.pop(name, None)
        if part is not None:
            part.kill()
            part.wait()
