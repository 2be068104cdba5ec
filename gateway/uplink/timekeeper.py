"""Asks the platform for the time, and believes only the signed answer to the last question."""

import secrets
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from drivers.observation import ClockQuality
from gateway.clock import Fix
from gateway.floor import LATEST_S
from gateway.uplink.envelope import Malformed
from gateway.uplink.mqtt import Message
from gateway.uplink.schema import JSON_TYPE, encode
from gateway.uplink.time import TimeRequest, decode_time_answer, parse_utc, verify_time
from gateway.uplink.topics import time_answer_topic, time_topic

ROUND_TRIP_S = 10.0
"""A slower answer says too little about the time."""
ASK_S = 3600.0
"""A known time is asked again: the oscillator drifts, and each answer is a point of the platform's clock map."""
ASK_AGAIN_S = 60.0


class Timepiece(Protocol):
    """What is needed of the box's clock (gateway/clock.py)."""

    @property
    def quality(self) -> ClockQuality: ...  # noqa: D102
    @property
    def proven_s(self) -> float: ...  # noqa: D102

    def mono(self) -> float:
        """Seconds since the machine started."""
        ...

    def wall(self) -> float:
        """The best time there is, in seconds since 1970."""
        ...

    def accept(self, fix: Fix) -> bool:
        """Take a signed time, unless there is a better one."""
        ...


class NoTime(Exception):
    """An answer that sets no clock; `reason` is one machine word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Timekeeper:
    """Asks, and believes only the answer to the last question."""

    def __init__(self, site: str, gateway: str, clock: Timepiece) -> None:
        self._site, self._gateway, self.clock = site, gateway, clock
        self._nonce, self._asked_at = "", 0.0
        self._next_at = float("-inf")
        self.recheck: Callable[[], None] = lambda: None
        """Whether the connection that stands is good by the new time too; raises the leaf that says no."""
        self.refused: Counter[str] = Counter()
        """Answers refused, by reason."""

    def is_due(self) -> bool:
        """Whether to ask now."""
        return self.clock.mono() >= self._next_at

    def ask(self) -> Message:
        """A new question; the one before can no longer be answered."""
        self._nonce, self._asked_at = secrets.token_hex(16), self.clock.mono()
        self._next_at = self._asked_at + ASK_AGAIN_S
        return Message(time_topic(self._site, self._gateway), encode(TimeRequest(self._nonce)), JSON_TYPE)

    def hear(self, key: bytes, topic: str, payload: bytes) -> None:
        """Set the clock by an answer. Raises `NoTime`, counted, and what `recheck` raises."""
        try:
            fix = self._judge(key, topic, payload)
        except NoTime as refused:
            self.refused[refused.reason] += 1
            raise
        self._nonce, self._next_at = "", fix.mono_s + ASK_S
        if self.clock.accept(fix):
            self.recheck()

    def _judge(self, key: bytes, topic: str, payload: bytes) -> Fix:
        now = self.clock.mono()
        if topic != time_answer_topic(self._site, self._gateway):
            raise NoTime("topic")
        try:
            answer = decode_time_answer(payload)
        except Malformed as error:
            raise NoTime(error.reason) from error
        if not key or not verify_time(key, self._site, self._gateway, answer):
            raise NoTime("mac")
        if not self._nonce or answer.nonce != self._nonce:
            raise NoTime("nonce")
        trip_s = now - self._asked_at
        if trip_s > ROUND_TRIP_S:
            raise NoTime("slow")
        try:
            utc_s = parse_utc(answer.utc)
        except Malformed as error:
            raise NoTime(error.reason) from error
        if utc_s < self.clock.proven_s:
            raise NoTime("floor")
        if utc_s >= LATEST_S:
            raise NoTime("implausible")
        return Fix(now, utc_s + trip_s / 2, 1 + round(trip_s * 500))  # it was signed somewhen within the round trip
