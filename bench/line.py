"""The whole way under load: the box in one process, Mosquitto, and `jisr consume` as the platform."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from bench.load import Order, Outcome
from provisioning.lab import TERMINATE_S
from simulators.central.broker import Mosquitto
from simulators.central.lab_ca import LabAuthority

GATEWAY = "gw-bench"
ENCODINGS: tuple[Literal["json", "compact"], ...] = ("json", "compact")
LOAD_TIMEOUT_S = 300.0


class Platform:
    """A broker and the reference consumer, each its own process, in one folder."""

    def __init__(self, folder: Path, *, is_shown: bool = False) -> None:
        folder.mkdir()
        self.folder = folder
        self.authority = LabAuthority(folder / "pki")
        self.broker = Mosquitto(folder / "broker", self.authority)
        self.store = folder / "platform.sqlite"
        self._is_shown = is_shown
        self._consumer: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Platform":
        identity = self.authority.consumer()
        self.broker.start()
        words = (
            f"--broker={self.broker.url}",
            f"--ca={self.authority.ca}",
            f"--certificate={identity.certificate}",
            f"--key={identity.key}",
            f"--ack-key={self.authority.ack_key()}",
            f"--store={self.store}",
            *(() if self._is_shown else ("--quiet",)),
        )
        shown = subprocess.PIPE if self._is_shown else subprocess.DEVNULL
        with (self.folder / "consumer.log").open("ab") as log:
            self._consumer = subprocess.Popen(
                [sys.executable, "-m", "provisioning.command", "consume", *words], stdout=shown, stderr=log
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._consumer is not None:
            self._consumer.kill()  # in order it would count its millions of rows first, for nobody
            self._consumer.wait(TERMINATE_S)
        self.broker.stop()

    def lines(self) -> Iterator[bytes]:
        """Observations as the platform has stored them, one line each, until it ends."""
        if self._consumer is not None and self._consumer.stdout is not None:
            yield from self._consumer.stdout

    def load(self, per_s: int, seconds: float, encoding: Literal["json", "compact"]) -> Outcome:
        """Put a box's load on it."""
        pair = self.authority.gateway(GATEWAY)
        order = Order(
            folder=str(self.folder / f"spool-{encoding}-{per_s}"),
            gateway=GATEWAY,
            broker=self.broker.url,
            ca=str(self.authority.ca),
            certificate=str(pair.certificate),
            key=str(pair.key),
            ack_key=str(self.authority.ack_key()),
            encoding=encoding,
            numerics_per_s=per_s,
            seconds=seconds,
        )
        done = subprocess.run(
            [sys.executable, "-m", "bench.load", msgspec.json.encode(order).decode()],
            stdout=subprocess.PIPE,
            timeout=LOAD_TIMEOUT_S,
            check=True,
        )
        return msgspec.json.decode(done.stdout, type=Outcome)
