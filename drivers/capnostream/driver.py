"""Oridion Capnostream 20: it is enabled, told that the link is active, and speaks by itself from then on.

    box ─▶ ┌────┬────┬────┬────┐ enable          ┌────┬────┬──────┬─────────┬───────┐ ─▶ box
           │ 85 │ 01 │ 01 │ 00 │                 │ 85 │ n  │ code │ payload │ check │   4 who it is
           │ 85 │ 01 │ 06 │ 07 │ link is active  └────┴────┴──────┴─────────┴───────┘   1 numerics, 0 CO2 wave
           └────┴────┴────┴────┘

OpenICE (mdpnp/mdpnp), devices/oridion, section "Command" and "Response" of Capnostream. frames.py finds and verifies
frames, observe.py reads them, profile.toml has the places and bits. No other command can be made here.
"""

from typing import ClassVar

from drivers.asking import Asker, Manners, Question
from drivers.capnostream.frames import Frame, Framer
from drivers.capnostream.observe import NUMERICS_BYTES, WAVE_BYTES, Observer
from drivers.capnostream.options import Options as CapnostreamOptions
from drivers.contract import Fault, Output
from drivers.observation import AnyObservation
from drivers.profile import Profile

ENABLE, ALIVE = b"\x85\x01\x01\x00", b"\x85\x01\x06\x07"
"""All that is ever sent: enable communication, and link is active."""
WAVE, NUMERICS, IDENTITY = 0, 1, 4
_ENABLE_KEY = "enable"
PATIENCE_S = 2.0
"""What is half received and stands still for so long will not come; nor will an answer (OpenICE: 2 s)."""
ALIVE_S = 5.0
"""OpenICE says each 5 s that the link is active."""
MOST_ENABLES = 12
"""Within a minute, whatever happens; so many keep-alives fit beside them."""


class CapnostreamDriver:
    """One capnograph."""

    name: ClassVar[str] = "capnostream"
    version: ClassVar[int] = 1
    Options: ClassVar[type[CapnostreamOptions]] = CapnostreamOptions

    def __init__(self, profile: Profile, options: CapnostreamOptions) -> None:
        self._asker = Asker(Manners(patience_s=PATIENCE_S, per_minute=MOST_ENABLES))
        self._framer = Framer()
        self._observer = Observer(profile, options)
        self._mds = self._observer.mds
        self._stale_after_s = profile.protocol.stale_after_s
        self._last_heard = self._last_frame = 0.0
        self._alive_at: float | None = None
        self._has_left = False
        self._observations: list[AnyObservation] = []
        self._faults: list[Fault] = []
        self._frames = 0

    def start(self, now: float) -> Output:
        """Forget what was half received; enable communication."""
        self._framer.drop()
        self._observer.restart()
        self._last_heard = self._last_frame = now
        self._alive_at, self._has_left = None, False
        self._asker.begin([Question(_ENABLE_KEY, ENABLE)], [], now)
        return self._finish(now)

    def receive(self, data: bytes, now: float) -> Output:
        """Whole frames are read; the rest waits for more."""
        self._settle(now)
        self._last_heard = now
        for item in self._framer.feed(data):
            if isinstance(item, Fault):
                self._faults.append(item)
            else:
                self._take(item, now)
        return self._finish(now)

    def wake(self, now: float) -> Output:
        """Keep-alives, and time-outs."""
        self._settle(now)
        return self._finish(now)

    def stop(self, now: float) -> Output:
        """Nothing is said: the keep-alives just end."""
        self._asker.halt()
        self._alive_at, self._has_left = None, True
        self._observations += self._mds.link("disconnected", "stopped")
        return self._finish(now)

    def _settle(self, now: float) -> None:
        if now >= self._last_heard + PATIENCE_S:
            self._faults += self._framer.drop()

    def _take(self, frame: Frame, now: float) -> None:
        if self._has_left:
            self._frames += 1
            return
        seen, faults = self._observe(frame, now)
        self._faults += faults
        if any(fault.rejected for fault in faults):
            return
        self._frames += 1
        self._last_frame = now
        self._observations += self._mds.link("connected")
        self._observations += seen
        if self._asker.asked:
            self._asker.answered(now)
        if self._alive_at is None:
            self._alive_at = now

    def _observe(self, frame: Frame, now: float) -> tuple[list[AnyObservation], list[Fault]]:
        smallest = {NUMERICS: NUMERICS_BYTES, WAVE: WAVE_BYTES}.get(frame.code, 0)
        if len(frame.payload) < smallest:
            return [], [Fault("length", str(frame.code), rejected=True)]
        if frame.code == NUMERICS:
            return self._observer.observe(frame.payload, now)
        if frame.code == WAVE:
            return self._observer.observe_wave(frame.payload), []
        if frame.code == IDENTITY:
            return self._observer.identify(frame.payload)
        # Some of the others hold the patient's id: what they say is not kept.
        return [], [Fault("unknown_record", str(frame.code))]

    def _finish(self, now: float) -> Output:
        stale_at = self._last_frame + self._stale_after_s
        if now >= stale_at and not self._has_left and self._mds.connection != "stale":
            self._observations += self._mds.link("stale", "silence")
            self._observer.forget()
            if self._alive_at is not None:  # it spoke, and has fallen silent: it is enabled again
                self._asker.restart(now)
                self._alive_at = None
        self._asker.tick(now)
        send, faults = self._asker.take()
        if self._alive_at is not None and now >= self._alive_at:
            self._alive_at = now + ALIVE_S
            send += ALIVE
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
        due = [at for at in (self._asker.wake_at(), self._alive_at) if at is not None]
        if self._mds.connection != "stale" and not self._has_left:
            due.append(stale_at)
        if self._framer.is_inside:
            due.append(self._last_heard + PATIENCE_S)
        return min(due, default=None)
