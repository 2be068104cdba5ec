"""`jisr probe`: which monitors announce themselves on this network. It listens; nothing is sent."""

import argparse
import asyncio
import contextlib
import sys
from typing import TextIO

import msgspec

from gateway.errors import JisrError
from gateway.language import N_, _
from gateway.ports.beacons import listening
from provisioning.beacons import EARS, Announced, read

SECONDS = 10.0
LONGEST_S = 3600.0
KNOWN_LIMIT = 1000
"""Monitors that are told in one run; a network that names more is not one of monitors."""


class NothingHeard(JisrError):
    """Nobody announced itself."""

    sentence = N_(
        "Nothing was heard on UDP {ports} in {seconds} s. Is the box on the monitors' network, and is their network "
        "export switched on? A device on a serial line, or one that is only asked, cannot be found this way: "
        "jisr drivers lists what Jisr reads."
    )


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of `jisr probe`."""
    parser.add_argument(
        "--seconds", type=_seconds, default=SECONDS, metavar=_("SECONDS"), help=_("how long to listen")
    )
    parser.add_argument("--json", action="store_true", help=_("one JSON object, for tools"))
    parser.epilog = _("Example: jisr probe --seconds 30")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= LONGEST_S:
        raise ValueError
    return value


def run(arguments: argparse.Namespace) -> int:
    """Print each monitor once; 1 where none was heard."""
    ports = ", ".join(str(ear.port) for ear in EARS)
    if not arguments.json:
        told = _("Listening on UDP {ports} for {seconds} s. Nothing is sent. Ctrl-C ends it.")
        sys.stderr.write(told.format(ports=ports, seconds=f"{arguments.seconds:g}") + "\n")
    found: dict[tuple[str, str], Announced] = {}
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_listen(found, arguments.seconds, None if arguments.json else sys.stdout))
    if arguments.json:
        listed = [msgspec.to_builtins(one) | {"name": one.name, "tier": one.tier} for one in found.values()]
        sys.stdout.write(msgspec.json.encode({"monitors": listed}).decode() + "\n")
    if not found:
        raise NothingHeard(ports=ports, seconds=f"{arguments.seconds:g}")
    return 0


async def _listen(found: dict[tuple[str, str], Announced], seconds: float, out: TextIO | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), listening(EARS) as heard:
            while True:
                seen = read(await heard.get())
                if seen is None or (seen.driver, seen.address) in found or len(found) >= KNOWN_LIMIT:
                    continue
                found[seen.driver, seen.address] = seen
                if out:
                    out.write(_shown(seen))
                    out.flush()


def _shown(seen: Announced) -> str:
    who = " ".join(part for part in (seen.model, seen.serial) if part)
    lines = [_("{address}: {driver}, {profile} ({tier}), announced on UDP {port}").format(
        address=seen.address, driver=seen.driver, profile=seen.profile, tier=seen.tier, port=seen.heard_on
    )]  # fmt: skip
    if who:
        lines.append("  " + _("it says that it is {who}").format(who=who))
    if seen.sender != seen.address:
        lines.append("  " + _("heard from {sender}, not from itself: a gateway?").format(sender=seen.sender))
    return "\n".join((*lines, *(f"    {line}" for line in seen.block().splitlines()))) + "\n\n"
