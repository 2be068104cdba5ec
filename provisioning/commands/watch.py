"""`jisr watch`: live values of a running agent, as a table in a terminal or as canonical JSON lines."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from drivers.observation import to_json
from gateway.config import load
from gateway.language import _
from provisioning.attach import lines, socket_of
from provisioning.commands.check import DEFAULT
from provisioning.stage import drawn


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of `jisr watch`."""
    parser.add_argument("device", nargs="?", default="", metavar=_("DEVICE"), help=_("only this device"))
    parser.add_argument("--config", type=Path, default=DEFAULT, metavar=_("FILE"), help=_("configuration file"))
    parser.add_argument("--json", action="store_true", help=_("canonical JSON, one observation a line"))
    parser.add_argument(
        "--seconds", type=float, default=0.0, metavar=_("SECONDS"), help=_("stop after this long (0: at Ctrl-C)")
    )
    parser.epilog = _("Example: jisr watch rea-lit4-vent --config jisr.toml")


def run(arguments: argparse.Namespace) -> int:
    """Show until told to stop."""
    socket = socket_of(arguments.config, arguments.device)
    as_json = arguments.json or not sys.stdout.isatty()
    work = _print(socket, arguments.device) if as_json else _draw(socket, arguments.device, arguments.config)
    asyncio.run(_for(arguments.seconds, work))
    return 0


async def _for(seconds: float, work: Any) -> None:
    try:
        async with asyncio.timeout(seconds or None):
            await work
    except TimeoutError:
        pass


async def _print(socket: Path, device: str) -> None:
    async for line in lines(socket, ("observation",), device):
        if line.observation is not None:
            sys.stdout.write(to_json(line.observation).decode() + "\n")
            sys.stdout.flush()


async def _draw(socket: Path, device: str, config: Path) -> None:
    with drawn(load(config)) as stage:
        async for line in lines(socket, ("observation", "status"), device):
            stage.take(line)
