"""The agent: one process, one loop; a task for each device, one spool writer, one uplink."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from drivers.contract import Block
from drivers.observation import AnyObservation, Lane
from drivers.profile import Profile
from gateway.clock import Clock
from gateway.commissioning import Proofs
from gateway.config import (
    Config,
    DeviceConfig,
    caps_of,
    line_settings,
    may_send,
    parse_budget,
    parse_port,
    resolved_profile,
)
from gateway.device import LinkState, RegisterDevice, Setup, StreamDevice
from gateway.errors import JisrError
from gateway.feed import Feed, FeedUnusable
from gateway.health import birth, health, rss_mb
from gateway.inbox import Inbox
from gateway.journal import Journal
from gateway.ports.gate import GatedPort, SendGate
from gateway.ports.port import StreamPort
from gateway.ports.serial import SerialPort
from gateway.ports.tcp import TcpListenPort, TcpPort
from gateway.ports.udp import UdpPort, UdpSockets
from gateway.spool.cipher import device_secret
from gateway.spool.spool import CommitRefused, Depth, Spool
from gateway.timekeeping import Timekeeping
from gateway.uplink.identity import begins
from gateway.uplink.schema import Birth, Health
from gateway.uplink.uplink import Link, Uplink, UplinkSettings

RESTART_S = 5.0
DEVICES_STOP_S = 2.5
DRAIN_S = 0.8
UPLINK_STOP_S = 0.7
"""Together under the five seconds in which SIGTERM must have ended everything."""


class Status(Struct, frozen=True):
    """What the local feed shows of the whole box, each second."""

    gateway: str
    spool: str
    epoch: int
    devices: dict[str, LinkState]
    depth: dict[Lane, Depth]
    committed: dict[Lane, int]
    uplink: Link
    rss_mb: float


class Agent:
    """Everything between the devices' ports and the platform, from a checked configuration."""

    def __init__(self, config: Config, journal: Journal, clock: Clock | None = None) -> None:
        self._config, self._journal = config, journal
        self._clock = clock or Clock(memory=Path(config.spool.path) / "clock")
        self._clock.floor.prove(begins(config.uplink.tls))
        secret = device_secret(Path(config.spool.secret))
        self._proofs = Proofs(Path(config.spool.path), secret, journal)
        self._spool = Spool.open(
            Path(config.spool.path),
            secret=secret,
            boot=self._clock.now().trust.boot,
            stamp=self._stamp,
            caps=caps_of(config.spool.caps),
        )
        self._devices: dict[str, StreamDevice | RegisterDevice] = {}
        self._udp = UdpSockets()
        socket = config.gateway.socket
        self._feed = Feed(Path(socket), self.status, config.gateway.id, self._clock.mono) if socket else None
        settings = UplinkSettings(
            site=config.gateway.site,
            gateway=config.gateway.id,
            broker=config.uplink.broker,
            ack=config.uplink.ack,
            encoding=config.uplink.encoding,
            budget=parse_budget(config.uplink.budget),
            tls=config.uplink.tls,
            ack_key=config.uplink.ack_key,
        )
        self._uplink = Uplink(settings, self._spool, self.birth, self.health, journal, clock=self._clock)
        self._timekeeping = Timekeeping(self._clock, self._spool, journal)
        where = (config.gateway.site, config.gateway.id, config.uplink.ack_key)
        self._inbox = Inbox(Path(config.spool.path), *where, self._spool, journal)
        for notice in config.notices:
            journal.say(notice, notice.text())
        for device in config.device:
            self._devices[device.name] = self._build(device)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then goodbyes to the devices, commit, and leave the platform in order."""
        await self._open_feed()
        gc.freeze()  # what was loaded lives as long as the process: no collection need walk through it again
        self._spool.listen(self._show)
        self._spool.listen_refusals(self._say_refusal)
        self._spool.listen_notices(self._say_of_spool)
        for notice in self._spool.recovery.notices:
            self._say_of_spool(notice)
        writer = asyncio.create_task(self._supervise("spool", self._spool.run))
        uplink = asyncio.create_task(self._supervise("uplink", self._uplink.run))
        feed = [asyncio.create_task(self._supervise("feed", self._feed.run))] if self._feed else []
        clock = asyncio.create_task(self._supervise("clock", self._timekeeping.run))
        gaps = asyncio.create_task(self._supervise("gaps", self._tell_gaps))
        inbox = asyncio.create_task(self._supervise("inbox", self._inbox.run))
        devices = [asyncio.create_task(self._supervise(name, device.run)) for name, device in self._devices.items()]
        self._journal.event("started", gateway=self._config.gateway.id, epoch=self._spool.epoch)
        try:
            await stop.wait()
        finally:
            await _end([*devices, gaps, inbox, clock], DEVICES_STOP_S)
            self._timekeeping.remember()
            await self._spool.commit_now()
            await self._drain(DRAIN_S)
            await self._uplink.stop(UPLINK_STOP_S)
            await _end([uplink, writer, *feed], UPLINK_STOP_S)
            await self._spool.close()
            if self._feed:
                await self._feed.close()
            self._journal.event("stopped", epoch=self._spool.epoch, committed=self._spool.committed)

    async def _tell_gaps(self) -> None:
        """What recovery found missing; a full disk must not keep the devices from being read (design, section 6)."""
        while self._spool.recovery.gaps:
            try:
                await self._spool.put(self._spool.recovery.gaps)
            except CommitRefused as error:
                self._journal.say(error, "spool")
                await asyncio.sleep(RESTART_S)
            else:
                return

    async def _open_feed(self) -> None:
        """People on this machine may look on; where they cannot, the devices are read all the same."""
        try:
            if self._feed:
                await self._feed.open()
        except FeedUnusable as error:
            self._journal.say(error, "feed")

    async def _drain(self, deadline_s: float) -> None:
        """Give what was committed a moment to arrive; what does not stays on disk for the next start."""
        end = self._clock.mono() + deadline_s
        while self._uplink.link.connected and self._clock.mono() < end:
            if not any(depth.observations for depth in self._spool.depth().values()):
                return
            await asyncio.sleep(0.02)

    async def _supervise(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """The one boundary where an unexpected error is caught: the task is started again, the others go on."""
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001
                self._journal.event("task_failed", task=name, error=type(error).__name__, exc_info=error)
            else:
                return
            await asyncio.sleep(RESTART_S)

    def _build(self, device: DeviceConfig) -> StreamDevice | RegisterDevice:
        profile = resolved_profile(device)
        is_commissioned = self._proofs.add(device.name, profile, device.options)
        setup = Setup(device.name, profile, dict(device.options), device.place, device.mode, is_commissioned)
        address = parse_port(device.port)
        if address.kind.startswith("modbus"):
            # A box without such a device does without pymodbus and its memory.
            from gateway.ports.modbus import ModbusPort  # noqa: PLC0415

            port = ModbusPort(address, device, profile, trace=self._trace(device.name))
            return RegisterDevice(setup, port, self._spool, self._clock, self._journal, self._show_block(device.name))
        gate = SendGate(profile.allowed, profile.protocol.max_send_per_minute, may_send=may_send(device))
        gated = GatedPort(_stream_port(device, profile, self._udp), gate, self._trace(device.name))
        return StreamDevice(setup, gated, self._spool, self._clock, self._journal)

    def _trace(self, device: str) -> Callable[[Any, bytes], None] | None:
        feed = self._feed
        return (lambda direction, data: feed.raw(device, direction, data)) if feed else None

    def _show_block(self, device: str) -> Callable[[Block], None] | None:
        feed = self._feed

        def show(block: Block) -> None:
            if feed:
                width = 1 if block.read.table in ("coil", "discrete") else 2
                data = b"".join(word.to_bytes(width, "big") for word in block.words)
                where = {"table": block.read.table, "address": block.read.address, "error": block.error}
                feed.raw(device, "rx", data, **where)

        return show if feed else None

    def _show(self, lane: Lane, first: int, observations: tuple[AnyObservation, ...]) -> None:
        if not self._spool.is_refusing:
            for subject in ("spool", "disk"):
                self._journal.settle(subject)
        if self._feed:
            self._feed.committed(lane, self._spool.epoch, first, observations)

    def _say_refusal(self, lane: Lane, error: CommitRefused) -> None:
        # Events are refused before the disk is full, other lanes when it is: by turns about one subject, each would
        # be said at every beat.
        self._journal.say(error, "spool" if lane == "event" else "disk")

    def _stamp(self) -> dict[str, Any]:
        """The box's time, for the spool's own records."""
        now = self._clock.now()
        return {"at": now.at, "clock": now.trust}

    def _say_of_spool(self, notice: JisrError) -> None:
        """Each said once: it is about what happened, not about what lasts."""
        self._journal.say(notice, f"spool {type(notice).__name__} {notice.facts.get('lane', '')}")

    def status(self) -> Status:
        """The box as the local feed shows it."""
        link = self._uplink.link
        return Status(
            gateway=self._config.gateway.id,
            spool=self._spool.id,
            epoch=self._spool.epoch,
            devices={name: device.state for name, device in self._devices.items()},
            depth=self._spool.depth(),
            committed=self._spool.committed,
            uplink=link,
            rss_mb=rss_mb(),
        )

    def birth(self) -> Birth:
        """What the platform is told at each connection: software, devices, metrics."""
        return birth(self._config, self._clock)

    def health(self) -> Health:
        """What the platform is told each minute."""
        states = {name: device.state for name, device in self._devices.items()}
        told = health(self._spool, Path(self._config.spool.path), self._clock, states)
        refused = dict(self._uplink.timekeeper.refused)
        return structs.replace(told, clock=told.clock | {"refused": refused}) if refused else told


def _stream_port(device: DeviceConfig, profile: Profile, sockets: UdpSockets) -> StreamPort:
    address = parse_port(device.port)
    if address.kind == "tcp":
        return TcpPort(address.host, address.port)
    if address.kind == "tcp-listen":
        return TcpListenPort(address.host, address.port)
    if address.kind == "udp":
        return UdpPort(address.host, address.port, address.local, sockets)
    line = line_settings(device)
    return SerialPort(address.path, line.baud, line.bits, line.parity, line.stop, profile.modem)


async def _end(tasks: list[asyncio.Task[None]], deadline_s: float) -> None:
    """Cancel, and wait for what they do on leaving; what takes longer is left to the end of the process."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=deadline_s)
