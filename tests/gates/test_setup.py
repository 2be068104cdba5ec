"""The set-up stops with a sentence that says what to do, in the caller's language, and leaves nothing behind."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.gates.sources import ROOT

NEEDED = (
    "bash",
    "cat",
    "dirname",
    "env",
    "flock",
    "grep",
    "id",
    "mktemp",
    "mv",
    "readlink",
    "rm",
    "sha256sum",
    "tail",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what the set-up reads, and a PATH (bin) that holds nothing but a shell's tools."""
    folder = tmp_path / "checkout"
    (folder / "tools").mkdir(parents=True)
    for name in ("tools/setup.sh", "pyproject.toml", *(path.name for path in ROOT.glob("requirements*.txt"))):
        shutil.copy(ROOT / name, folder / name)
    (folder / "bin").mkdir()
    for tool in NEEDED:
        found = shutil.which(tool)
        assert found
        (folder / "bin" / tool).symlink_to(found)
    return folder


def _set_up(checkout: Path, lang: str, stage: str = "check") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(checkout / "bin"), "LANG": lang, "TMPDIR": str(checkout.parent)}
    script = checkout / "tools" / "setup.sh"
    command = [str(checkout / "bin" / "bash"), str(script), stage]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def _python(checkout: Path, script: str) -> None:
    path = checkout / "bin" / "python3"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize(("lang", "words"), [("C", "Jisr needs Python 3.11"), ("fr_FR.UTF-8", "a besoin de Python")])
def test_a_python_that_is_too_old(checkout: Path, lang: str, words: str) -> None:
    _python(checkout, "exit 1")
    ended = _set_up(checkout, lang)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(("lang", "words"), [("C", "could not be fetched"), ("fr", "n'ont pas pu être téléchargés")])
def test_no_network(checkout: Path, lang: str, words: str) -> None:
    """A Python whose pip finds nobody: what was begun is taken away."""
    made = 'mkdir -p "$4/bin" && cp "$0" "$4/bin/python"'
    says = "echo 'ERROR: Failed to establish a new connection: [Errno 111]' >&2; exit 1"
    _python(checkout, f'case "$*" in *"-m venv"*) {made};; *"-m pip"*) {says};; esac')
    for tool in ("mkdir", "cp", "touch"):
        (checkout / "bin" / tool).symlink_to(str(shutil.which(tool)))
    ended = _set_up(checkout, lang)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert words in ended.stderr.splitlines()[-1]
    assert "Errno" not in ended.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may always install")
def test_no_rights(checkout: Path) -> None:
    _python(checkout, 'case "$*" in *ensurepip*) exit 1;; esac')
    (checkout / "bin" / "apt-get").symlink_to("/bin/false")
    ended = _set_up(checkout, "C")
    assert ended.returncode == 1
    assert "ask an administrator" in ended.stderr
