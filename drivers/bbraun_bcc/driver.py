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

import msgspec

from drivers.bbraun_bcc import link as bcc
from drivers.bbraun_bcc.frames import NAK, Block, Framer
from drivers.bbraun_bcc.observe import Rack
from drivers.bbraun_bcc.options import Options as BccOptions
from drivers.bbraun_bcc.records import SYSTEM, Answer, Quadruple, parse_answer
from drivers.contract import Fault, Output
from drivers.conversation import Conversation
from drivers.profile import Profile

_ACKNOWLEDGE, _ERROR = "GNACK", "GNERR"


class BbraunBccDriver(Conversation):
    """One ComDevice and the pumps behind it.

    There is no goodbye: a block that was not acknowledged is sent again to whoever asks next.
    """

    name: ClassVar[str] = "bbraun_bcc"
    version: ClassVar[int] = 1
    Options: ClassVar[type[BccOptions]] = BccOptions

    def __init__(self, profile: Profile, options: BccOptions) -> None:
        super().__init__(profile)
        self._framer = Framer(stuffing=options.stuffing)
        self._link = bcc.Link(options)
        self._rack = Rack(profile)
        self._mds = self._rack.line
        self._bed = ""
        """As the first block told it; the answer to ALIVE may change it."""
        self._promises = False
        """Observations of this step stand in a block that will be acknowledged."""

    def _forget(self) -> None:
        self._framer.drop()
        self._rack.forget()
        self._bed = ""
        self._link.start(self._now)

    def _receive(self, data: bytes) -> None:
        self._link.reply(self._now)
        for item in self._framer.feed(data):
            if isinstance(item, Block):
                self._take(item)
            else:
                self._refuse(item)

    def _leave(self) -> None:
        self._link.stop()
        self._observations += self._rack.leave("stopped")

    def _fall_silent(self) -> None:
        super()._fall_silent()
        self._observations += self._rack.leave("silence")
        self._rack.forget()

    def _speak(self) -> bytes:
        self._link.tick(self._now)
        send, faults = self._link.take()
        self._faults += faults
        return send

    def _wake_times(self) -> list[float]:
        at = self._link.wake_at()
        return super()._wake_times() if at is None else [at, *super()._wake_times()]

    def _finish(self) -> Output:
        promises, self._promises = self._promises, False
        output = super()._finish()
        return msgspec.structs.replace(output, refusal=NAK) if promises and output.observations else output

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
        self._verified()
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
        self._mds.device_time = acknowledge.time
        self._identify({"bed_id": bed})
        if was_asked:
            if self._link.name(bed, self._now):
                self._link.accept(self._now)
            else:
                self._link.decline(self._now)

    def _read_version(self, version: Quadruple) -> None:
        self._mds.device_time = version.time
        self._identify({"bcc": version.parameter})
        if self._link.asked == bcc.VERSION:
            self._link.accept(self._now)

    def _identify(self, more: dict[str, str]) -> None:
        same = self._mds.identity if self._mds.identity.get("bed_id", self._bed) == self._bed else {}
        self._observations += self._mds.identify({**same, **more})

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
