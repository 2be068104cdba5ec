"""What this machine can do at best, in the same run: the limits that the figures stand beside."""

import os
import platform
import socket
import ssl
import statistics
import tempfile
import threading
import time
from pathlib import Path

from simulators.central.lab_ca import LabAuthority
from tests.contract.measure import yardstick_s

FSYNC_S = 1.5
TLS_S = 2.0
MESSAGE = b"x" * 300
REFERENCE_S = 0.003
"""The yardstick on the machine of docs/delivery.md while nothing else runs on it or beside it: 2.9 to 3.0 ms."""


class Pace:
    """How fast this machine is while something is measured: a fixed piece of work, done in between.

    A shared machine is slower by half from one minute to the next, and its CPU seconds with it. Told in seconds of
    the reference, a figure is the same on a busy and on a quiet one.
    """

    def __init__(self) -> None:
        self._seen: list[float] = []
        self.spent_s = 0.0

    def look(self, times: int = 1) -> None:
        """Do it now; `spent_s` is what all looks have cost."""
        for _turn in range(times):
            seconds = yardstick_s()
            self._seen.append(seconds)
            self.spent_s += seconds

    @property
    def ratio(self) -> float:
        """Seconds of the reference for a second of this machine, as it was when it was looked at."""
        return REFERENCE_S / statistics.median(self._seen)


def described() -> str:
    """Processor, cores, kernel, Python."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":")[1].strip() for line in cpu.splitlines() if line.startswith("model name")), "")
    cores = len(os.sched_getaffinity(0))
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{model or platform.machine()}, {cores} cores, {system}"


def flushes_per_s(folder: Path) -> float:
    """fdatasync of one overwritten page of 4 KiB, in a row."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        fd = file.fileno()
        os.posix_fallocate(fd, 0, 1 << 20)
        os.pwrite(fd, bytes(1 << 20), 0)
        os.fsync(fd)
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < FSYNC_S:
            os.pwrite(fd, os.urandom(4096), 4096 * (count % 256))
            os.fdatasync(fd)
            count += 1
        return count / (time.perf_counter() - start)


def tls_messages_per_s(folder: Path) -> float:
    """Messages of 300 bytes through Python's own `ssl` over loopback, one write each, mutual TLS."""
    authority = LabAuthority(folder / "tls-pki")
    server, client = authority.server(), authority.gateway("gw-bench-tls")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(server.certificate, server.key)
    served.load_verify_locations(authority.ca)
    served.verify_mode = ssl.CERT_REQUIRED
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.load_verify_locations(authority.ca)
    asking.load_cert_chain(client.certificate, client.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_drain, args=(served, listener), daemon=True)
        thread.start()
        raw = socket.create_connection(listener.getsockname())
        with asking.wrap_socket(raw, server_hostname="localhost") as secure:
            count, start = 0, time.perf_counter()
            while time.perf_counter() - start < TLS_S:
                secure.sendall(MESSAGE)
                count += 1
            spent = time.perf_counter() - start
        thread.join()
    return count / spent


def _drain(context: ssl.SSLContext, listener: socket.socket) -> None:
    raw, _ = listener.accept()
    with context.wrap_socket(raw, server_side=True) as secure:
        try:
            while secure.recv(1 << 16):
                pass
        except (ssl.SSLError, ConnectionError):
            return
