"""The catalog: every driver by name, its profiles, and how one is made. Sorted; loaded when asked for."""

import importlib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import tomli
from msgspec import Struct

from drivers.contract import Driver
from drivers.profile import Metric, Profile, Protocol
from drivers.registers.mapfile import read_map

DRIVERS = {
    "astm": "AstmDriver",
    "bbraun_bcc": "BbraunBccDriver",
    "beckman_au": "BeckmanAuDriver",
    "biomerieux_bci": "BiomerieuxBciDriver",
    "bis_vista": "BisVistaDriver",
    "capnostream": "CapnostreamDriver",
    "contec_cms50": "ContecCms50Driver",
    "draeger_medibus": "MedibusDriver",
    "fresenius_agilia": "FreseniusAgiliaDriver",
    "ge_dash": "GeDashDriver",
    "ge_dri": "GeDriDriver",
    "hamilton_g5": "HamiltonG5Driver",
    "hl7_lab": "Hl7LabDriver",
    "hl7_monitor": "Hl7MonitorDriver",
    "horiba_abx": "HoribaAbxDriver",
    "masimo_ascii": "MasimoAsciiDriver",
    "mindray_bc_serial": "MindrayBcSerialDriver",
    "mindray_pds": "MindrayPdsDriver",
    "nellcor_ascii": "NellcorAsciiDriver",
    "nonin": "NoninDriver",
    "ohmeda_com": "OhmedaComDriver",
    "philips_intellivue": "PhilipsIntellivueDriver",
    "puritan_bennett": "PuritanBennettDriver",
    "registers": "RegistersDriver",
    "respironics_v60": "RespironicsV60Driver",
    "servo_cie": "ServoCieDriver",
    "servo_sci": "ServoSciDriver",
    "sysmex_kx": "SysmexKxDriver",
}
"""Driver name (its folder, with a module `driver`) to its class, whose `Options` is a msgspec struct."""


class UnknownName(LookupError):
    """A driver or profile that the catalog does not have; `known` lists what it has."""

    def __init__(self, kind: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no {kind} named {name!r}")
        self.kind, self.name, self.known = kind, name, known


_T = TypeVar("_T")

Rows = Mapping[str, tuple[Metric, ...]]
"""`[rows]` of a profile.toml: groups of metric rows by name, for the profiles that `use` them."""


class _ProfileFile(Struct, frozen=True, forbid_unknown_fields=True):
    driver: Protocol
    rows: dict[str, Any] = {}
    profile: dict[str, dict[str, Any]] = {}


def read_rows(driver: str, groups: Mapping[str, Any]) -> Rows:
    """The shared rows out of parsed TOML. Raises `msgspec.ValidationError` that names file, group and key."""
    return {
        name: _convert(f"{driver}/profile.toml: rows.{name}", rows, tuple[Metric, ...])
        for name, rows in groups.items()
    }


def read_profile(
    name: str, driver: str, protocol: Protocol, table: Mapping[str, Any], rows: Rows | None = None
) -> Profile:
    """One profile out of parsed TOML, with the shared `rows` it uses.

    What `[profile.<name>.protocol]` says holds for this family in the place of `[driver]`.
    Raises `msgspec.ValidationError` that names file, profile and key.
    """
    where = f"{driver}/profile.toml: profile.{name}"
    own = table.get("protocol", {})
    profile = _convert(where, {key: value for key, value in table.items() if key != "protocol"}, Profile)
    if own:
        protocol = _convert(f"{where}.protocol", msgspec.to_builtins(protocol) | own, Protocol)
    metric = _with_shared(where, profile, rows or {})
    ports = profile.ports or protocol.ports
    if not set(ports) <= set(protocol.ports) or ("udp" in ports and len(ports) > 1):
        raise msgspec.ValidationError(f"{where}.ports: {', '.join(ports)}: not the protocol's, or udp beside another")
    return msgspec.structs.replace(
        profile, name=name, driver=driver, protocol=protocol, metric=metric, ports=ports, use=(), without=()
    )


def _convert(where: str, table: Any, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"{where}: {error}") from error


def _with_shared(where: str, profile: Profile, rows: Rows) -> tuple[Metric, ...]:
    """The rows of the groups in the order of `use`, then the profile's own; no code may come from two places.

    Nothing is overridden in silence: a row that is wrong for this device is named in `without`, and the right one
    stands in the profile. So what a reader sees in one group is what each of its users publishes.
    """
    for name in profile.use:
        if name not in rows:
            raise msgspec.ValidationError(f"{where}.use: no rows named {name!r}; there are: {', '.join(rows)}")
    shared = [(f"rows.{name}", metric) for name in profile.use for metric in rows[name]]
    absent = set(profile.without) - {metric.code for _, metric in shared}
    if absent:
        raise msgspec.ValidationError(f"{where}.without: no row of `use` has the code {', '.join(sorted(absent))}")
    kept = [(place, metric) for place, metric in shared if metric.code not in profile.without]
    first: dict[str, str] = {}
    for place, metric in (*kept, *(("metric", metric) for metric in profile.metric)):
        if metric.code in first:
            places = f"in {first[metric.code]} and in {place}"
            raise msgspec.ValidationError(f"{where}: code {metric.code} stands twice, {places}")
        first[metric.code] = place
    return (*(metric for _, metric in kept), *profile.metric)


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
    rows = read_rows(driver, file.rows)
    known = {name: read_profile(name, driver, file.driver, table, rows) for name, table in file.profile.items()}
    maps = (Path(__file__).parent / driver / "maps").glob("*.toml")
    known |= {path.stem: load_map(path) for path in maps}
    return dict(sorted(known.items()))


def load_map(path: Path) -> Profile:
    """A Modbus map file, ours or a user's own, as a profile of the registers driver.

    Raises `drivers.registers.mapcheck.BadMap` with every problem of the file, `OSError`, `UnicodeDecodeError`.
    """
    found = read_map(path.read_text(encoding="utf-8-sig"))
    protocol = _profile_file("registers").driver
    return msgspec.structs.replace(found, name=path.stem, driver="registers", protocol=protocol, ports=protocol.ports)


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
