"""What listens on a box: nothing, but the ports that its configuration names (scanned in a network of its own)."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulators.central.lab_ca import LabAuthority
from tests.e2e.line import ANALYZER, CONFIG, GATEWAY, SITE
from tests.e2e.processes import UNDER

PATIENCE_S = 20.0
LOOK_S = 0.05
PORT = 15_001
FAMILIES = (("-4", "127.0.0.1"), ("-6", "::1"))
SCAN = ("nmap", "-n", "-Pn", "-sT", "-T5", "--min-rate=50000", "-p-", "-oG", "-")
UNSHARE = ("unshare", "--net", "--map-root-user")
SERIAL = """
[[device]]
name = "labo"
driver = "astm"
profile = "erba_xl"
port = "serial:/nowhere"
mode = "test"
"""


def _reason() -> str:
    """Why this cannot be looked at here; "" if it can."""
    for name in ("unshare", "nsenter", "ip", "ss", "nmap"):
        if shutil.which(name) is None:
            return f"{name} is not installed"
    done = subprocess.run([*UNSHARE, "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
    return f"no network of one's own here: {done.stderr.strip()}" if done.returncode else ""


WHY_NOT = _reason()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")


class Box:
    """An agent that is alone in its network."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def within(self, *words: str) -> str:
        """What a command says that runs in the agent's network."""
        enter = ("nsenter", f"--target={self.process.pid}", "--user", "--net", "--preserve-credentials")
        return subprocess.run([*enter, *words], capture_output=True, text=True, check=True).stdout

    def listening(self) -> set[tuple[str, int]]:
        """The kernel's word: protocol and port of every socket that takes calls or datagrams."""
        found = [line.split() for line in self.within("ss", "-H", "-lntu").splitlines()]
        return {(words[0], int(words[4].rpartition(":")[2])) for words in found}

    def scanned(self) -> set[int]:
        """An attacker's word: open TCP ports of all 65,535, both families."""
        with ThreadPoolExecutor(len(FAMILIES)) as both:
            said = list(both.map(lambda family: self.within(*SCAN, *family), FAMILIES))
        assert all("Status: Up" in one for one in said)
        return {int(port) for one in said for port in re.findall(r"(\d+)/open/tcp", one)}


@contextmanager
def box(folder: Path, device: str) -> Iterator[Box]:
    """The real agent, whose broker is nowhere."""
    pki = LabAuthority(folder / "pki")
    pair = pki.gateway(GATEWAY)
    text = CONFIG.format(
        gateway=GATEWAY,
        site=SITE,
        port=8883,
        ack_key=pki.ack_key(),
        ca=pki.ca,
        certificate=pair.certificate,
        key=pair.key,
        uplink="",
        spool=folder / "spool",
    )
    (folder / "jisr.toml").write_text(text + device, encoding="utf-8")
    start = 'ip link set lo up && exec "$@"'
    words = (sys.executable, "-m", "provisioning.command", "run", str(folder / "jisr.toml"))
    with (folder / "agent.log").open("wb") as log:
        process = subprocess.Popen([*UNDER, *UNSHARE, "sh", "-c", start, "sh", *words], stdout=log, stderr=log)
    try:
        made = Box(process)
        _await(lambda: b'"started"' in (folder / "agent.log").read_bytes(), process, folder)
        yield made
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _await(reached: Callable[[], object], process: "subprocess.Popen[bytes]", folder: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert process.poll() is None, (folder / "agent.log").read_text()
        assert time.monotonic() < end, (folder / "agent.log").read_text()
        time.sleep(LOOK_S)


def test_a_box_listens_nowhere(tmp_path: Path) -> None:
    with box(tmp_path, SERIAL) as found:
        log = tmp_path / "agent.log"
        _await(lambda: b'"uplink"' in log.read_bytes() and b'"labo"' in log.read_bytes(), found.process, tmp_path)
        assert found.listening() == set()
        assert found.scanned() == set()


def test_a_box_listens_where_its_configuration_says(tmp_path: Path) -> None:
    device = ANALYZER.format(labo=PORT)
    with box(tmp_path, device) as found:
        _await(found.listening, found.process, tmp_path)
        assert found.listening() == {("tcp", PORT)}
        assert found.scanned() == {PORT}
        assert found.listening() == {("tcp", PORT)}
