"""A ward: the real agent with eight devices, the real platform; its memory, and how late the platform has a value."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from msgspec import Struct

from bench.line import Platform
from gateway.clock import Clock
from provisioning.lab import CONFIG, TERMINATE_S
from simulators.central.broker import free_port

GATEWAY = "gw-ward"
VENTILATOR = """
[[device]]
name = "vent-{number}"
place = "REA/lit-{number}"
driver = "draeger_medibus"
profile = "evita_4"
port = "serial:{port}"
line = "19200 8E1"
mode = "test"
first_trial = "no_patient"
options = {{ curves = ["00", "01"] }}
"""
ANALYZER = """
[[device]]
name = "labo-{number}"
place = "LABO"
driver = "astm"
profile = "erba_xl"
port = "tcp-listen:127.0.0.1:{port}"
mode = "test"
"""
GENERATOR = """
[[device]]
name = "groupe-{number}"
place = "TECHNIQUE"
driver = "registers"
profile = "dse_73xx"
port = "modbus-tcp:127.0.0.1:{port}"
mode = "test"
options = {{ unit = 10 }}
"""
SETTLE_S = 5.0
"""Connections and handshakes are over; only then is measured."""


class Seen(Struct, frozen=True):
    """What the ward showed."""

    event_ms: list[float]
    numeric_ms: list[float]
    rss_mb: float
    rss_peak_mb: float
    devices: int


class Ward:
    """Three ventilators on serial lines, three analyzers, two generators; everything in processes of its own."""

    def __init__(self, folder: Path, encoding: str) -> None:
        self.folder, self._encoding = folder, encoding
        self._parts: list[subprocess.Popen[bytes]] = []

    def measure(self, seconds: float) -> Seen:
        """Run for `seconds` after everything is connected."""
        late: dict[str, list[float]] = {"event": [], "numeric": []}
        self.folder.mkdir()
        with contextlib.ExitStack() as undo:
            platform = undo.enter_context(Platform(self.folder / "platform", is_shown=True))
            undo.callback(self._end)
            devices = self._plug()
            config = self._configure(platform, devices)
            agent = self._start("run", str(config))
            clock, begin = Clock(), time.monotonic() + SETTLE_S

            def read() -> None:
                for line in platform.lines():
                    seen = json.loads(line)
                    mono = seen.get("clock", {}).get("mono_s")
                    if mono and time.monotonic() > begin and seen["lane"] in late:
                        late[seen["lane"]].append(1000 * (clock.mono() - mono))

            reader = threading.Thread(target=read, daemon=True)
            reader.start()
            time.sleep(SETTLE_S + seconds)
            status = dict(
                line.split(":", 1) for line in Path(f"/proc/{agent.pid}/status").read_text("ascii").splitlines()
            )
            late = {lane: list(each) for lane, each in late.items()}
        rss, peak = (int(status[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
        return Seen(late["event"], late["numeric"], rss, peak, len(devices))

    def _plug(self) -> list[str]:
        found = []
        for number in (1, 2, 3):
            line, port = self.folder / f"vent-{number}", free_port()
            self._start("simulate", "draeger_medibus", f"--pty={line}", "--option=period_s=1")
            self._start(
                "simulate", "astm", f"--connect=127.0.0.1:{port}", "--option=profile=erba_xl", "--option=every_s=1"
            )
            found += [VENTILATOR.format(number=number, port=line), ANALYZER.format(number=number, port=port)]
        for number in (1, 2):
            port = free_port()
            self._start("simulate", "registers", f"--listen=127.0.0.1:{port}")
            found.append(GENERATOR.format(number=number, port=port))
        return found

    def _configure(self, platform: Platform, devices: list[str]) -> Path:
        pair = platform.authority.gateway(GATEWAY)
        text = CONFIG.format(
            gateway=GATEWAY,
            site="bench",
            language="en",
            broker_port=platform.broker.port,
            ca=platform.authority.ca,
            certificate=pair.certificate,
            key=pair.key,
            ack_key=platform.authority.ack_key(),
        ).replace("[spool]", f'encoding = "{self._encoding}"\n\n[spool]')
        file = self.folder / "jisr.toml"
        file.write_text(text + "".join(devices), encoding="utf-8")
        return file

    def _start(self, *words: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{words[0]}.log").open("ab") as log:
            part = subprocess.Popen(
                [sys.executable, "-m", "provisioning.command", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "LANG": "C"},
            )
        self._parts.append(part)
        return part

    def _end(self) -> None:
        for part in reversed(self._parts):
            part.send_signal(signal.SIGTERM)
        for part in self._parts:
            try:
                part.wait(TERMINATE_S)
            except subprocess.TimeoutExpired:
                part.kill()


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
