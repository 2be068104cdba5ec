"""`jisr demo` as its user calls it: the ledger closes, and nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provisioning.stations import EVERYTHING, GROUPS
from simulators.central.broker import find_mosquitto

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
COMMAND = [sys.executable, "-m", "provisioning.command", "demo", "--seconds", "10"]
FEWEST = 5
"""Observations in the twenty seconds; a central station sends a message every ten."""


def ours(folder: Path) -> list[str]:
    """Command lines of the processes that work in the demo's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def test_the_ledger_closes_and_nothing_is_left(tmp_path: Path) -> None:
    env = os.environ | {"TMPDIR": str(tmp_path), "LANG": "fr_FR.UTF-8", "LC_ALL": ""}
    done = subprocess.run([*COMMAND, "--json"], capture_output=True, text=True, env=env, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["lost"], report["duplicated"]) == (0, 0)
    assert report["committed"] == report["delivered"] > 50
    assert report["broker"].startswith("mosquitto ")
    assert {name: device["driver"] for name, device in report["devices"].items()} == {
        "rea-lit4-vent": "draeger_medibus/1",
        "labo-biochimie": "astm/1",
        "groupe-electrogene": "registers/1",
    }
    assert all(device["observations"] > 0 for device in report["devices"].values())
    assert list(tmp_path.iterdir()) == []
    assert ours(tmp_path) == []


@pytest.mark.parametrize("group", sorted(set(GROUPS) - {EVERYTHING}))
def test_every_device_of_a_group_delivers(tmp_path: Path, group: str) -> None:
    env = os.environ | {"TMPDIR": str(tmp_path)}
    words = [*COMMAND, "--only", group, "--seconds", "20", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["lost"], report["duplicated"]) == (0, 0)
    assert len(report["devices"]) == len(GROUPS[group])
    assert {name for name, device in report["devices"].items() if device["observations"] < FEWEST} == set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_interrupted_demo_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    env = os.environ | {"TMPDIR": str(tmp_path)}
    demo = subprocess.Popen([*COMMAND, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/agent.sock")) and time.monotonic() < deadline and demo.poll() is None:
        time.sleep(0.05)
    demo.send_signal(number)
    out, _err = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert out == b""
    assert list(tmp_path.iterdir()) == []
    assert ours(tmp_path) == []
