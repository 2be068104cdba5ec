"""A laboratory analyzer that sends results by E1381-95 / LIS1-A, as the sender of every transfer.

    idle ──ENQ──▶ asking ──ACK──▶ sending: STX FN text (ETB|ETX) C1 C2 CR LF ──ACK──▶ next frame … EOT ──▶ idle
                    │ NAK: busy, wait 10 s        │ anything but ACK or EOT: the same frame again, six times at most
                    │ 15 s: EOT                   │ six failures, or 15 s without a word: EOT
                    ▼                             ▼
                  idle, later again             idle; the whole message again, later

Frame numbers begin at 1 in each transfer and count modulo 8. The checksum is the sum of the bytes from FN to ETB or
ETX, two upper-case hex digits. When both sides say ENQ the instrument wins: it asks again after a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import ClassVar, Literal

from simulators.devices.analyzer_messages import PROFILES, Maker, Result, results_in
from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Option, Simulator

STX, ETX, EOT, ENQ, ACK, NAK, ETB = 0x02, 0x03, 0x04, 0x05, 0x06, 0x15, 0x17
FRAME_TEXT_LIMIT = 240
TRIES = 6
CONTENTION_S = 1.0
INTERRUPT_S = 15.0
QUEUE_LIMIT = 1000
FRAMINGS = ("whole", "record", "split")


def checksum(data: bytes) -> bytes:
    """Two upper-case hex digits: the sum of `data` modulo 256."""
    return b"%02X" % (sum(data) & 0xFF)


def frame(number: int, text: bytes, is_last: bool = True) -> bytes:
    """One frame; `number` is taken modulo 8."""
    body = b"%d" % (number % 8) + text + bytes([ETX if is_last else ETB])
    return bytes([STX]) + body + checksum(body) + b"\r\n"


def frames_of(message: bytes, framing: str) -> list[bytes]:
    """A message as frames: `whole` in one; each `record` its own, cut at 240; or the message `split` at 240."""
    pieces = [message]
    if framing == "record":
        pieces = [record + b"\r" for record in message.removesuffix(b"\r").split(b"\r")]
    frames: list[bytes] = []
    for piece in pieces:
        step = len(piece) if framing == "whole" else FRAME_TEXT_LIMIT
        for start in range(0, len(piece), max(step, 1)):
            frames.append(frame(len(frames) + 1, piece[start : start + step], start + step >= len(piece)))
    return frames


class Delivery:
    """One message and what became of it."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.results: tuple[Result, ...] = results_in(message)
        self.status: Literal["waiting", "delivered", "aborted"] = "waiting"
        """`aborted`: the last attempt failed; it turns `delivered` when a repetition succeeds."""
        self.attempts = 0

    def __repr__(self) -> str:
        return f"Delivery({self.status}, attempts={self.attempts}, results={len(self.results)})"


class Astm(Simulator):
    """The analyzer's side of E1381; over a serial line, as TCP client or as TCP server."""

    NAME: ClassVar[str] = "astm"
    DESCRIPTION: ClassVar[str] = "laboratory analyzer, ASTM E1381/E1394 (Erba XL, Sysmex XP), serial or TCP"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **COMMON_FAULTS,
            "two_in_one": "ENQ and the first frame leave in one write",
            "enq_mid_transfer": "ENQ instead of the next frame, then the message from its beginning",
            "lost_ack": "the first ACK of a frame is not understood: the frame is sent again",
        }
    )
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(COMMON_FAULTS) - {"two_in_one"}
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "profile": Option("erba_xl", "whose messages: " + " | ".join(PROFILES)),
            "every_s": Option("10", "a new message each so many seconds"),
            "count": Option("", "stop after so many messages; empty: go on"),
            "framing": Option("", "whole | record | split; empty: as the maker does"),
            "reply_timeout_s": Option("15", "how long the analyzer waits for an answer"),
            "busy_wait_s": Option("10", "how long it waits after NAK to its ENQ"),
            "repeat_after_s": Option("15", "how long it waits before it repeats an aborted message"),
            "attempts": Option("0", "give a message up after so many attempts; 0: never"),
            "honour_interrupt": Option("no", "yes: EOT from the box stops the transfer for 15 seconds"),
            "started": Option("20260101080000", "what the analyzer's clock shows when it is switched on"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        profile = self.choice("profile", PROFILES)
        self._framing = self.choice("framing", ("", *FRAMINGS)) or "whole"
        self._maker = Maker(profile, seed)
        self._every_s = self.seconds("every_s")
        self._left = int(self.seconds("count")) if self.options["count"] else None
        self._attempts = int(self.seconds("attempts"))
        self._honours_interrupt = self.choice("honour_interrupt", ("yes", "no")) == "yes"
        self._started = datetime.strptime(self.options["started"], "%Y%m%d%H%M%S")  # noqa: DTZ007 - a device's clock
        self.sent: list[Result] = []
        """Results of messages whose every frame was acknowledged, in that order."""
        self.deliveries: list[Delivery] = []
        self.aborts = 0
        self.interrupts = 0
        self.unexpected = 0
        """ACK or NAK that answered nothing."""
        self._queue: deque[Delivery] = deque()
        self._state: Literal["idle", "asking", "sending"] = "idle"
        self._frames: list[bytes] = []
        self._index = 0
        self._failures = 0
        self._replies_due = 0
        self._is_enq_in_reply = False
        self._is_accepted = False
        self._has_ignored_ack = False
        self._is_interrupted = False
        self._born_at = 0.0
        self._timer = 0.0
        self._quiet_until = 0.0
        self._message_at = 0.0

    @property
    def is_finished(self) -> bool:
        """Everything that will ever be sent was delivered or given up."""
        return self._left == 0 and not self._queue

    def load(self, messages: Iterable[bytes]) -> list[Delivery]:
        """Queue ready messages (records with CR, H to L); own messages stop unless `count` asks for them."""
        deliveries = [Delivery(message) for message in messages]
        self._queue.extend(deliveries)
        self.deliveries.extend(deliveries)
        if not self.options["count"]:
            self._left = 0
        return deliveries

    # -- the clock -------------------------------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self._quiet_until = now
        self._message_at = now + min(self._every_s, 1.0)
        self._born_at = now

    def _due(self) -> float | None:
        moments = []
        if self._left != 0 and len(self._queue) < QUEUE_LIMIT:
            moments.append(self._message_at)
        if self._state != "idle":
            moments.append(self._timer)
        elif self._queue and self._is_linked:
            moments.append(self._quiet_until)
        return min(moments, default=None)

    def _tick(self, now: float) -> None:
        if self._left != 0 and self._message_at <= now and len(self._queue) < QUEUE_LIMIT:
            self._make(now)
        elif self._state != "idle":
            self._give_up(now)
        elif self._queue and self._is_linked:
            self._ask(now)

    def _make(self, now: float) -> None:
        self._message_at = now + max(self._every_s, 0.001)
        if self._left is not None:
            self._left -= 1
        sent = self._started + timedelta(seconds=int(now - self._born_at))
        finished = sent - timedelta(seconds=self._rng.randint(1, 3))
        delivery = Delivery(self._maker.message(f"{finished:%Y%m%d%H%M%S}", f"{sent:%Y%m%d%H%M%S}"))
        self._queue.append(delivery)
        self.deliveries.append(delivery)

    def _thaw(self, now: float) -> None:
        if self._state != "idle":
            self._timer = max(self._timer, now)
        self._quiet_until = max(self._quiet_until, now)

    def _reboot(self, now: float) -> None:
        self._to_idle(now)

    def connected(self, now: float) -> None:
        """A fresh connection: whatever was under way begins again."""
        super().connected(now)
        self._to_idle(now)

    def disconnected(self, now: float) -> None:
        """The transfer under way has failed."""
        super().disconnected(now)
        if self._state != "idle":
            self._fail(now)
        self._to_idle(now)

    # -- sending ---------------------------------------------------------------------------------------------------

    def _ask(self, now: float) -> None:
        self._state = "asking"
        self._frames = frames_of(self._queue[0].message, self._framing)
        self._index = self._failures = 0
        self._is_interrupted = False
        self._queue[0].attempts += 1
        self._replies_due = 1
        self._timer = now + self.seconds("reply_timeout_s")
        if self._strikes("two_in_one"):
            self._line.put(bytes([ENQ]) + self._frames[0], now)
            self._state, self._replies_due, self._is_enq_in_reply = "sending", 2, True
            self._is_accepted = False
        else:
            self._line.put(bytes([ENQ]), now)

    def _send(self, now: float) -> None:
        if self._index and self._strikes("enq_mid_transfer"):
            self._ask(now)
            return
        self._state = "sending"
        self._is_accepted = False
        self._timer = now + self.seconds("reply_timeout_s")
        # Two copies on the line get two answers; the first must not pass for the answer to the next frame.
        self._replies_due = max(1, self._emit(self._frames[self._index], now).good)

    def _give_up(self, now: float) -> None:
        """Terminate: EOT, and the whole message again later."""
        self._line.put(bytes([EOT]), now)
        self._fail(now)
        self._to_idle(now, self.seconds("repeat_after_s"))

    def _fail(self, now: float) -> None:
        delivery = self._queue[0]
        delivery.status = "aborted"
        self.aborts += 1
        if self._attempts and delivery.attempts >= self._attempts:
            self._queue.popleft()

    def _to_idle(self, now: float, quiet_s: float = 0.0) -> None:
        self._state = "idle"
        self._is_enq_in_reply = False
        self._has_ignored_ack = False
        self._quiet_until = now + quiet_s

    # -- what the box says -----------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        for byte in data:
            if byte not in (ACK, NAK, EOT):
                self.illegal.append(bytes([byte]))
            if byte == ENQ and self._state == "asking":
                self._to_idle(now, CONTENTION_S)  # contention: the instrument wins by asking again
                self._queue[0].attempts -= 1
            elif self._state == "asking":
                self._hear_answer_to_enq(byte, now)
            elif self._state == "sending":
                self._hear_answer_to_frame(byte, now)
            elif byte in (ACK, NAK):
                self.unexpected += 1

    def _hear_answer_to_enq(self, byte: int, now: float) -> None:
        if byte == ACK:
            self._send(now)
        elif byte == NAK:
            self._queue[0].attempts -= 1
            self._to_idle(now, self.seconds("busy_wait_s"))

    def _hear_answer_to_frame(self, byte: int, now: float) -> None:
        if self._is_enq_in_reply:
            self._is_enq_in_reply = False
            self._replies_due -= 1
            if byte == NAK:
                self._line.put(bytes([EOT]), now)
                self._to_idle(now, self.seconds("busy_wait_s"))
            return
        if byte in (ACK, EOT):
            if not self._has_ignored_ack and self._strikes("lost_ack"):
                self._has_ignored_ack = True
            else:
                self._is_accepted = True
                self._is_interrupted = self._is_interrupted or byte == EOT
        self._replies_due -= 1
        if self._replies_due > 0:
            return
        if self._is_accepted:
            self._go_on(now)
        else:
            self._repeat_frame(now)

    def _repeat_frame(self, now: float) -> None:
        self._failures += 1
        if self._failures >= TRIES:
            self._give_up(now)
        else:
            self._send(now)

    def _go_on(self, now: float) -> None:
        """The frame was accepted."""
        self._index += 1
        self._failures = 0
        self._has_ignored_ack = False
        if self._is_interrupted:
            self.interrupts += 1
        if self._index == len(self._frames):
            self._finish(now)
        elif self._is_interrupted and self._honours_interrupt:
            self._line.put(bytes([EOT]), now)
            self._fail(now)
            self._to_idle(now, INTERRUPT_S)
        else:
            self._is_interrupted = False
            self._send(now)

    def _finish(self, now: float) -> None:
        self._line.put(bytes([EOT]), now)
        delivery = self._queue.popleft()
        delivery.status = "delivered"
        self.sent.extend(delivery.results)
        self._to_idle(now, INTERRUPT_S if self._is_interrupted and self._honours_interrupt else 0.0)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        wrong = (int(frame[-4:-2], 16) + 1) & 0xFF
        return frame[:-4] + b"%02X" % wrong + frame[-2:]
