"""Who may import whom: the ground floor stays pure, simulators share nothing with what they test."""

import sys

import pytest

from tests.gates.sources import ROOT, Source, imported, sources

OURS = ("bench", "drivers", "gateway", "provisioning", "simulators", "tools", "tests")
ARROWS = {
    "drivers": ("drivers",),
    "gateway": ("gateway", "drivers"),
    "provisioning": ("provisioning", "gateway", "drivers", "simulators"),  # docs/decisions/0001
    "simulators.devices": ("simulators.devices",),
    "simulators.central": ("simulators.central", "gateway.uplink.schema"),
    "simulators": (),
    "tools": ("tools", "drivers", "gateway", "simulators.devices"),  # train_dictionary
    "bench": ("bench", "drivers", "gateway", "provisioning", "simulators", "tests"),  # what the tests use it measures
}
FOREIGN = {
    "drivers": {"msgspec", "tomli"},
    "gateway": {"cryptography", "msgspec", "nacl", "paho", "pymodbus", "serial", "tomli", "zstandard"},
    "provisioning": {"cryptography", "msgspec", "rich", "tomli"},
    "simulators.devices": set[str](),  # no library of the field: a shared mistake would pass unseen
    "simulators.central": {"cryptography", "msgspec", "paho"},
    "simulators": set[str](),
    "tools": {"babel", "msgspec", "tomli", "zstandard"},
    "bench": {"hl7", "msgspec"},  # hl7: the public library that stands beside ours
}
IMPURE = {
    *("asyncio", "concurrent", "ctypes", "logging", "multiprocessing", "os", "random", "secrets", "select"),
    *("selectors", "signal", "socket", "subprocess", "sys", "tempfile", "threading", "time", "uuid"),
}
"""A driver has no I/O, clock, thread, log or randomness (law 6)."""
LOADERS = {"drivers.catalog", "provisioning.command"}
"""The two places that load a module by name."""


def _package(module: str) -> str:
    parts = module.split(".")
    return next((p for p in (".".join(parts[:2]), parts[0]) if p in ARROWS), "")


def _within(name: str, roots: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(root + ".") for root in roots)


@pytest.mark.parametrize("source", sources(*ARROWS), ids=lambda s: s.module)
def test_arrows(source: Source) -> None:
    package = _package(source.module)
    for node, name in imported(source):
        top = name.split(".")[0]
        assert not name.startswith("."), f"{source.at(node)}: write the import in full"
        if top in OURS:
            assert _within(name, ARROWS[package]), f"{source.at(node)}: {package} may not import {name}"
        elif top not in sys.stdlib_module_names:
            assert top in FOREIGN[package], f"{source.at(node)}: {package} may not import {name}"


@pytest.mark.parametrize("source", sources("drivers"), ids=lambda s: s.module)
def test_drivers_are_pure(source: Source) -> None:
    for node, name in imported(source):
        assert name.split(".")[0] not in IMPURE, f"{source.at(node)}: a driver may not import {name}"


def test_modules_are_loaded_by_name_in_two_places_only() -> None:
    found = {s.module for s in sources(*ARROWS) for _node, name in imported(s) if _within(name, ("importlib",))}
    by_name = {m for m in found if "import_module" in (ROOT / (m.replace(".", "/") + ".py")).read_text("utf-8")}
    assert by_name <= LOADERS


def test_the_gate_sees_an_import() -> None:
    (catalog,) = (s for s in sources("drivers") if s.module == "drivers.catalog")
    names = {name for _node, name in imported(catalog)}
    assert {"drivers.contract", "drivers.profile", "tomli"} <= names
