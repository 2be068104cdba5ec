"""Mosquitto as the programme's broker would be set up: mutual TLS, identity from the certificate, ACL per gateway."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from simulators.central.lab_ca import LabAuthority, Pair

CONSUMER = "platform"
START_S = 10.0
POLL_S = 0.01

ACL = """\
# %u is the certificate's common name. A box writes under its own id and reads what is meant for it.
pattern write jisr/v1/+/%u/birth
pattern write jisr/v1/+/%u/state
pattern write jisr/v1/+/%u/health
pattern write jisr/v1/+/%u/time
pattern write jisr/v1/+/%u/live/+
pattern write jisr/v1/+/%u/hist/+
pattern read jisr/v1/+/%u/ack/+
pattern read jisr/v1/+/%u/cmd/+
# The same for all: the broker warns at its start that this one names nobody.
pattern read jisr/v1/meta/dict/+

user {consumer}
topic read jisr/v1/#
topic write jisr/v1/+/+/ack/+
topic write jisr/v1/+/+/cmd/+
topic write jisr/v1/meta/dict/+
"""

CONFIGURATION = """\
per_listener_settings false
persistence {persistence}
persistence_location {folder}/
autosave_interval 30
persistent_client_expiration 14d
allow_anonymous false
max_inflight_messages 100
max_queued_messages 20000
max_queued_bytes 67108864
max_packet_size 2097152
set_tcp_nodelay true
acl_file {folder}/acl
log_dest file {folder}/mosquitto.log
log_type error
log_type warning
log_type notice
log_type information
listener {port} 127.0.0.1
cafile {chain}
certfile {certificate}
keyfile {key}
require_certificate true
use_identity_as_username true
use_username_as_clientid true
tls_version tlsv1.2
ciphers ECDHE+AESGCM:ECDHE+CHACHA20
"""


def find_mosquitto() -> str | None:
    """Path of the broker's program; Debian keeps it outside an ordinary user's PATH."""
    return shutil.which(
        "mosquitto", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    )


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now.

    Below the range that outgoing connections draw from: a client that tries a port of that range before the broker
    has it can be given the same one for itself, connect to itself, and so take it away.
    """
    for port in random.sample(range(15_000, 30_000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")


class Mosquitto:
    """One broker process with its own folder. `extra` overrides lines, or adds some to the listener.

    `under` is a command that starts the program and becomes it.
    """

    def __init__(
        self,
        folder: Path,
        authority: LabAuthority,
        port: int = 0,
        *,
        extra: dict[str, str] | None = None,
        acl: str = "",
        persistence: bool = False,
        server: Pair | None = None,
        under: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        program = find_mosquitto()
        if program is None:
            raise FileNotFoundError("mosquitto")
        self._command, self._folder = [*under, program], folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port or free_port()
        pair = server or authority.server()
        text = CONFIGURATION.format(
            persistence="true" if persistence else "false",
            folder=folder,
            port=self.port,
            chain=authority.chain,
            certificate=pair.certificate,
            key=pair.key,
        )
        wanted = dict(extra or {})
        # In its place: a listener's option before `listener` makes this broker open 0.0.0.0:1883 as well.
        lines = [
            f"{name} {wanted.pop(name)}" if (name := line.split(" ")[0]) in wanted else line
            for line in text.splitlines()
        ]
        lines += [f"{name} {value}" for name, value in wanted.items()]
        if os.geteuid() == 0 and not any(line.startswith("user ") for line in lines):
            lines.append("user root")  # started by root it would change to `mosquitto`, who may not read the folder
        self._conf = folder / "mosquitto.conf"
        self._conf.write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "acl").write_text(acl or ACL.format(consumer=CONSUMER), encoding="utf-8")
        (folder / "acl").chmod(0o600)

    @property
    def url(self) -> str:
        """The address as the gateway's configuration has it."""
        return f"mqtts://localhost:{self.port}"

    def start(self) -> None:
        """Start it and wait until it says that it runs: it listens before it has read its key."""
        before = len(self.log())
        self._process = subprocess.Popen(  # noqa: S603 - program and configuration are ours
            [*self._command, "-c", str(self._conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if " running" in self.log()[before:]:
                return
            if self._process.poll() is not None:
                raise RuntimeError(f"mosquitto ended at once: {self.log()[before:]}")
            self._doze(self._process)
        raise TimeoutError("mosquitto does not start")

    def kill(self) -> None:
        """SIGKILL: what it had not written is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._end(signal.SIGTERM)

    def reload(self) -> None:
        """SIGHUP: it reads its certificate, revocation list and ACL again, and cuts nobody."""
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        """What it wrote."""
        path = self._folder / "mosquitto.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(how)
            process.wait(START_S)

    @staticmethod
    def _doze(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
