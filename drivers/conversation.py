"""What every driver of one port has in common: link, silence, counting, one output a step.

A subclass reads bytes in `_receive` and calls `_verified` for each frame that it believes. `Listening` is for a
device that speaks unasked, `Asking` for one that is asked; what is asked, and what an answer means, the driver knows.
"""

from collections.abc import Sequence

from drivers.asking import Asker, Manners, Question
from drivers.contract import NOISE, Fault, Output
from drivers.mds import Mds
from drivers.observation import AnyObservation
from drivers.profile import Profile


class Conversation:
    """One port of one device, from `start` to `stop`. See `drivers.contract.StreamDriver`."""

    def __init__(self, profile: Profile) -> None:
        self._mds = Mds()
        self._stale_after_s = profile.protocol.stale_after_s
        self._now = self._last_frame = 0.0
        self._is_open = self._in_noise = False
        self._observations: list[AnyObservation] = []
        self._faults: list[Fault] = []
        self._frames = 0

    def start(self, now: float) -> Output:
        """The port has just opened: nothing is remembered."""
        self._now = self._last_frame = now
        self._is_open, self._in_noise = True, False
        self._mds.restart()
        self._forget()
        return self._finish()

    def receive(self, data: bytes, now: float) -> Output:
        """Whole frames are read; the rest waits for more."""
        self._now = now
        self._receive(data)
        return self._finish()

    def wake(self, now: float) -> Output:
        """What time alone changes."""
        self._now = now
        return self._finish()

    def stop(self, now: float) -> Output:
        """The box leaves."""
        self._now = now
        self._leave()
        self._is_open = False
        self._observations += self._mds.link("disconnected", "stopped")
        return self._finish()

    # What a driver says for itself.

    def _forget(self) -> None:
        """Nothing that was read before counts any more."""
        raise NotImplementedError

    def _receive(self, data: bytes) -> None:
        """Read bytes."""
        raise NotImplementedError

    def _leave(self) -> None:
        """What is said and published last. Most protocols have no goodbye."""

    def _speak(self) -> bytes:
        """What is sent now."""
        return b""

    def _fall_silent(self) -> None:
        """Silence has just become stale."""
        self._observations += self._mds.link("stale", "silence")

    def _wake_times(self) -> list[float]:
        """When time alone changes something."""
        waits = self._stale_after_s and self._mds.connection != "stale"
        return [self._last_frame + self._stale_after_s] if waits else []

    # What a driver calls.

    def _verified(self, frames: int = 1) -> None:
        """Frames are believed. After `stop` they are only counted (an answer to the goodbye): see `_is_open`."""
        self._frames += frames
        self._last_frame, self._in_noise = self._now, False
        if self._is_open:
            self._observations += self._mds.link("connected")

    def _fault(self, fault: Fault) -> None:
        """Count a fault; a stretch of noise is one."""
        if fault.reason == NOISE:
            if self._in_noise:
                return
            self._in_noise = True
        self._faults.append(fault)

    def _finish(self) -> Output:
        is_silent = self._stale_after_s and self._now >= self._last_frame + self._stale_after_s
        if is_silent and self._is_open and self._mds.connection != "stale":
            self._fall_silent()
        send = self._speak()
        output = Output(
            send=send,
            observations=tuple(self._observations),
            faults=tuple(self._faults),
            wake_at=min(self._wake_times(), default=None) if self._is_open else None,
            frames=self._frames,
        )
        self._observations, self._faults, self._frames = [], [], 0
        return output


class Listening(Conversation):
    """A device that speaks unasked. Nothing is ever sent, and after `stop` nothing is read."""

    def receive(self, data: bytes, now: float) -> Output:
        """Whole frames are read; the rest waits for more."""
        return super().receive(data, now) if self._is_open else Output()

    def _fall_silent(self) -> None:
        super()._fall_silent()
        self._forget()


class Asking(Conversation):
    """A device that is asked: the set-up in order, then the plan, each at its period."""

    def __init__(
        self, profile: Profile, manners: Manners, setup: Sequence[Question] = (), plan: Sequence[Question] = ()
    ) -> None:
        super().__init__(profile)
        self._asker = Asker(manners)
        self._setup, self._plan = setup, plan

    def start(self, now: float) -> Output:
        """The port has just opened: nothing is remembered, and the first question goes."""
        self._asker.begin(self._setup, self._plan, now)
        return super().start(now)

    def stop(self, now: float) -> Output:
        """The questions end; a goodbye is said where there is one."""
        self._asker.halt()
        return super().stop(now)

    def _ask(self) -> None:
        """Time-outs, and at most one question."""
        self._asker.tick(self._now)

    def _speak(self) -> bytes:
        self._ask()
        send, faults = self._asker.take()
        self._faults += faults
        return send

    def _refuse(self, fault: Fault) -> None:
        """Count a fault; a refused answer is asked for again when the patience is over."""
        self._faults.append(fault)
        if fault.rejected:
            self._asker.refused(self._now)

    def _ask_at(self) -> float | None:
        """When there is something to ask again."""
        return self._asker.wake_at()

    def _wake_times(self) -> list[float]:
        at = self._ask_at()
        return super()._wake_times() if at is None else [at, *super()._wake_times()]
