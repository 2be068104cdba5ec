"""`jisr demo`: the whole line on one machine, with a pulled cable and a killed broker; ends with a ledger."""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from gateway import language
from gateway.config import load
from gateway.errors import JisrError
from gateway.language import N_, _
from provisioning.attach import NoAgent, Seen, lines
from provisioning.lab import Lab
from provisioning.stage import Stage, drawn
from provisioning.stations import EVERYTHING, GROUPS
from simulators.central.broker import find_mosquitto

SHORTEST_S = 10.0
AGENT_UP_S = 20.0
CATCH_UP_S = 40.0


class NoBroker(JisrError):
    """Mosquitto is not installed."""

    sentence = N_(
        "mosquitto is not installed. Install it (sudo apt install mosquitto), or use make demo, which does."
    )


class PartFailed(JisrError):
    """A part of the line did not come up, or ended without its last word."""

    sentence = N_("{part} did not work. The end of its journal: {log}")


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of `jisr demo`."""
    parser.add_argument(
        "--seconds",
        type=float,
        default=30.0,
        metavar=_("SECONDS"),
        help=_("how long the devices speak (at least 10)"),
    )
    parser.add_argument(
        "--only",
        choices=tuple(GROUPS),
        default=EVERYTHING,
        metavar=_("GROUP"),
        help=_("which devices: {known}").format(known=", ".join(GROUPS)),
    )
    parser.add_argument("--json", action="store_true", help=_("no picture; one JSON object at the end"))
    parser.epilog = _("Example: jisr demo --seconds 20 --json")


def run(arguments: argparse.Namespace) -> int:
    """0 only if something was committed, nothing was lost and nothing came twice."""
    if find_mosquitto() is None:
        raise NoBroker
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed window must not leave a broker behind
        signal.signal(number, _interrupt)
    with tempfile.TemporaryDirectory(prefix="jisr-demo-") as folder:
        lab = Lab(Path(folder), language.current(), GROUPS[arguments.only])
        try:
            is_drawn = sys.stdout.isatty() and not arguments.json
            config = load(lab.write_config())
            with drawn(config) if is_drawn else nullcontext(Stage()) as stage:
                report = asyncio.run(_Play(lab, max(arguments.seconds, SHORTEST_S), stage).run())
        finally:
            lab.close()
    if arguments.json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        sys.stdout.write(_ledger_text(report))
    return exit_code(report)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


class _Play:
    """The plot: devices speak; a cable is pulled and put back; the broker is killed and comes back; the end."""

    def __init__(self, lab: Lab, seconds: float, stage: Stage) -> None:
        self._lab, self._seconds, self._stage = lab, seconds, stage
        self._status: dict[str, Any] = {}
        self._started = time.monotonic()

    async def run(self) -> dict[str, Any]:
        """Play it; returns the ledger."""
        await asyncio.to_thread(self._lab.start)
        watcher = asyncio.create_task(self._watch())
        try:
            await self._until(lambda: bool(self._status), AGENT_UP_S, "agent")
            self._started = time.monotonic()
            await self._plot()
            self._note(
                _("the devices are told goodbye, the agent ends; what it committed is compared with what arrived")
            )
            last = await asyncio.to_thread(self._lab.stop_agent)
        finally:
            watcher.cancel()
        if not last:
            raise PartFailed(part="agent", log=self._lab.tail("agent"))
        return await self._ledger(last)

    async def _plot(self) -> None:
        await self._pause(0.25)
        unlucky = next(iter(self._lab.stations))
        self._note(_("the cable of {device} is pulled").format(device=unlucky))
        await asyncio.to_thread(self._lab.pull, unlucky)
        await self._pause(0.2)
        self._note(_("the cable is back"))
        self._lab.plug(unlucky)
        await self._pause(0.15)
        self._note(_("the broker is killed (SIGKILL)"))
        await asyncio.to_thread(self._lab.broker.kill)
        await self._pause(0.15)
        self._note(_("the broker is back"))
        await asyncio.to_thread(self._lab.broker.start)
        await self._pause(0.25)
        await self._until(lambda: self._status["uplink"]["connected"], CATCH_UP_S, "agent")

    async def _pause(self, share: float) -> None:
        await asyncio.sleep(share * self._seconds)

    async def _until(self, reached: Any, deadline_s: float, part: str) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                while not reached():  # noqa: ASYNC110 - what is waited for happens in another process
                    await asyncio.sleep(0.1)
        except TimeoutError as error:
            raise PartFailed(part=part, log=self._lab.tail(part)) from error

    def _note(self, text: str) -> None:
        self._stage.note(f"{time.monotonic() - self._started:5.1f} s  {text}")

    async def _watch(self) -> None:
        while True:
            try:
                async for seen in lines(self._lab.folder / "agent.sock", ("observation", "status")):
                    self._see(seen)
            except NoAgent:
                await asyncio.sleep(0.1)

    def _see(self, seen: Seen) -> None:
        self._stage.take(seen)
        if seen.status is not None:
            self._status = seen.status

    async def _ledger(self, last: dict[str, Any]) -> dict[str, Any]:
        """Compare what was committed with what the platform holds, identity by identity; the rest may come late."""
        committed = identities(last)
        if committed - (await asyncio.to_thread(self._lab.ledger)).identities:
            self._note(_("what was still on disk is delivered by a second start, with no device"))
            committed |= identities(await asyncio.to_thread(self._lab.deliver_rest, CATCH_UP_S))
        ledger = await asyncio.to_thread(self._lab.ledger)
        return {
            "committed": len(committed),
            "delivered": len(ledger.identities),
            "lost": len(committed - ledger.identities),
            "duplicated": ledger.rows - len(ledger.identities),
            "devices": ledger.devices,
            "broker": self._lab.broker_version(),
        }


def identities(stopped: dict[str, Any]) -> set[tuple[int, str, int]]:
    """Epoch, lane and number of all that an agent committed, from its last word."""
    epoch = stopped.get("epoch", 0)
    return {(epoch, lane, seq) for lane, last in stopped.get("committed", {}).items() for seq in range(1, last + 1)}


def exit_code(report: dict[str, Any]) -> int:
    """0 only if something was committed, and all of it arrived, and nothing else or twice."""
    arrived_once = report["delivered"] == report["committed"] > 0
    return 0 if arrived_once and not report["lost"] and not report["duplicated"] else 1


def _ledger_text(report: dict[str, Any]) -> str:
    rows: list[tuple[str, object]] = [
        (_("committed on disk"), report["committed"]),
        (_("delivered to the platform"), report["delivered"]),
        (_("lost"), report["lost"]),
        (_("duplicated"), report["duplicated"]),
        (_("broker"), report["broker"]),
    ]
    for name, device in report["devices"].items():
        rows.append((name, f"{device['observations']}  ({device['driver']})"))
    return _plain(rows)


def _plain(rows: Sequence[tuple[str, object]]) -> str:
    """A ledger without a terminal's colours: one line a row."""
    width = max(len(name) for name, _value in rows)
    return "".join(f"{name:<{width}}  {value}\n" for name, value in rows)
