"""The curve blocks of RADC, and the waveforms they make.

    81H phase       10H inspiration, 20H pause, 30H expiration: before the value that follows
    80H hi lo       absolute value, 0000 to 7EFE; 7EFF is a value the device does not have
    difference      82H … FFH is -126 … -1, 00H … 7EH is 0 … 126, from the value before of the same channel

Maquet, CIE reference manual 65 43 388_12, section on RADC. Channels follow each other in the order of their table.
After an interruption each begins with an absolute value again; a difference without one is no sample.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from drivers.contract import Fault
from drivers.framing.servo import ABSOLUTE, MISSING, PHASE
from drivers.observation import Mark, Vendor, Waveform
from drivers.servo_cie.channels import Channel

PHASES = {0x10: "inspiration", 0x20: "pause", 0x30: "expiration"}
WAVEFORM_US = 1_000_000
MAX_SAMPLES = 1000
"""In one waveform, where the interval is very short."""
_TOKEN = re.compile(rb"\x81.|\x80..|.", re.DOTALL)


class _Decoded(Struct):
    """One block, not yet believed: samples of each curve, and at which cycle each phase began."""

    samples: list[list[int | None]]
    last: list[int | None]
    marks: list[Mark]


class CurveStream:
    """The curves of one stream since the last waveforms; bounded by one second and one block."""

    def __init__(self) -> None:
        self._channels: tuple[Channel, ...] = ()
        self._interval_us = 0
        self._full = MAX_SAMPLES
        self._start = 0
        self._empty()
        self.interrupt()

    def _empty(self) -> None:
        self._samples: list[list[int | None]] = [[] for _ in self._channels]
        self._marks: list[Mark] = []

    def configure(self, channels: Sequence[Channel], interval_us: int) -> None:
        """The curves of the table, in its order; numbering begins anew."""
        self._channels, self._interval_us = tuple(channels), interval_us
        self._full = min(MAX_SAMPLES, max(1, WAVEFORM_US // interval_us)) if interval_us else MAX_SAMPLES
        self._start = 0
        self._empty()
        self.interrupt()

    def interrupt(self) -> None:
        """Something stood between two blocks: the next differences have nothing to differ from."""
        self._last: list[int | None] = [None] * len(self._channels)

    @property
    def has_samples(self) -> bool:
        """Whether a waveform has begun."""
        return bool(self._samples and self._samples[0])

    def add(self, data: bytes, device_time: str) -> tuple[list[Waveform], list[Fault]]:
        """The values of one verified block: all of them, or none where the channels do not come out even."""
        decoded = self._decode(data) if self._channels else None
        if decoded is None:
            self.interrupt()
            return [], [Fault("curve_layout" if self._channels else "curve_unconfigured")]
        begun = len(self._samples[0])
        for samples, new in zip(self._samples, decoded.samples, strict=True):
            samples.extend(new)
        self._marks += [Mark(begun + mark.at, mark.event) for mark in decoded.marks]
        self._last = decoded.last
        waves: list[Waveform] = []
        while len(self._samples[0]) >= self._full:
            waves += self._take(self._full, device_time)
        return waves, []

    def lose(self, values: int, device_time: str) -> list[Waveform]:
        """A block was refused whole: what came before it, and a hole of about its length in the numbering."""
        before = self.flush(device_time)
        self.interrupt()
        if self._channels:
            self._start += max(1, values // len(self._channels))
        return before

    def flush(self, device_time: str) -> list[Waveform]:
        """What came since the last waveforms."""
        return self._take(len(self._samples[0]), device_time) if self.has_samples else []

    def _decode(self, data: bytes) -> _Decoded | None:
        size = len(self._channels)
        decoded = _Decoded([[] for _ in range(size)], list(self._last), [])
        at = 0
        for token in _TOKEN.findall(data):
            if token[0] == PHASE:
                decoded.marks.append(Mark(at // size, PHASES[token[1]]))
                continue
            channel, before = at % size, decoded.last[at % size]
            value: int | None
            if token[0] == ABSOLUTE:
                value = token[1] << 8 | token[2]
            else:
                change = token[0] - 0x100 if token[0] > ABSOLUTE else token[0]
                value = None if before is None else before + change
            if value is not None and not 0 <= value < MISSING:
                value = None
            decoded.last[channel] = value
            decoded.samples[channel].append(value)
            at += 1
        return decoded if at and at % size == 0 else None

    def _take(self, count: int, device_time: str) -> list[Waveform]:
        marks = tuple(mark for mark in self._marks if mark.at < count)
        waves = [
            self._waveform(channel, tuple(samples[:count]), marks, device_time)
            for channel, samples in zip(self._channels, self._samples, strict=True)
        ]
        self._samples = [samples[count:] for samples in self._samples]
        self._marks = [Mark(mark.at - count, mark.event) for mark in self._marks if mark.at >= count]
        self._start += count
        return waves

    def _waveform(
        self, channel: Channel, samples: tuple[int | None, ...], marks: tuple[Mark, ...], device_time: str
    ) -> Waveform:
        has_any = any(sample is not None for sample in samples)
        metric = channel.metric
        return Waveform(
            metric=metric.mdc,
            code=metric.mdc_code,
            vendor=Vendor(metric.code),
            validity="valid" if has_any else "not_available",
            reason="" if has_any else "missing",
            device_time=device_time,
            samples=samples,
            interval_us=self._interval_us,
            scale=channel.gain or Decimal(1),  # a channel without a gain is not configured
            offset=Decimal(0) - channel.offset,
            unit=metric.unit,
            category=metric.category,
            start=self._start,
            marks=marks,
        )
