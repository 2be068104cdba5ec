"""The agent carries no library that it does not need: memory is scarce on a small box (docs/decisions/0011)."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from gateway.version import VERSION
from simulators.central.lab_ca import LabAuthority
from tests.gates.sources import ROOT

WORK = """
import sys, time
from pathlib import Path
import provisioning.command
import provisioning.commands.run
from gateway.spool.cipher import Keyring
from gateway.uplink.identity import TlsFiles, begins, check_identity, utc
sealer = Keyring(bytes(32), "00" * 8).sealer(1)
sealer.open(1, b"head", sealer.seal(1, b"head", b"payload"))
files = TlsFiles(*sys.argv[1:])
begins(files)
check_identity(files, "gw-1", utc(time.time()))
print(*sorted(sys.modules))
"""
"""All that `jisr run` imports, a frame sealed and opened, our own certificate read."""
NOT_CARRIED = {
    "cryptography": "8 MB: libsodium seals, OpenSSL judges certificates, and we read what they say ourselves",
    "importlib.metadata": "1.5 MB for one word: gateway/version.py has it",
    "zipfile": "comes with importlib.metadata",
    "pymodbus": "only a box with such a device has it",
    "rich": "draws on a screen",
    "simulators": "not of a box",
    "provisioning.courier": "for `jisr spool export`, with cryptography",
    "babel": "a tool",
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    authority = LabAuthority(tmp_path_factory.mktemp("ca"))
    pair = authority.gateway("gw-1")
    words = [sys.executable, "-c", WORK, str(authority.ca), str(pair.certificate), str(pair.key)]
    # Without the environment: measuring coverage loads more than we do.
    done = subprocess.run(words, cwd=ROOT, env={}, capture_output=True, check=True, text=True)
    return frozenset(done.stdout.split())


@pytest.mark.parametrize("module", NOT_CARRIED)
def test_what_the_agent_does_not_carry(module: str, loaded: frozenset[str]) -> None:
    assert "gateway.agent" in loaded
    assert not {name for name in loaded if f"{name}.".startswith(f"{module}.")}, NOT_CARRIED[module]


def test_the_version_is_the_installed_one() -> None:
    assert version("jisr") == VERSION


def test_the_version_is_said_once() -> None:
    project = Path(ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in project
    assert f'"{VERSION}"' not in project
