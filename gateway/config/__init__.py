"""The configuration: a TOML file, checked whole before anything starts (docs/configuration.md).

Every mistake is told at once, with file, line, what was found and what would be right. Nothing is guessed, nothing
that is written is passed over, and nothing is evaluated.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from drivers import catalog
from drivers.profile import Profile
from gateway.config.check import Checker
from gateway.config.device import DeviceCheck, is_file_name, profile_of
from gateway.config.file import FileProblem, read_text
from gateway.config.keys import (
    CapsConfig,
    Config,
    DeviceConfig,
    GatewayConfig,
    Keys,
    SpoolConfig,
    TlsFiles,
    UplinkConfig,
)
from gateway.config.notice import may_ever_send, notices_of, silence_of
from gateway.config.places import find_places
from gateway.config.port import LineSettings, PortAddress, parse_line, parse_port
from gateway.config.problem import ConfigErrors, Problem, say
from gateway.config.spool import BESIDE, caps_of, check_spool
from gateway.config.syntax import parse_toml
from gateway.config.uplink import check_site, check_uplink, parse_budget

__all__ = [
    "BESIDE",
    "CapsConfig",
    "Config",
    "ConfigErrors",
    "DeviceConfig",
    "GatewayConfig",
    "LineSettings",
    "PortAddress",
    "Problem",
    "SpoolConfig",
    "TlsFiles",
    "UplinkConfig",
    "driver_options",
    "caps_of",
    "line_settings",
    "load",
    "may_send",
    "parse_budget",
    "parse_line",
    "parse_port",
    "resolved_profile",
]


def load(path: Path) -> Config:
    """Read and check a configuration. Raises `ConfigErrors` with all that is wrong, and nothing else."""
    try:
        text = read_text(path)
    except FileProblem as bad:
        raise ConfigErrors([Problem.of(str(path), 0, say(bad.sentence, **bad.facts), bad.right)]) from bad
    raw = parse_toml(text, str(path))
    if isinstance(raw, Problem):
        raise ConfigErrors([raw])
    folder = path.parent.absolute()
    checker = Checker(str(path), find_places(text))
    _check(checker, raw, folder)
    if checker.problems:
        raise ConfigErrors(sorted(checker.problems, key=lambda problem: (problem.file != str(path), problem.line)))
    keys = _absolute(msgspec.convert(raw, Keys), folder)
    return Config(keys.gateway, keys.uplink, keys.spool, keys.device, tuple(notices_of(keys)))


def _check(checker: Checker, raw: Mapping[str, Any], folder: Path) -> None:
    tables = {key: value for key, value in raw.items() if key != "device"}
    good = checker.table(tables, Keys, (), "")
    if "gateway" in good:
        check_site(checker, good["gateway"])
    if "uplink" in good:
        check_uplink(checker, raw["uplink"], good["uplink"], folder)
    if "spool" in good:
        check_spool(checker, good["spool"], folder)
    if "device" in raw:
        DeviceCheck(checker, folder).check(raw["device"])


def _absolute(keys: Keys, folder: Path) -> Keys:
    """A relative name means the folder of the configuration file."""

    def place(name: str) -> str:
        return str(folder / name) if name else ""

    replace = msgspec.structs.replace
    tls = keys.uplink.tls
    tls = TlsFiles(place(tls.ca), place(tls.certificate), place(tls.key), place(tls.crl))
    return Keys(
        gateway=replace(keys.gateway, socket=place(keys.gateway.socket)),
        uplink=replace(keys.uplink, tls=tls, ack_key=place(keys.uplink.ack_key)),
        spool=replace(keys.spool, path=place(keys.spool.path), secret=place(keys.spool.secret or BESIDE)),
        device=tuple(
            replace(device, profile=place(device.profile)) if is_file_name(device.profile) else device
            for device in keys.device
        ),
    )


def resolved_profile(device: DeviceConfig) -> Profile:
    """The profile of a device of a loaded configuration: by name, the driver's only one, or the user's own map."""
    return profile_of(device)


def driver_options(device: DeviceConfig) -> Struct:
    """The driver's `Options`: the profile's, the configuration's over them."""
    profile = profile_of(device)
    kind = catalog.driver_class(profile.driver).Options
    return msgspec.convert({**profile.options, **device.options}, kind)


def line_settings(device: DeviceConfig) -> LineSettings:
    """The line settings of a device on a serial line: its own, else its profile's (`load` saw to it)."""
    return parse_line(device.line or profile_of(device).line)


def may_send(device: DeviceConfig) -> bool:
    """Law 3: True where this device may be sent what its profile allows, False where it is only listened to."""
    profile = profile_of(device)
    return not device.listen_only and may_ever_send(profile) and silence_of(device, profile) is None
