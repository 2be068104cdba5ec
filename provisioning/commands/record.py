"""`jisr record`: every byte of one device's port, both directions, as the running agent sees them."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from gateway.clock import Clock
from gateway.config import load
from gateway.errors import JisrError
from gateway.language import N_, _
from provisioning.attach import NoAgent, lines, socket_of
from provisioning.capture import Header
from provisioning.commands.check import DEFAULT


class CannotWrite(JisrError):
    """The output file cannot be written."""

    exit_code = 2
    sentence = N_("{file}: cannot be written ({detail}). Choose another place.")


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of `jisr record`."""
    parser.add_argument("device", metavar=_("DEVICE"), help=_("device name in the configuration"))
    parser.add_argument("output", type=Path, metavar=_("OUTPUT"), help=_("file to write; it must not exist"))
    parser.add_argument("--config", type=Path, default=DEFAULT, metavar=_("FILE"), help=_("configuration file"))
    parser.add_argument(
        "--seconds", type=float, default=0.0, metavar=_("SECONDS"), help=_("stop after this long (0: at Ctrl-C)")
    )
    parser.epilog = _(
        "Example: jisr record labo-hemato hemato.jsonl --seconds 600\n"
        "A recording holds what the device sent, patient data too: keep it as you keep a record."
    )


def run(arguments: argparse.Namespace) -> int:
    """Record; says how many bytes were kept."""
    socket = socket_of(arguments.config, arguments.device)
    device = next(each for each in load(arguments.config).device if each.name == arguments.device)
    header = Header(1, Clock().now().at, device.name, device.driver, device.profile, device.port)
    try:
        output = arguments.output.open("xb")
    except OSError as error:
        raise CannotWrite(file=arguments.output, detail=error.strerror) from error
    try:
        with output:
            output.write(msgspec.json.encode(header) + b"\n")
            kept = asyncio.run(_record(socket, arguments.device, arguments.seconds, output))
    except NoAgent:
        arguments.output.unlink()  # nothing was recorded: the name is free for the next try
        raise
    sys.stderr.write(_("{count} bytes recorded in {file}.").format(count=kept, file=arguments.output) + "\n")
    return 0


async def _record(socket: Path, device: str, seconds: float, output: BinaryIO) -> int:
    kept = 0
    started: float | None = None
    try:
        async with asyncio.timeout(seconds or None):
            async for line in lines(socket, ("bytes",), device):
                piece = line.bytes
                if piece is None:
                    continue
                started = piece.t if started is None else started
                kept += len(piece.hex) // 2
                moved = msgspec.structs.replace(piece, t=round(piece.t - started, 6), device="")
                output.write(msgspec.json.encode(moved) + b"\n")
    except (TimeoutError, asyncio.CancelledError):  # Ctrl-C is how a recording without --seconds ends
        pass
    return kept
