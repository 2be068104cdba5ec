"""The dialogue with the ComDevice: one request at a time, a word for each block, and the pauses between.

    ALIVE ──▶ bedId ──▶ VERSION ──▶ MEM:GET ──▶ block (ETB) ─0.1 s▶ ACK ──▶ … block (ETX) ─0.1 s▶ ACK ─0.5 s▶ MEM:GET
                                       │ damaged block: NAK 3.5 s later, twice at most
                                       │ nothing for 10 s: once more; then a rest of 3, 10, 30, 60 s, and ALIVE

ACK says that the box has the block, so it is not sent before the block is committed: the driver hands out what it
read at once, with `refusal`, and the ACK when its 0.1 s are over. A driver whose observations were refused is thrown
away, and its ACK with it; the box says NAK. B.Braun, Technical Interface Specification BCC 3.25/3.26, sections on
requests and timing.
"""

import re
from collections import deque
from typing import Literal

from msgspec import Struct

from drivers.asking import MINUTE_S, Asker, Manners, Question
from drivers.bbraun_bcc.frames import ACK, NAK, Block
from drivers.bbraun_bcc.options import Options
from drivers.contract import Fault

ALIVE, VERSION, GET = "ADMIN:ALIVE", "ADMIN:VERSION", "MEM:GET"
FIRST_BED = "1"
"""The bedId of the first request; the answer tells the real one, and any other is an error."""
ACK_S = 0.1
NAK_S = 3.5
"""Bytes that could not be verified end the sending for 3 s (law 3); NAK before that would not leave the box."""
SPACING_S = 0.5
"""From the ACK of a last block to the next request."""
QUIET_S = 3.0
"""Before the first word: where the disk refuses every block, the box begins anew each time, and must not hurry."""
MAX_BLOCKS = 73
"""Three pillars of 24 slots, and the ComDevice."""
MAX_NAKS = 2
REPLIES_A_MINUTE = 320
MANNERS = Manners(patience_s=10.0, longest_s=120.0, spacing_s=SPACING_S, repeats=1, per_minute=40)
"""A full rack answers in 73 blocks, each acknowledged."""
_SAFE_BED = re.compile(r"[A-Za-z0-9_.-]{1,16}", re.ASCII)
"""What may stand in a request: nothing that could end a field of it. Longer names have not been seen."""


class _Reply(Struct, frozen=True):
    frame: bytes
    at: float
    then: Literal["answered", "extend", "wait"]


def request(bed: str, command: str, *, stuffing: bool) -> bytes:
    """A request as it goes over the line."""
    return Block(f"{bed}/1/1>{command}".encode()).to_bytes(stuffing=stuffing)


class Link:
    """What is asked, what is acknowledged, and when."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._asker = Asker(MANNERS)
        self._reply: _Reply | None = None
        self._replied: deque[float] = deque(maxlen=REPLIES_A_MINUTE)
        self._out = bytearray()
        self._faults: list[Fault] = []
        self._has_version = True
        """Until it was asked for in vain."""
        self._blocks = self._naks = 0
        self._has_declined = self._is_named = False
        self.cycle: set[str] = set()
        """Slots that the present MEM:GET has told of."""

    @property
    def asked(self) -> str:
        """The request that waits for its answer."""
        return self._asker.asked

    def start(self, now: float) -> None:
        """The port has just opened: a moment of quiet, then ALIVE."""
        self._reply, self._has_version = None, True
        self._out.clear()
        alive = Question(ALIVE, request(FIRST_BED, ALIVE, stuffing=self._options.stuffing))
        self._asker.begin((alive,), (), now + QUIET_S)

    def stop(self) -> None:
        """Nothing is said any more; the protocol has no goodbye."""
        self._reply = None
        self._asker.halt()

    def name(self, bed: str, now: float) -> bool:
        """The ALIVE answer told the bedId: everything further is asked with it, if it may stand in a request."""
        if not _SAFE_BED.fullmatch(bed):
            self._faults.append(Fault("bed_id", str(len(bed))))
            return False
        if self._has_version and not self._is_named:
            self._asker.add(Question(VERSION, self._request(bed, VERSION)))
        self._is_named = True
        self._asker.plan(Question(GET, self._request(bed, GET), self._options.poll_s), now)
        return True

    def _request(self, bed: str, command: str) -> bytes:
        return request(bed, command, stuffing=self._options.stuffing)

    def accept(self, now: float, *, has_more: bool = False) -> None:
        """A good block that answers what was asked: ACK in a moment; the last one ends the request."""
        if self._reply is not None and self._reply.then == "answered":
            return  # it ended already: the same block twice
        self._blocks += 1
        self._asker.extend(now)
        if self._blocks > MAX_BLOCKS:
            self._faults.append(Fault("too_many_blocks"))
            return
        self._reply = _Reply(ACK, now + ACK_S, "extend" if has_more else "answered")

    def decline(self, now: float) -> None:
        """A good block that says no: ACK in a moment, once; asked again when the patience is over."""
        if self.asked == VERSION:
            self._has_version = False
            self._reply = _Reply(ACK, now + ACK_S, "answered")
        elif self.asked and not self._has_declined:
            self._has_declined = True
            self._reply = _Reply(ACK, now + ACK_S, "wait")

    def damaged(self, now: float) -> None:
        """A block came that could not be verified: NAK after a rest, so that the device sends it again."""
        if self.asked and self._reply is None and self._naks < MAX_NAKS:
            self._naks += 1
            self._asker.extend(now)
            self._reply = _Reply(NAK, now + NAK_S, "wait")

    def reply(self, now: float) -> None:
        """What is due to be said to a block."""
        due, reply = self._reply_at(), self._reply
        if reply is None or due is None or now < due:
            return
        self._reply = None
        self._replied.append(now)
        self._out += reply.frame
        if reply.then == "answered":
            self._asker.answered(now)
        elif reply.then == "extend":
            self._asker.extend(now)

    def _reply_at(self) -> float | None:
        if self._reply is None:
            return None
        is_full = len(self._replied) == REPLIES_A_MINUTE
        return max(self._reply.at, self._replied[0] + MINUTE_S if is_full else 0.0)

    def tick(self, now: float) -> None:
        """Replies, time-outs, and at most one request."""
        self.reply(now)
        if self._reply is None:
            self._asker.tick(now)

    def take(self) -> tuple[bytes, list[Fault]]:
        """What is to be sent and what was met, once."""
        asked, faults = self._asker.take()
        if asked:  # a request, new or again: the device begins with pump 1
            self._blocks = self._naks = 0
            self._has_declined = self._is_named = False
            self.cycle = set()
        if Fault("timeout", VERSION) in faults:
            self._has_version = False
        out, faults = bytes(self._out) + asked, self._faults + faults
        self._out.clear()
        self._faults = []
        return out, faults

    def wake_at(self) -> float | None:
        """When `tick()` has something to do if nothing comes before."""
        return self._asker.wake_at() if self._reply is None else self._reply_at()
