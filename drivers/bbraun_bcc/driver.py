"""B.Braun BCC: the box asks the ComDevice of a rack, which answers with one block for each pump.

    box ─▶ ┌─────┬────────┬─────┬──────────────────────┬─────┬──────────┬─────┐
           │ SOH │ length │ STX │ bedId/1/1>command    │ ETX │ checksum │ EOT │
           └─────┴────────┴─────┴──────────────────────┴─────┴──────────┴─────┘
           ┌─────┬────────┬─────┬──────────────────────┬─────┬──────────┬─────┐ ─▶ box
           │ SOH │ length │ STX │ bedId/1/1>quadruples │ ETX │ checksum │ EOT │   ETB instead: more blocks follow
           └─────┴────────┴─────┴──────────────────────┴─────┴──────────┴─────┘
    box ─▶ ACK 06 for each good block, 0.1 s later; NAK 15 for a damaged one, or where it could not be committed

B.Braun, Technical Interface Specification BCC 3.25/3.26 (I0022_000030, version 4.0, 2019), sections on frames,
requests and parameters. frames.py takes the stream apart, records.py the blocks; link.py keeps the dialogue;
observe.py makes observations; which parameters there are is in profile.toml.
"""

from typing import ClassVar

from msgspec import Struct

from drivers.bbraun_bcc import link as bcc
from drivers.bbraun_bcc.frames import NAK, Block, Framer
from drivers.bbraun_bcc.observe import Rack
from drivers.bbraun_bcc.options import Options as BccOptions
from drivers.bbraun_bcc.records import SYSTEM, Answer, Quadruple, parse_answer
from drivers.contract import Fault, Output
from drivers.observation import AnyObservation
from drivers.profile import Profile

_ACKNOWLEDGE, _ERROR = "GNACK", "GNERR"


class BbraunBccDriver:
    """One ComDevice and the pumps behind it. See `drivers.contract.StreamDriver`."""

    name: ClassVar[str] = "bbraun_bcc"
    version: ClassVar[int] = 1
    Options: ClassVar[type[Struct]] = BccOptions

    def __init__(self, profile: Profile, options: BccOptions) -> None:
        self._framer = Framer(stuffing=options.stuffing)
        self._link = bcc.Link(options)
        self._rack = Rack(profile)
        self._stale_after_s = profile.protocol.stale_after_s
        self._now = self._last_frame = 0.0
        self._bed = ""
        """As the first block told it; the answer to ALIVE may change it."""
        self._has_left = False
        self._promises = False
        """Observations of this step stand in a block that will be acknowledged."""
        self._observations: list[AnyObservation] = []
        self._faults: list[Fault] = []
        self._frames = 0

    def start(self, now: float) -> Output:
        """Forget what was half received; after a moment of quiet ask for the bedId."""
        self._framer.drop()
        self._rack.line.restart()
        self._rack.forget()
        self._bed, self._has_left, self._last_frame = "", False, now
        self._link.start(now)
        return self._finish(now)

    def receive(self, data: bytes, now: float) -> Output:
        """Whole blocks are read and acknowledged; the rest waits for more."""
        self._now = now
        self._link.reply(now)
        for item in self._framer.feed(data):
            if isinstance(item, Block):
                self._take(item)
            else:
                self._refuse(item)
        return self._finish(now)

    def wake(self, now: float) -> Output:
        """ACK, polls and time-outs."""
        return self._finish(now)

    def stop(self, now: float) -> Output:
        """The protocol has no goodbye; a block that was not acknowledged is sent again to whoever asks next."""
        self._link.stop()
        self._has_left = True
        self._observations += self._rack.line.link("disconnected", "stopped")
        return self._finish(now)

    def _finish(self, now: float) -> Output:
        is_silent = bool(self._stale_after_s) and now >= self._last_frame + self._stale_after_s
        if is_silent and not self._has_left and (stale := self._rack.line.link("stale", "silence")):
            self._observations += stale
            self._rack.forget()
        self._link.tick(now)
        send, faults = self._link.take()
        output = Output(
            send=send,
            observations=tuple(self._observations),
            faults=(*self._faults, *faults),
            wake_at=self._wake_at(),
            frames=self._frames,
            refusal=NAK if self._promises and self._observations else b"",
        )
        self._observations, self._faults, self._frames, self._promises = [], [], 0, False
        return output

    def _wake_at(self) -> float | None:
        due = [at for at in (self._link.wake_at(),) if at is not None]
        if self._stale_after_s and self._rack.line.connection != "stale" and not self._has_left:
            due.append(self._last_frame + self._stale_after_s)
        return min(due, default=None)

    def _refuse(self, fault: Fault) -> None:
        self._faults.append(fault)
        if fault.rejected:
            self._link.damaged(self._now)

    def _take(self, block: Block) -> None:
        answer = parse_answer(block.info)
        if answer is None:
            self._refuse(Fault("layout", rejected=True))
            return
        told = {one.parameter: one for one in answer.quadruples if one.slot == SYSTEM}
        is_hello = _ACKNOWLEDGE in told and self._link.asked == bcc.ALIVE
        if not self._bed or is_hello:
            self._bed = answer.bed
        elif answer.bed != self._bed:
            self._faults.append(Fault("wrong_device"))
            return
        self._frames += 1
        self._last_frame = self._now
        if not self._has_left:
            self._observations += self._rack.line.link("connected")
        self._faults += [_error(one) for one in answer.quadruples if one.parameter == _ERROR]
        if _ERROR in told:
            self._link.decline(self._now)
        elif _ACKNOWLEDGE in told:
            self._greet(answer.bed, told[_ACKNOWLEDGE])
        elif len(answer.quadruples) == 1 and answer.quadruples[0].is_version:
            self._read_version(answer.quadruples[0])
        else:
            self._read_pumps(answer, has_more=block.has_more)

    def _greet(self, bed: str, acknowledge: Quadruple) -> None:
        """The answer to ALIVE: the ComDevice's name, with which everything else is asked."""
        was_asked = self._link.asked == bcc.ALIVE
        if acknowledge.value != "0":
            self._faults.append(_error(acknowledge))
            self._link.decline(self._now)
            return
        self._rack.line.device_time = acknowledge.time
        self._identify({"bed_id": bed})
        if was_asked:
            if self._link.name(bed, self._now):
                self._link.accept(self._now)
            else:
                self._link.decline(self._now)

    def _read_version(self, version: Quadruple) -> None:
        self._rack.line.device_time = version.time
        self._identify({"bcc": version.parameter})
        if self._link.asked == bcc.VERSION:
            self._link.accept(self._now)

    def _identify(self, more: dict[str, str]) -> None:
        same = self._rack.line.identity if self._rack.line.identity.get("bed_id", self._bed) == self._bed else {}
        self._observations += self._rack.line.identify({**same, **more})

    def _read_pumps(self, answer: Answer, *, has_more: bool) -> None:
        seen, faults, slots = self._rack.take([one for one in answer.quadruples if one.parameter != _ERROR])
        self._observations += seen
        self._faults += faults
        if self._link.asked != bcc.GET:
            return
        self._link.cycle |= slots
        self._promises = True
        self._link.accept(self._now, has_more=has_more)
        if not has_more:
            time = answer.quadruples[-1].time if answer.quadruples else ""
            self._observations += self._rack.miss(self._link.cycle, time)


def _error(told: Quadruple) -> Fault:
    """GNERR with its code; AutoProgramming and others have codes too, and the box never asks for those."""
    code = told.value or ""
    return Fault("device_error", code if len(code) <= 8 and code.isdecimal() and code.isascii() else "")
