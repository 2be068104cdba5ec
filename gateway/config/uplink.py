"""`[uplink]`: the broker's address, and the files of mutual TLS."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.config.check import Checker, right_for
from gateway.config.file import ACK_KEY, CERTIFICATE, PRIVATE_KEY, REVOCATION_LIST, FileProblem, check_file
from gateway.config.keys import FilePath
from gateway.config.port import is_host
from gateway.config.problem import BadValue, shown
from gateway.config.size import BadSize, nearest_size, parse_size
from gateway.language import N_
from gateway.uplink.budget import SMALLEST_PER_HOUR
from gateway.uplink.topics import is_site

TLS_FILES = {"ca": CERTIFICATE, "certificate": CERTIFICATE, "key": PRIVATE_KEY, "crl": REVOCATION_LIST}

_BROKER = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):/{0,2})?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/@]+)(?::(?P<port>[0-9]{1,5}))?/?"
)
_EXACT = re.compile(r"mqtts://(?:\[[0-9A-Fa-f:.]+\]|[^:/@\[\]]+):[0-9]{1,5}")


class PlainBroker(BadValue):
    """MQTT without TLS."""

    sentence = N_("broker = {found}: without TLS anyone on the way could read and change what patients' devices say")
    expected = N_("mqtts://HOST:PORT; a broker listens for it on 8883 as a rule")


class BadBroker(BadValue):
    """Another form."""

    sentence = N_("broker = {found} is not the address of a broker")
    expected = N_("mqtts://HOST:PORT, for example mqtts://platform.example:8883; the certificate says who we are")


class BadBudget(BadValue):
    """Another form, or so little that a box could not even say that it is there."""

    sentence = N_("budget = {found} is not a number of bytes per hour")
    expected = N_('a whole number, KiB, MiB or GiB, and /h; at least one MiB: for example "20 MiB/h"')


class SiteTaken(BadValue):
    """A site name under which the platform keeps its own topics."""

    sentence = N_("site = {found} is the platform's own name for what it tells all boxes")
    expected = N_("the hospital's own name")


def parse_budget(text: str) -> int:
    """Bytes per hour of "20 MiB/h"; 0 for "", no limit. Raises `BadBudget`."""
    if not text:
        return 0
    size, slash, unit = text.partition("/")
    try:
        per_hour = parse_size(size)
    except BadSize as bad:
        raise BadBudget(found=shown(text), nearest=f"{bad.nearest}/h" if bad.nearest else "") from bad
    if not slash or unit != "h":
        nearest = nearest_size(size) if unit in ("", "H", "hour") else ""
        raise BadBudget(found=shown(text), nearest=f"{nearest}/h" if nearest else "")
    if per_hour < SMALLEST_PER_HOUR:
        raise BadBudget(found=shown(text))
    return per_hour


def check_site(checker: Checker, good: Mapping[str, Any]) -> None:
    """`good` is what was right in `[gateway]`."""
    if "site" in good and not is_site(good["site"]):
        checker.refuse(("gateway", "site"), SiteTaken(found=shown(good["site"])))


def check_broker(text: str) -> None:
    """Raises `PlainBroker` or `BadBroker`."""
    loose = _BROKER.fullmatch(text)
    host = loose["host"] if loose else ""
    if not loose or not is_host(host.strip("[]")):
        raise BadBroker(found=shown(text))
    port = int(loose["port"] or 8883)
    if (loose["scheme"] or "").lower() in ("mqtt", "tcp", "ws"):
        raise PlainBroker(found=shown(text), nearest=f"mqtts://{host}:{8883 if port == 1883 else port}")
    if not _EXACT.fullmatch(text) or not 1 <= port <= 65535:
        raise BadBroker(found=shown(text), nearest=f"mqtts://{host}:{port if 1 <= port <= 65535 else 8883}")


def check_uplink(checker: Checker, raw: Mapping[str, Any], good: Mapping[str, Any], folder: Path) -> None:
    """What the types of the keys do not say. `raw` is the table as written, `good` what was right in it."""
    path = ("uplink",)
    if "broker" in good:
        try:
            check_broker(good["broker"])
        except BadValue as bad:
            checker.refuse((*path, "broker"), bad)
    if "budget" in good:
        try:
            parse_budget(good["budget"])
        except BadValue as bad:
            checker.refuse((*path, "budget"), bad)
    for key, name in good.get("tls", {}).items():
        _check_file(checker, (*path, "tls", key), folder, name)
    if "ack_key" in good:
        _check_file(checker, (*path, "ack_key"), folder, good["ack_key"])
    elif raw.get("ack", "platform") == "platform" and "ack_key" not in {*raw, *checker.misspelt_in(path)}:
        checker.missing((*path, "ack", "ack_key"), '[uplink] (ack = "platform")', right_for(FilePath))


def _check_file(checker: Checker, path: tuple[str, ...], folder: Path, name: str) -> None:
    key = path[-1]
    try:
        check_file(folder / name, key, TLS_FILES.get(key, ACK_KEY), folder)
    except FileProblem as bad:
        checker.refuse(path, bad)
