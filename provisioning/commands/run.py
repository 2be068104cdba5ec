"""`jisr run`: the agent, until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import signal
from pathlib import Path

from gateway import language
from gateway.agent import Agent
from gateway.config import load
from gateway.journal import Journal
from gateway.language import _
from provisioning.commands.check import DEFAULT


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of `jisr run`."""
    parser.add_argument(
        "config", nargs="?", type=Path, default=DEFAULT, metavar=_("FILE"), help=_("configuration file")
    )
    parser.epilog = _("Example: jisr run /etc/jisr/jisr.toml")


def run(arguments: argparse.Namespace) -> int:
    """Run until told to stop; 2 when the configuration is wrong, 1 when the spool cannot be used."""
    config = load(arguments.config)
    if not arguments.lang:
        language.choose(config.gateway.language)
    return asyncio.run(_work(Agent(config, Journal())))


async def _work(agent: Agent) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await agent.run(stop)
    return 0
