"""BIS VISTA and A-2000, binary protocol: processed data are started once and come by themselves from then on.

    box ─▶ ┌───────┬───────┬───────┬───────┬──────────────────────────────────────────┬───────┐
           │ BA AB │ 00 00 │ 0D 00 │ 01 00 │ 04 00 00 00 73 00 00 00 00 00 01 00 00   │ 86 00 │  start
           │ start │ seq   │ len   │ data  │ routing     message     seq   len   data │ sum   │
           └───────┴───────┴───────┴───────┴──────────────────────────────────────────┴───────┘  ─▶ message 34H

VSCaptureBISV (xeonfusion), Class1.cs and Class2.cs, section DataConstants. frames.py finds and verifies packets,
observe.py reads them, profile.toml has the scales. Spectra and the raw EEG are never started.
"""

from typing import ClassVar

from drivers.asking import Asker, Manners, Question
from drivers.bis_vista.frames import ACK, DATA, Framer, Message, Packet
from drivers.bis_vista.observe import PROCESSED, Observer, Processed
from drivers.bis_vista.options import Options as BisVistaOptions
from drivers.contract import Fault, Output
from drivers.observation import AnyObservation
from drivers.profile import Profile

START = bytes.fromhex("BA AB 00 00 0D 00 01 00 04 00 00 00 73 00 00 00 00 00 01 00 00 86 00")
STOP = bytes.fromhex("BA AB 00 00 0C 00 01 00 04 00 00 00 74 00 00 00 00 00 00 00 85 00")
"""All that is ever sent: start and stop processed data."""
_START_KEY = "start"
PATIENCE_S = 5.0
"""So long the first data may take; what is half received and stands still for so long will not come."""
MOST_STARTS = 12
"""Within a minute, whatever happens."""


class BisVistaDriver:
    """One monitor."""

    name: ClassVar[str] = "bis_vista"
    version: ClassVar[int] = 1
    Options: ClassVar[type[BisVistaOptions]] = BisVistaOptions

    def __init__(self, profile: Profile, _options: BisVistaOptions) -> None:
        self._asker = Asker(Manners(patience_s=PATIENCE_S, per_minute=MOST_STARTS))
        self._framer = Framer()
        self._observer = Observer(profile)
        self._mds = self._observer.mds
        self._stale_after_s = profile.protocol.stale_after_s
        self._last_heard = self._last_data = 0.0
        self._has_left = False
        self._observations: list[AnyObservation] = []
        self._faults: list[Fault] = []
        self._frames = 0

    def start(self, now: float) -> Output:
        """Forget what was half received; start processed data."""
        self._framer.drop()
        self._mds.restart()
        self._last_heard = self._last_data = now
        self._has_left = False
        self._asker.begin([Question(_START_KEY, START)], [], now)
        return self._finish(now)

    def receive(self, data: bytes, now: float) -> Output:
        """Whole packets are read; the rest waits for more."""
        self._settle(now)
        self._last_heard = now
        for item in self._framer.feed(data):
            fault = item if isinstance(item, Fault) else self._take(item, now)
            if fault is not None:
                self._faults.append(fault)
        return self._finish(now)

    def wake(self, now: float) -> Output:
        """Time-outs."""
        self._settle(now)
        return self._finish(now)

    def stop(self, now: float) -> Output:
        """Stop processed data, if they were ever started."""
        if self._asker.has_spoken and not self._has_left:
            self._asker.halt()
            self._asker.say(STOP, now)
        self._has_left = True
        self._observations += self._mds.link("disconnected", "stopped")
        return self._finish(now)

    def _settle(self, now: float) -> None:
        if now >= self._last_heard + PATIENCE_S:
            self._faults += self._framer.drop()

    def _take(self, packet: Packet, now: float) -> Fault | None:
        if packet.directive != DATA:
            self._frames += 1
            return None if packet.directive == ACK else Fault("nak")
        message = Message.from_bytes(packet.payload)
        if isinstance(message, Fault):
            return message
        self._frames += 1
        if message.number != PROCESSED:
            return Fault("unknown_record", f"{message.number:02X}")
        read = Processed.from_bytes(message.data)
        if isinstance(read, Fault):
            return read
        self._observe(read, now)
        return None

    def _observe(self, read: Processed, now: float) -> None:
        if self._has_left:
            return
        self._last_data = now
        if self._asker.asked:
            self._asker.answered(now)
        self._observations += self._mds.link("connected")
        self._observations += self._observer.observe(read)

    def _finish(self, now: float) -> Output:
        stale_at = self._last_data + self._stale_after_s
        if now >= stale_at and not self._has_left and self._mds.connection != "stale":
            if self._mds.connection == "connected":  # it spoke, and has fallen silent: data are started again
                self._asker.restart(now)
            self._observations += self._mds.link("stale", "silence")
        self._asker.tick(now)
        send, faults = self._asker.take()
        output = Output(
            send=send,
            observations=tuple(self._observations),
            faults=(*self._faults, *faults),
            wake_at=self._wake_at(stale_at),
            frames=self._frames,
        )
        self._observations, self._faults, self._frames = [], [], 0
        return output

    def _wake_at(self, stale_at: float) -> float | None:
        due = [at for at in (self._asker.wake_at(),) if at is not None]
        if self._mds.connection != "stale" and not self._has_left:
            due.append(stale_at)
        if self._framer.is_inside:
            due.append(self._last_heard + PATIENCE_S)
        return min(due, default=None)
