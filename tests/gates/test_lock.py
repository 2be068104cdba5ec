"""requirements*.txt are what uv.lock says, and uv.lock what pyproject.toml asks for. `make lock` mends all three."""

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest

from tests.gates.sources import ROOT

SETS = {"requirements.txt": (["screen"], []), "requirements-test.txt": (["screen"], ["test"])}


@cache
def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


@cache
def _locked() -> dict[str, dict[str, Any]]:
    return {package["name"]: package for package in _toml("uv.lock")["package"]}


def _pins(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.findall(r"^([a-z0-9.-]+)==([^ \\;]+)[^\n]*\n((?:    --hash=\S+[^\n]*\n)+)", text, re.M)
    return {package: (version, frozenset(re.findall(r"sha256:\w+", hashes))) for package, version, hashes in entries}


def _closure(first: Iterable[dict[str, Any]]) -> set[str]:
    found: set[str] = set()
    todo = list(first)
    while todo:
        entry = todo.pop()
        package = _locked()[entry["name"]]
        extras = [d for extra in entry.get("extra", []) for d in package["optional-dependencies"][extra]]
        if entry["name"] not in found:
            found.add(entry["name"])
            todo += package.get("dependencies", [])
        todo += extras
    return found


@pytest.mark.parametrize("name", SETS)
def test_the_right_packages(name: str) -> None:
    extras, groups = SETS[name]
    jisr = _locked()["jisr"]
    first = list(jisr["dependencies"])
    first += [d for extra in extras for d in jisr["optional-dependencies"][extra]]
    first += [d for group in groups for d in jisr["dev-dependencies"][group]]
    assert set(_pins(name)) == _closure(first)


@pytest.mark.parametrize("name", SETS)
def test_the_right_versions_and_hashes(name: str) -> None:
    for package, (version, hashes) in _pins(name).items():
        locked = _locked()[package]
        files = [*locked.get("wheels", []), *([locked["sdist"]] if "sdist" in locked else [])]
        assert version == locked["version"], package
        assert hashes == {file["hash"] for file in files}, package


def _wanted(requirement: str) -> tuple[str, str]:
    asked = requirement.partition(";")[0].strip()  # without the marker: where it is asked for
    name, specifier = re.fullmatch(r"([\w.-]+)(?:\[.*\])?\s*(.*)", asked).groups()  # type: ignore[union-attr]
    return name, specifier


def test_the_lock_is_what_the_project_asks_for() -> None:
    project, metadata = _toml("pyproject.toml"), _locked()["jisr"]["metadata"]
    asked = {_wanted(r) for r in project["project"]["dependencies"]}
    asked |= {_wanted(r) for group in project["project"]["optional-dependencies"].values() for r in group}
    asked |= {_wanted(r) for group in project["dependency-groups"].values() for r in group}
    entries = [*metadata["requires-dist"], *(d for group in metadata["requires-dev"].values() for d in group)]
    assert {(entry["name"], entry.get("specifier", "")) for entry in entries} == asked


def test_what_builds_is_locked_and_agrees_with_the_rest() -> None:
    build, test = _pins("requirements-build.txt"), _pins("requirements-test.txt")
    for requirement in _toml("pyproject.toml")["build-system"]["requires"]:
        assert _wanted(requirement)[0] in build
    assert all(build[name][0] == test[name][0] for name in build.keys() & test.keys())


def test_a_serial_only_box_carries_no_extras() -> None:
    assert not {"bleak", "pydicom", "pynetdicom"} & _pins("requirements.txt").keys()
