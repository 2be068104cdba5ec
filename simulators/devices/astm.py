"""A laboratory analyzer that sends results by E1381-95 / LIS1-A, as the sender of every transfer.

    idle ──ENQ──▶ asking ──ACK──▶ sending: STX FN text (ETB|ETX) C1 C2 CR LF ──ACK──▶ next frame … EOT ──▶ idle
                    │ NAK: busy, wait 10 s        │ anything but ACK or EOT: the same frame again, six times at most
                    │ 15 s: EOT                   │ six failures, or 15 s without a word: EOT
                    ▼                             ▼
                  idle, later again             idle; the whole message again, later

Frame numbers begin at 1 in each transfer and count modulo 8. When both sides say ENQ the instrument wins: it asks
again after a second. How the models differ stands in `analyzer_messages.MODELS`, how they frame in `astm_frames`.

After a query (habit `query`) the host may say nothing, and the question is withdrawn; or send one message with no
tests in it: H and L only. Any other word from the host is in `illegal`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import ClassVar, Literal

from simulators.devices.analyzer_messages import HABITS, PROFILES, Maker, Model, is_whole, results_in
from simulators.devices.astm_frames import (
    ACK,
    CHECKSUMS,
    ENQ,
    EOT,
    FRAME_ENDS,
    FRAME_TEXT_LIMIT,
    FRAMINGS,
    NAK,
    HostTransfer,
    Style,
    checksum,
    frame,
    frames_of,
    renumbered,
    with_bad_checksum,
)
from simulators.devices.lab_results import HISTORY_KEPT, Result, Told, chosen
from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Option, Simulator

__all__ = ["ACK", "ENQ", "EOT", "FRAME_TEXT_LIMIT", "NAK", "Astm", "Delivery", "checksum", "frame", "frames_of"]

TRIES = 6
CONTENTION_S = 1.0
INTERRUPT_S = 15.0
RECEIVER_S = 30.0
QUEUE_LIMIT = 1000
BACKLOG_S = 3600.0
"""Attempts longer ago than this are skipped when nobody has turned the clock: nobody would have answered."""


class Delivery:
    """One message and what became of it."""

    def __init__(self, message: bytes, kind: str = "new") -> None:
        self.message = message
        self.kind = kind
        """new, one of the habits of `analyzer_messages`, or cancel."""
        self.is_whole = is_whole(message)
        """No: it was broken off by the analyzer, and its results may never be final."""
        self.results: tuple[Result, ...] = results_in(message)
        self.status: Literal["waiting", "delivered", "aborted"] = "waiting"
        """`aborted`: the last attempt failed; it turns `delivered` when a repetition succeeds."""
        self.attempts = 0

    def __repr__(self) -> str:
        return f"Delivery({self.kind}, {self.status}, attempts={self.attempts}, results={len(self.results)})"


class Astm(Simulator):
    """The analyzer's side of E1381; over a serial line, as TCP client or as TCP server."""

    NAME: ClassVar[str] = "astm"
    DESCRIPTION: ClassVar[str] = "laboratory analyzers of ten models, ASTM E1381/E1394, serial or TCP"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **COMMON_FAULTS,
            "two_in_one": "ENQ and the first frame leave in one write",
            "enq_mid_transfer": "ENQ instead of the next frame, then the message from its beginning",
            "lost_ack": "the first ACK of a frame is not understood: the frame is sent again",
            "frame_gap": "a frame whose number skips one",
        }
    )
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(COMMON_FAULTS) - {"two_in_one"}
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "model": Option("", "whose messages: " + " | ".join(PROFILES) + "; empty: what `profile` says"),
            "profile": Option("erba_xl", "the same, for those who know it by this name"),
            "habits": Option("", "all, or some of: " + ", ".join(HABITS)),
            "every_s": Option("10", "a new message each so many seconds"),
            "count": Option("", "stop after so many messages; empty: go on"),
            "framing": Option("", " | ".join(FRAMINGS) + "; empty: as the model does"),
            "checksum": Option("upper", " | ".join(CHECKSUMS) + ": its hex digits"),
            "frame_end": Option("crlf", " | ".join(FRAME_ENDS) + ": what ends a frame"),
            "eot": Option("yes", "no: nothing ends a transfer but the next ENQ"),
            "reply_timeout_s": Option("15", "how long the analyzer waits for an answer"),
            "busy_wait_s": Option("10", "how long it waits after NAK to its ENQ"),
            "repeat_after_s": Option("15", "how long it waits before it repeats an aborted message"),
            "attempts": Option("0", "give a message up after so many attempts; 0: never"),
            "honour_interrupt": Option("no", "yes: EOT from the box stops the transfer for 15 seconds"),
            "query_wait_s": Option("30", "how long it waits for orders before it withdraws its question"),
            "started": Option("20260101080000", "what the analyzer's clock shows when it is switched on"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        profile = self.choice("model", ("", *PROFILES)) or self.choice("profile", PROFILES)
        self._maker = Maker(profile, seed, chosen(self.options["habits"], HABITS, self.NAME))
        self._framing = self.choice("framing", ("", *FRAMINGS)) or self._maker.model.framing
        self._style = Style(self.choice("checksum", CHECKSUMS), self.choice("frame_end", tuple(FRAME_ENDS)))
        self._says_eot = self.choice("eot", ("yes", "no")) == "yes"
        self._every_s = self.seconds("every_s")
        self._left = int(self.seconds("count")) if self.options["count"] else None
        self._attempts = int(self.seconds("attempts"))
        self._honours_interrupt = self.choice("honour_interrupt", ("yes", "no")) == "yes"
        self._started = datetime.strptime(self.options["started"], "%Y%m%d%H%M%S")  # noqa: DTZ007 - a device's clock
        self.sent: list[Result] = []
        """Results of messages whose every frame was acknowledged, in that order; none of a broken-off message."""
        self.history: deque[Told] = deque(maxlen=HISTORY_KEPT)
        """The same message by message, and the broken-off ones."""
        self.deliveries: list[Delivery] = []
        self.aborts = 0
        self.interrupts = 0
        self.unexpected = 0
        """ACK or NAK that answered nothing."""
        self.answers: list[bytes] = []
        """What the host said to a query, when that was nothing but H and L."""
        self._host: HostTransfer | None = None
        self._asked_until: float | None = None
        """Until when a question waits for its answer."""
        self._queue: deque[Delivery] = deque()
        self._state: Literal["idle", "asking", "sending", "receiving"] = "idle"
        self._frames: list[bytes] = []
        self._index = 0
        self._failures = 0
        self._replies_due = 0
        self._is_enq_in_reply = False
        self._is_accepted = False
        self._has_ignored_ack = False
        self._is_interrupted = False
        self._born_at = 0.0
        self._skip_to = 0.0
        self._latest = 0.0
        """When it was last looked at: it cannot ask before that."""
        self._timer = 0.0
        self._quiet_until = 0.0
        self._message_at = 0.0

    @property
    def model(self) -> Model:
        """How it writes and frames."""
        return self._maker.model

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

    def _advance(self, now: float) -> None:
        self._skip_to = now - BACKLOG_S
        super()._advance(now)
        self._latest = now

    def _due(self) -> float | None:
        moments = []
        if self._left != 0 and len(self._queue) < QUEUE_LIMIT:
            moments.append(self._message_at)
        if self._asked_until is not None:
            moments.append(self._asked_until)
        if self._state != "idle":
            moments.append(self._timer)
        elif self._queue and self._is_linked:
            moments.append(max(self._quiet_until, self._latest))
        return min(moments, default=None)

    def _tick(self, now: float) -> None:
        if self._left != 0 and self._message_at <= now and len(self._queue) < QUEUE_LIMIT:
            self._make(now)
        elif self._asked_until is not None and self._asked_until <= now:
            self._withdraw(now)
        elif self._state == "receiving":
            self._host = None
            self._to_idle(now)
        elif self._state != "idle":
            self._give_up(now)
        elif self._queue and self._is_linked and now < self._skip_to:
            self._quiet_until = self._skip_to
        elif self._queue and self._is_linked:
            self._ask(now)

    def _make(self, now: float) -> None:
        self._message_at = now + max(self._every_s, 0.001)
        self._quiet_until = max(self._quiet_until, now)
        if self._left is not None:
            self._left -= 1
        sent = self._started + timedelta(seconds=int(now - self._born_at))
        finished = sent - timedelta(seconds=self._rng.randint(1, 3))
        written = self._maker.write(f"{finished:%Y%m%d%H%M%S}", f"{sent:%Y%m%d%H%M%S}")
        delivery = Delivery(written.data, written.kind)
        self._queue.append(delivery)
        self.deliveries.append(delivery)

    def _withdraw(self, now: float) -> None:
        """Nobody has answered the question."""
        self._asked_until = None
        self._quiet_until = max(self._quiet_until, now)
        delivery = Delivery(self._maker.query(is_cancel=True), "cancel")
        self._queue.append(delivery)
        self.deliveries.append(delivery)

    def _thaw(self, now: float) -> None:
        if self._state != "idle":
            self._timer = max(self._timer, now)
        self._quiet_until = max(self._quiet_until, now)

    def _reboot(self, now: float) -> None:
        self._asked_until = self._host = None
        self._to_idle(now)

    def connected(self, now: float) -> None:
        """A fresh connection: whatever was under way begins again."""
        super().connected(now)
        self._to_idle(now)

    def disconnected(self, now: float) -> None:
        """The transfer under way has failed."""
        super().disconnected(now)
        self._host = None
        if self._state in ("asking", "sending"):
            self._fail(now)
        self._to_idle(now)

    # -- sending ---------------------------------------------------------------------------------------------------

    def _ask(self, now: float) -> None:
        self._state = "asking"
        self._frames = []
        self._index = self._failures = 0
        self._is_interrupted = False
        self._queue[0].attempts += 1
        self._replies_due = 1
        self._timer = now + self.seconds("reply_timeout_s")
        if self._strikes("two_in_one"):
            self._cut()
            self._line.put(bytes([ENQ]) + self._frames[0], now)
            self._state, self._replies_due, self._is_enq_in_reply = "sending", 2, True
            self._is_accepted = False
        else:
            self._line.put(bytes([ENQ]), now)

    def _cut(self) -> None:
        """Make frames of the message; only now, for one of 20 kB takes its time."""
        self._frames = frames_of(self._queue[0].message, self._framing, self._style)

    def _send(self, now: float) -> None:
        if self._index and self._strikes("enq_mid_transfer"):
            self._ask(now)
            return
        self._state = "sending"
        self._is_accepted = False
        self._timer = now + self.seconds("reply_timeout_s")
        whole = self._frames[self._index]
        if self._strikes("frame_gap"):
            self._line.put(renumbered(whole, 1, self._style), now)
            self._replies_due = 1
            return
        # Two copies on the line get two answers; the first must not pass for the answer to the next frame.
        self._replies_due = max(1, self._emit(whole, now).good)

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
            if self._host is not None:
                self._hear_host(self._host, byte, now)
                continue
            if byte == ENQ and self._asked_until is not None:
                self._hear_host_ask(now)
                continue
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

    def _hear_host_ask(self, now: float) -> None:
        """The host has an answer to the question; the instrument's own transfer goes before it."""
        if self._state == "asking":
            self._to_idle(now, CONTENTION_S)
            self._queue[0].attempts -= 1
        elif self._state == "idle":
            self._state, self._host = "receiving", HostTransfer()
            self._timer = now + RECEIVER_S
            self._line.put(bytes([ACK]), now)
        else:
            self.illegal.append(bytes([ENQ]))

    def _hear_host(self, host: HostTransfer, byte: int, now: float) -> None:
        self._line.put(host.hear(byte), now)
        self._timer = now + RECEIVER_S
        if not host.is_over:
            return
        self._host = self._asked_until = None
        kinds = [record[:1] for record in host.message.split(b"\r") if record]
        if host.junk or kinds != [b"H", b"L"]:
            self.illegal.append(host.junk + host.message)
        else:
            self.answers.append(host.message)
        self._to_idle(now)

    def _hear_answer_to_enq(self, byte: int, now: float) -> None:
        if byte == ACK:
            self._cut()
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
        if self._says_eot:
            self._line.put(bytes([EOT]), now)
        delivery = self._queue.popleft()
        delivery.status = "delivered"
        if delivery.is_whole:
            self.sent.extend(delivery.results)
        self.history.append(Told(now, delivery.kind, delivery.results, delivery.is_whole))
        if delivery.kind == "query":
            self._asked_until = now + self.seconds("query_wait_s")
        self._to_idle(now, INTERRUPT_S if self._is_interrupted and self._honours_interrupt else 0.0)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return with_bad_checksum(frame)
