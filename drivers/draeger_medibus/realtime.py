"""The real-time extension: 12-bit samples between the slow frames, and the waveforms they make.

    sync          │1101 ssss│            bit n set: a value of stream n + 1 follows (streams 1 … 4)
    sync command  │1100 cccc│1100 aaaa│
    value         │10 low six bits│10 high six bits│

Dräger, MEDIBUS protocol definition rev 4.03 (90 28 258, 7th ed. 2003), "Real-time data". There is no checksum: a
cycle is taken only if every value its sync byte announces came, whole, within MAXBIN.
"""

import re
from collections.abc import Sequence
from decimal import Context, Decimal

import msgspec

from drivers.contract import Fault
from drivers.draeger_medibus.records import CurveConfig
from drivers.observation import Mark, Vendor, Waveform
from drivers.profile import Metric

END_OF_SEQUENCE = b"\xc0\xc0"
SYNC = 0xD0
ENABLE = 0xC1
TRANSMITTED_5_8, TRANSMITTED_9_12, BREATH, CORRUPT = 0xC4, 0xC5, 0xC6, 0xCF
MARKS = {0: "inspiration", 1: "expiration"}
MAX_MARKS = 64
"""Breaths in one waveform; more is damage."""
WAVEFORM_US = 1_000_000
MAX_SAMPLES = 1000
"""In one waveform, where a device sends faster than once a millisecond."""
PREFIX = "RT."

_NEXT_SYNC = re.compile(rb"[\xd0-\xdf]")
_EXACT = Context(prec=15)


def enable(streams: int) -> bytes:
    """Switch on streams 1 … `streams` (at most 4): D0 C1 C3 C0 C0 for two. It is not acknowledged."""
    return bytes((SYNC, ENABLE, 0xC0 | ((1 << streams) - 1))) + END_OF_SEQUENCE


class _Curve:
    """The samples of one stream since the last waveform."""

    def __init__(self, metric: Metric, config: CurveConfig) -> None:
        self._metric, self.config = metric, config
        self._samples: list[int | None] = []
        self._marks: list[Mark] = []
        self._start = 0
        self._full = min(MAX_SAMPLES, max(1, round(WAVEFORM_US / config.interval_us)))

    def add(self, sample: int | None) -> bool:
        """One sample more; true when there are enough for a waveform."""
        self._samples.append(sample)
        return len(self._samples) >= self._full

    def mark(self, event: str) -> None:
        """An event before the next sample."""
        if len(self._marks) < MAX_MARKS:
            self._marks.append(Mark(len(self._samples), event))

    def take(self, device_time: str) -> Waveform:
        """The samples so far as one waveform; a mark behind the last of them belongs to the next."""
        size, start = len(self._samples), self._start
        wave = self._waveform(device_time, start, tuple(mark for mark in self._marks if mark.at < size))
        self._start += size
        self._marks = [Mark(0, mark.event) for mark in self._marks if mark.at == size]
        self._samples = []
        return wave

    def _waveform(self, device_time: str, start: int, marks: tuple[Mark, ...]) -> Waveform:
        """With a unit: scaled as the device told. Without: counts, and the text is what the device told of them."""
        config, metric = self.config, self._metric
        is_scaled = bool(metric.unit)
        scale = _EXACT.divide(Decimal(config.high - config.low), Decimal(config.maxbin))
        wave = Waveform(
            metric=metric.mdc,
            code=metric.mdc_code,
            vendor=Vendor(metric.code, "" if is_scaled else config.text),
            validity="valid" if is_scaled else "questionable",
            reason="" if is_scaled else "unit_unknown",
            device_time=device_time,
            samples=tuple(self._samples),
            interval_us=config.interval_us,
            scale=scale if is_scaled else Decimal(1),
            offset=Decimal(config.low if is_scaled else 0),
            unit=metric.unit,
            category=metric.category,
            start=start,
            marks=marks,
        )
        if any(sample is not None for sample in self._samples):
            return wave
        return msgspec.structs.replace(wave, validity="not_available", reason="missing")

    @property
    def has_samples(self) -> bool:
        """Whether there is anything to take."""
        return bool(self._samples)


class Realtime:
    """Decodes the fast bytes of one link; streams are numbered from 0."""

    def __init__(self) -> None:
        self._curves: list[_Curve] = []
        self._base_us = 0
        self._high_streams: dict[int, int] = {}
        self._has_complained = False
        self._restart()

    def _restart(self) -> None:
        self._half: int | None = None
        self._slots: list[int] = []
        self._cycle: dict[int, int] = {}
        self._is_synced = False

    def configure(self, curves: Sequence[tuple[Metric, CurveConfig]]) -> None:
        """The streams as the box configures them, in order, with the scaling the device told."""
        self._curves = [_Curve(metric, config) for metric, config in curves]
        self._base_us = min((curve.config.interval_us for curve in self._curves), default=0)
        self._has_complained = False
        self._restart()

    def forget(self, device_time: str) -> list[Waveform]:
        """The device has forgotten its configuration: what came so far, and nothing more until it is told again."""
        last = self.flush(device_time)
        self.configure(())
        self._high_streams.clear()
        return last

    @property
    def has_samples(self) -> bool:
        """Whether a waveform has begun."""
        return any(curve.has_samples for curve in self._curves)

    def flush(self, device_time: str) -> list[Waveform]:
        """What came since the last waveforms."""
        return [curve.take(device_time) for curve in self._curves if curve.has_samples]

    def feed(self, data: bytes, device_time: str) -> tuple[list[Waveform], list[Fault]]:
        """Waveforms that became full, and what could not be read."""
        waves: list[Waveform] = []
        faults: list[Fault] = []
        if not self._curves:
            if not self._has_complained:
                self._has_complained = True
                faults.append(Fault("curve_unconfigured"))
            return waves, faults
        at = 0
        while at < len(data):
            if not self._is_synced:
                found = _NEXT_SYNC.search(data, at)
                if not found:
                    break
                at = found.start()
            self._byte(data[at], device_time, waves, faults)
            at += 1
        return waves, faults

    def _byte(self, byte: int, device_time: str, waves: list[Waveform], faults: list[Fault]) -> None:
        half, self._half = self._half, None
        if half is not None:
            if half >= 0xC0 and 0xC0 <= byte < SYNC:
                self._command(half, byte & 0x0F, faults)
                return
            if half < 0xC0 and byte < 0xC0:
                self._value(half & 0x3F | (byte & 0x3F) << 6, device_time, waves, faults)
                return
            self._lose("half_value", device_time, waves, faults)
        if 0xD0 <= byte < 0xE0:
            self._sync(byte & 0x0F, device_time, waves, faults)
        elif byte < 0xD0 and self._is_synced:
            self._half = byte
        elif self._is_synced:
            self._lose("byte", device_time, waves, faults)

    def _sync(self, mask: int, device_time: str, waves: list[Waveform], faults: list[Fault]) -> None:
        if self._slots:
            self._lose("missing_value", device_time, waves, faults)
        masks = mask | self._high_streams.get(TRANSMITTED_5_8, 0) << 4
        masks |= self._high_streams.get(TRANSMITTED_9_12, 0) << 8
        self._slots = [stream for stream in range(12) if masks >> stream & 1]
        self._cycle = {}
        self._is_synced = True

    def _command(self, command: int, argument: int, faults: list[Fault]) -> None:
        if command in (TRANSMITTED_5_8, TRANSMITTED_9_12):
            self._high_streams[command] = argument
            if not self._cycle:
                first = 4 if command == TRANSMITTED_5_8 else 8
                kept = [stream for stream in self._slots if not first <= stream < first + 4]
                added = [first + bit for bit in range(4) if argument >> bit & 1]
                self._slots = sorted(kept + added)
        elif command == BREATH and argument in MARKS:
            for curve in self._curves:
                curve.mark(MARKS[argument])
        elif command == CORRUPT:
            faults.append(Fault("realtime", "corrupt_record"))

    def _value(self, value: int, device_time: str, waves: list[Waveform], faults: list[Fault]) -> None:
        if not self._slots:
            self._lose("extra_value", device_time, waves, faults)
            return
        stream = self._slots.pop(0)
        self._cycle[stream] = value
        if not self._slots:
            self._close(device_time, waves, faults)

    def _close(self, device_time: str, waves: list[Waveform], faults: list[Fault]) -> None:
        """The cycle is whole: each curve gets its sample, or None where the fastest ones have a hole."""
        for stream, curve in enumerate(self._curves):
            sample = self._cycle.get(stream)
            if sample is None and curve.config.interval_us != self._base_us:
                continue
            if sample is not None and sample > curve.config.maxbin:
                faults.append(Fault("realtime", "beyond_maxbin"))
                sample = None
            if curve.add(sample):
                waves.append(curve.take(device_time))

    def _lose(self, why: str, device_time: str, waves: list[Waveform], faults: list[Fault]) -> None:
        """This cycle is damaged: nothing of it is kept, its place stays empty, reading goes on at the next sync."""
        faults.append(Fault("realtime", why))
        if self._slots:
            self._slots, self._cycle = [], {}
            self._close(device_time, waves, faults)
        self._is_synced = False
