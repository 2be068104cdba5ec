"""`[spool]`: how much of each kind of data is kept, and the file with the secret that seals it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drivers.observation import LANES, Lane
from gateway.config.check import Checker
from gateway.config.file import FileProblem, Holds, NotASpoolSecret, check_file
from gateway.config.keys import CapsConfig
from gateway.config.problem import BadValue, shown
from gateway.config.size import BadSize, parse_size
from gateway.language import N_
from gateway.spool.room import SMALLEST_CAP

BESIDE = "spool.secret"
"""Beside the configuration, where it names no other."""
SPOOL_SECRET = Holds(rb"\A\s*[0-9A-Fa-f]{64}\s*\Z", NotASpoolSecret, is_secret=True)


class BadCap(BadValue):
    """No size, or so small that the spool could not go on from one file to the next."""

    sentence = N_("{key} = {found} in caps of [spool] is not a size")
    expected = N_('a whole number and KiB, MiB or GiB; at least 8 MiB: for example "1 GiB"')


class SecretInSpool(BadValue):
    """Whoever copies the folder has the key with it."""

    sentence = N_("secret = {found} lies in the spool's own folder: whoever takes that folder takes the key with it")
    expected = N_("a file on another partition, or at least in another folder")


def parse_cap(key: str, text: str) -> int:
    """Bytes of a cap. Raises `BadCap`."""
    try:
        size = parse_size(text)
    except BadSize as bad:
        raise BadCap(key=key, found=shown(text), nearest=bad.nearest) from bad
    if size < SMALLEST_CAP:
        raise BadCap(key=key, found=shown(text))
    return size


def caps_of(caps: CapsConfig) -> Mapping[Lane, int]:
    """Bytes per lane, of a configuration that was checked."""
    return {lane: parse_cap(lane, getattr(caps, lane)) for lane in LANES}


def check_spool(checker: Checker, good: Mapping[str, Any], folder: Path) -> None:
    """What the types of the keys do not say; `good` is what was right in the table."""
    for key, text in good.get("caps", {}).items():
        try:
            parse_cap(key, text)
        except BadValue as bad:
            checker.refuse(("spool", "caps", key), bad)
    name = good.get("secret") or BESIDE
    secret, spool = folder / name, good.get("path")
    if spool and secret.resolve().is_relative_to((folder / spool).resolve()):
        checker.refuse(("spool", "secret"), SecretInSpool(found=shown(name)))
    elif secret.exists():  # if not, the agent makes it at its first start
        try:
            check_file(secret, "secret", SPOOL_SECRET, folder)
        except FileProblem as bad:
            checker.refuse(("spool", "secret"), bad)
