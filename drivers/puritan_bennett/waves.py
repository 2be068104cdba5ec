"""The waveform port: lines of text that the ventilator sends unasked, breath by breath.

    BS, S:<n>,            a breath begins
    <flow>, <pressure>    one line each 20 ms: L/min, cmH2O
    BE                    it ends

No length, no count, no checksum: a line is believed when it is exactly of one of these three forms.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from drivers.contract import NOISE, Fault
from drivers.observation import Mark, Vendor, Waveform
from drivers.profile import Metric, Profile
from drivers.puritan_bennett.options import CURVES, Options

MAX_LINE_BYTES = 40
BLOCK = 50
"""A waveform holds so many samples at most: a second."""
_DIGITS = 2
SCALE = Decimal("0.01")
_VALUE = rb"-?[0-9]{1,3}(?:\.[0-9]{1,2})?"
_SAMPLE = re.compile(rb"(%s), ?(%s)" % (_VALUE, _VALUE))
_BEGIN = re.compile(rb"BS, ?S:([0-9]{1,10}),")
_END = b"BE"
_TOO_LONG = b"?"
_LINES = re.compile(rb"[\r\n]+")


class Breath(Struct, frozen=True):
    """A breath begins; the number that the ventilator gives with it."""

    number: str


Item = Breath | Waveform | Fault


class Waves:
    """Collects samples between BS and BE. What comes outside of a breath is not published: its time is not known."""

    def __init__(self, profile: Profile, options: Options) -> None:
        rows = [profile.by_code.get(code) if code in options.curve_codes else None for code in CURVES]
        self._rows: Sequence[Metric | None] = rows
        self._interval_us = options.interval_us
        self._rest = b""
        self._samples: list[tuple[int, int] | None] = []
        self._marks: list[Mark] = []
        self._start = 0
        self._in_breath = self._in_noise = False
        self.lines = 0
        """Verified lines; the driver takes and clears it."""

    @property
    def has_samples(self) -> bool:
        """Whether something waits to be published."""
        return bool(self._samples)

    def restart(self) -> None:
        """The port was opened again: what was half received is void, the count of samples begins anew."""
        self._rest = b""
        self._samples, self._marks, self._start = [], [], 0
        self._in_breath = self._in_noise = False

    def feed(self, data: bytes) -> list[Item]:
        """What the bytes hold, in order."""
        *lines, rest = _LINES.split(self._rest + data)
        self._rest = rest[: MAX_LINE_BYTES + 1]
        items: list[Item] = []
        for line in lines:
            if line:
                self._take(line.strip(b" ") if len(line) <= MAX_LINE_BYTES else _TOO_LONG, items)
        return items

    def _take(self, line: bytes, items: list[Item]) -> None:
        if not line:
            return
        if sample := _SAMPLE.fullmatch(line):
            self.lines += 1
            if self._in_breath:
                self._keep((_scaled(sample[1]), _scaled(sample[2])), items)
        elif begin := _BEGIN.fullmatch(line):
            self.lines += 1
            items += self.flush()
            self._in_breath, self._in_noise = True, False
            self._marks = [Mark(0, "inspiration")]
            items.append(Breath(begin[1].decode()))
        elif line == _END:
            self.lines += 1
            self._in_breath = False
            items += self.flush()
        elif self._in_breath:
            items.append(Fault("line", rejected=True))
            self._keep(None, items)  # it stood for a sample, as far as anybody can tell
        elif not self._in_noise:
            self._in_noise = True
            items.append(Fault(NOISE))

    def _keep(self, sample: tuple[int, int] | None, items: list[Item]) -> None:
        self._samples.append(sample)
        if len(self._samples) == BLOCK:
            items += self.flush()

    def idle(self) -> list[Item]:
        """Nothing came for a while: the breath is over, its rest is published."""
        self._rest, self._in_breath = b"", False
        return self.flush()

    def flush(self) -> list[Item]:
        """The samples so far."""
        samples, marks, start = self._samples, tuple(self._marks), self._start
        self._samples, self._marks, self._start = [], [], start + len(samples)
        if not samples:
            return []
        return [
            Waveform(
                metric=metric.mdc,
                code=metric.mdc_code,
                vendor=Vendor(metric.code),
                validity="valid",
                samples=tuple(None if pair is None else pair[column] for pair in samples),
                interval_us=self._interval_us,
                scale=SCALE,
                offset=Decimal(0),
                unit=metric.unit,
                category=metric.category,
                start=start,
                marks=marks,
            )
            for column, metric in enumerate(self._rows)
            if metric is not None
        ]


def _scaled(text: bytes) -> int:
    return int(Decimal(text.decode()).scaleb(_DIGITS))
