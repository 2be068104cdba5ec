"""The catalog: every driver by name, its profiles, and how one is made. Sorted; loaded when asked for."""

import importlib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import tomli
from msgspec import Struct

from drivers.contract import Driver
from drivers.profile import Profile, Protocol
from drivers.registers.mapfile import read_map

DRIVERS = {
    "astm": "AstmDriver",
    "draeger_medibus": "MedibusDriver",
    "registers": "RegistersDriver",
}
"""Driver name (its folder, with a module `driver`) to its class, whose `Options` is a msgspec struct."""


class UnknownName(LookupError):
    """A driver or profile that the catalog does not have; `known` lists what it has."""

    def __init__(self, kind: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no {kind} named {name!r}")
        self.kind, self.name, self.known = kind, name, known


class _ProfileFile(Struct, frozen=True, forbid_unknown_fields=True):
    driver: Protocol
    profile: dict[str, dict[str, Any]] = {}


def read_profile(name: str, driver: str, protocol: Protocol, table: Mapping[str, Any]) -> Profile:
    """One profile out of parsed TOML. Raises `msgspec.ValidationError`, whose path names the key."""
    profile = msgspec.convert(table, Profile)
    return msgspec.structs.replace(profile, name=name, driver=driver, protocol=protocol)


@cache
def _profile_file(driver: str) -> _ProfileFile:
    if driver not in DRIVERS:
        raise UnknownName("driver", driver, tuple(DRIVERS))
    text = (Path(__file__).parent / driver / "profile.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomli.loads(text, parse_float=Decimal), _ProfileFile)


@cache
def profiles(driver: str) -> dict[str, Profile]:
    """All profiles of a driver by name, sorted. Raises `UnknownName`."""
    file = _profile_file(driver)
    known = {name: read_profile(name, driver, file.driver, table) for name, table in file.profile.items()}
    maps = (Path(__file__).parent / driver / "maps").glob("*.toml")
    known |= {path.stem: load_map(path) for path in maps}
    return dict(sorted(known.items()))


def load_map(path: Path) -> Profile:
    """A Modbus map file, ours or a user's own, as a profile of the registers driver.

    Raises `drivers.registers.mapcheck.BadMap` with every problem of the file, `OSError`, `UnicodeDecodeError`.
    """
    found = read_map(path.read_text(encoding="utf-8-sig"))
    protocol = _profile_file("registers").driver
    return msgspec.structs.replace(found, name=path.stem, driver="registers", protocol=protocol)


def profile(driver: str, name: str = "") -> Profile:
    """A driver's profile; without a name, its only one. Raises `UnknownName`."""
    known = profiles(driver)
    if not name and len(known) == 1:
        return next(iter(known.values()))
    if name not in known:
        raise UnknownName("profile", name, tuple(known))
    return known[name]


@cache
def driver_class(driver: str) -> type[Driver]:
    """The class behind a driver's name. Raises `UnknownName`."""
    if driver not in DRIVERS:
        raise UnknownName("driver", driver, tuple(DRIVERS))
    module = importlib.import_module(f"drivers.{driver}.driver")
    found: type[Driver] = getattr(module, DRIVERS[driver])
    return found


def create(chosen: Profile, options: Mapping[str, Any] | None = None, *, strict: bool = True) -> Driver:
    """A fresh driver for a profile: the profile's options, the user's over them.

    `strict=False` also reads options that came as text from a command line.
    Raises `msgspec.ValidationError` for an option the driver does not have or cannot read.
    """
    maker = driver_class(chosen.driver)
    merged = {**chosen.options, **(options or {})}
    return maker(chosen, msgspec.convert(merged, maker.Options, strict=strict))
