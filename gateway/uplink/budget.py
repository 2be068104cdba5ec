"""Bytes per hour on a paid link: a bucket that fills evenly. Pure: `now` is monotonic seconds."""

HOUR_S = 3600.0
SMALLEST_PER_HOUR = 1 << 20
BURST_SHARE = 60
BURST_BYTES = 128 << 10
"""The bucket holds a minute's worth, at least this; the rest of the hour's bytes flow in evenly.

So no hour, whenever it begins, sees more than the budget, and live data never wait for what history has used up.
"""
RESERVE = 4
LATELY_S = 600.0

IP_SEGMENT_BYTES = 1400
SEGMENT_COST = 52
"""IPv4 and TCP with time stamps, RFC 9293 and 7323."""
PUBLISH_COST = 14
"""MQTT 5.0 section 3.3: fixed header, two lengths, packet id, property length and content type."""
RECORD_COST = 22
"""TLS 1.3, RFC 8446 section 5.2: header, content type, tag."""
CONFIRM_COST = 78
"""PUBACK in its own record and segment."""


def wire_bytes(topic: str, content_type: str, payload: int) -> int:
    """What a publication costs on the link with everything around it, its confirmation included: an estimate."""
    inside = payload + len(topic) + len(content_type) + PUBLISH_COST + RECORD_COST
    return inside + -(-inside // IP_SEGMENT_BYTES) * SEGMENT_COST + CONFIRM_COST


class Budget:
    """What may still be sent. It begins empty: a box that starts again and again gains nothing by it."""

    def __init__(self, per_hour: int, now: float) -> None:
        self.per_hour = per_hour
        self.burst = min(per_hour // 4, max(per_hour // BURST_SHARE, BURST_BYTES))
        self.rate = (per_hour - self.burst) / HOUR_S
        """Bytes per second that flow in."""
        self._left, self._at = 0.0, now
        self._short_at: float | None = None
        self.spent = 0

    def left(self, now: float) -> float:
        """Bytes that may go now; negative after what could not be held back."""
        self._left = min(self.burst, self._left + max(0.0, now - self._at) * self.rate)
        self._at = max(self._at, now)
        return self._left

    def wait(self, now: float, size: int, *, is_urgent: bool = True) -> float:
        """Seconds until `size` bytes may go; 0: now. More than the bucket holds goes when it is full.

        What is not urgent leaves a part of it, enough for ten seconds at the budget's own rate.
        """
        kept = 0 if is_urgent else self.burst // RESERVE
        missing = min(size + kept, self.burst) - self.left(now)
        if missing <= 0:
            return 0.0
        self._short_at = now
        return missing / self.rate

    def spend(self, now: float, size: int) -> None:
        """They go. What must not wait may overdraw, by an hour's worth at most; the rest then waits for it."""
        self._left = max(self.left(now) - size, -float(self.per_hour))
        self.spent += size

    def is_short(self, now: float) -> bool:
        """Whether something had to wait for it lately."""
        return self._short_at is not None and now - self._short_at < LATELY_S
