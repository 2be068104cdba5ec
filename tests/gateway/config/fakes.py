"""A small catalog that stands still, and a folder with everything a right configuration names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec import Struct

from drivers import catalog
from drivers.profile import Allowed, PortKind, Profile, Protocol, Tier

POLL = (Allowed(name="poll", hex="05"),)


class MedibusOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """One option of each common type."""

    protocol: Literal["3.00", "4.00"] = "4.00"
    period_s: float = 1.0
    pages: tuple[int, ...] = ()
    realtime: bool = False
    codes: dict[str, str] = {}
    either: int | str = 0


class RegisterOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The Modbus address, and a rule over two options."""

    unit: int = 1
    low: int = 0
    high: int = 9

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


class NoOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """None at all."""


class _Medibus:
    Options = MedibusOptions


class _Astm:
    Options = NoOptions


class _Registers:
    Options = RegisterOptions


CLASSES: dict[str, Any] = {"astm": _Astm, "draeger_medibus": _Medibus, "registers": _Registers}


def protocol(ports: tuple[PortKind, ...], *, bedside: bool, never: tuple[str, ...] = ()) -> Protocol:
    """A protocol that sends one byte."""
    return Protocol(
        title="T",
        document="D",
        ports=ports,
        bedside=bedside,
        asks=True,
        max_frame_bytes=64,
        allow=POLL,
        do_not_send=never,
    )


def profile(
    driver: str, name: str, of: Protocol, line: str = "", models: tuple[str, ...] = ("M",), tier: Tier = "bench"
) -> Profile:
    """A profile without metrics."""
    return Profile(
        vendor="V", models=models, tier=tier, line=line, driver=driver, name=name, protocol=of, ports=of.ports
    )


NEVER = ("Perseus A500 before 1.14: restarts", "Old One: stops")
_MEDIBUS = protocol(("serial",), bedside=True, never=NEVER)
_ASTM = protocol(("serial", "tcp", "tcp-listen"), bedside=False)
_REGISTERS = protocol(("modbus",), bedside=False)
PROFILES: dict[str, dict[str, Profile]] = {
    "astm": {
        "generic": profile("astm", "generic", _ASTM, "9600 8N1"),
        "sysmex_xp": profile("astm", "sysmex_xp", _ASTM, "9600 8N1"),
        "untried": profile("astm", "untried", _ASTM, "9600 8N1", tier="sketch"),
    },
    "draeger_medibus": {
        "evita_4": profile("draeger_medibus", "evita_4", _MEDIBUS, "19200 8E1", ("Evita 4",)),
        "evita_xl": profile("draeger_medibus", "evita_xl", _MEDIBUS, "", ("Evita XL",)),
        "old": profile("draeger_medibus", "old", _MEDIBUS, "9600 8E1", ("Old One",)),
        "perseus": profile("draeger_medibus", "perseus", _MEDIBUS, "9600 8E1", ("Perseus A500",)),
    },
    "registers": {"dse_73xx": profile("registers", "dse_73xx", _REGISTERS, "9600 8N1")},
}


def fake_profile(driver: str, name: str = "") -> Profile:
    """As `catalog.profile` does it."""
    known = PROFILES[driver]
    if not name and len(known) == 1:
        return next(iter(known.values()))
    if name not in known:
        raise catalog.UnknownName("profile", name, tuple(known))
    return known[name]


def use_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the small catalog in the place of the real one."""
    monkeypatch.setattr(catalog, "DRIVERS", dict.fromkeys(PROFILES, ""))
    monkeypatch.setattr(catalog, "profile", fake_profile)
    monkeypatch.setattr(catalog, "driver_class", CLASSES.__getitem__)


FILES: Mapping[str, str] = {
    "ca.pem": "-----BEGIN CERTIFICATE-----\n",
    "gateway.pem": "-----BEGIN CERTIFICATE-----\n",
    "gateway.key": "-----BEGIN EC PRIVATE KEY-----\n",
    "crl.pem": "-----BEGIN X509 CRL-----\n",
    "ack.key": "0a" * 32 + "\n",
}


def lay_out(folder: Path) -> None:
    """The files that `HEAD` names; the secret ones closed to others."""
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o600 if name.endswith(".key") else 0o644)


HEAD = """\
[gateway]
id = "gw-rabat-017"
site = "chu-rabat"

[uplink]
broker = "mqtts://platform.example:8883"
tls = { ca = "ca.pem", certificate = "gateway.pem", key = "gateway.key" }
ack_key = "ack.key"

[spool]
path = "spool"

"""
"""Twelve lines; a device begins on line 13."""
VENT = """\
[[device]]
name = "rea-lit4-vent"
driver = "draeger_medibus"
profile = "evita_4"
port = "serial:/dev/serial/by-path/pci-0:usb-1.2"
line = "19200 8E1"
"""
LAB = """\
[[device]]
name = "labo-hemato"
driver = "astm"
profile = "sysmex_xp"
port = "tcp-listen:0.0.0.0:4001"
"""
POWER = """\
[[device]]
name = "groupe-electrogene"
driver = "registers"
port = "modbus-tcp:10.0.0.9:502"
options = { unit = 10 }
"""
