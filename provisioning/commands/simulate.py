"""`jisr simulate`: one simulated device, with its faults."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from gateway.errors import JisrError
from gateway.language import N_, _
from provisioning.errors import BadAddress, BadOption, NoSuchFault, NoSuchOption, NoSuchSimulator
from simulators.devices.catalog import SIMULATORS
from simulators.devices.runner import connect_tcp, serve_pty, serve_tcp, serve_udp
from simulators.devices.simulator import Simulator


class NoPlace(JisrError):
    """The pseudo-terminal's link or the TCP port cannot be had."""

    sentence = N_("{place}: the simulator cannot be there ({detail}). Choose another place.")


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of `jisr simulate`."""
    parser.add_argument("name", metavar=_("NAME"), help=_("one of: {known}").format(known=", ".join(SIMULATORS)))
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--pty", type=Path, metavar=_("LINK"), help=_("a pseudo-terminal; LINK will point at it"))
    where.add_argument("--listen", metavar=_("HOST:PORT"), help=_("be called over TCP"))
    where.add_argument("--connect", metavar=_("HOST:PORT"), help=_("call over TCP"))
    where.add_argument("--udp", metavar=_("HOST:PORT"), help=_("be asked by datagrams"))
    parser.add_argument("--to", metavar=_("HOST:PORT"), help=_("with --udp: where the datagrams go, asked or not"))
    parser.add_argument(
        "--fault", metavar=_("FAULT"), action="append", default=[], help=_("a bad habit; --fault list shows them")
    )
    parser.add_argument("--option", action="append", default=[], metavar=_("KEY=VALUE"), help=_("a simulator option"))
    parser.add_argument(
        "--seed", metavar=_("NUMBER"), type=int, default=0, help=_("the same seed gives the same device")
    )
    parser.epilog = _("Example: jisr simulate draeger_medibus --pty /tmp/ventilator --fault garbage")


def run(arguments: argparse.Namespace) -> int:
    """Run until told to stop."""
    if arguments.name not in SIMULATORS:
        raise NoSuchSimulator(name=arguments.name, known=", ".join(SIMULATORS))
    maker = SIMULATORS[arguments.name]
    if "list" in arguments.fault:
        sys.stdout.write("\n".join(sorted(maker.FAULTS)) + "\n")
        return 0
    for fault in arguments.fault:
        if fault not in maker.FAULTS:
            raise NoSuchFault(name=fault, known=", ".join(sorted(maker.FAULTS)))
    options = dict(option.partition("=")[::2] for option in arguments.option)
    for name in options:
        if name not in maker.OPTIONS:
            raise NoSuchOption(owner=arguments.name, name=name, known=", ".join(sorted(maker.OPTIONS)))
    try:
        simulator = maker(seed=arguments.seed, faults=frozenset(arguments.fault), options=options)
    except ValueError as error:
        raise BadOption(owner=arguments.name, detail=error) from error
    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(_serve(simulator, arguments))
    except OSError as error:
        place = arguments.pty or arguments.listen or arguments.connect or arguments.udp
        # asyncio wraps what the system said in words of its own
        detail = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise NoPlace(place=place, detail=detail) from error
    return 0


async def _serve(simulator: Simulator, arguments: argparse.Namespace) -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    if arguments.pty is not None:
        await serve_pty(simulator, arguments.pty)
    elif arguments.listen:
        await serve_tcp(simulator, *_address(arguments.listen))
    elif arguments.udp:
        await serve_udp(simulator, *_address(arguments.udp), _address(arguments.to) if arguments.to else None)
    else:
        await connect_tcp(simulator, *_address(arguments.connect))


def _address(text: str) -> tuple[str, int]:
    host, _colon, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise BadAddress(found=text)
    return host, int(port)
