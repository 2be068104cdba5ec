"""Nonin oximeters: text, DF2, DF7, DF8 or DF13, sent unasked. The box only listens.

    text  ┌──────────┬────────┬───────┐   DF2  ┌────┬────────┬───────┬───────┬─────┐  75 a second,
          │ SPO2=ddd │ HR=ddd │ CR LF │        │ 01 │ STATUS │ PLETH │ FLOAT │ sum │  25 are a packet
          └──────────┴────────┴───────┘        └────┴────────┴───────┴───────┴─────┘
    DF8   ┌───────┬────┬──────┬──────┐    DF13 ┌─────────────┬────────┬──────┬─────┬────┐
          │ flags │ HR │ SpO2 │ more │         │ 00 02 00 0D │ length │ data │ sum │ 03 │
          └───────┴────┴──────┴──────┘         └─────────────┴────────┴──────┴─────┴────┘

Nonin, Onyx II 9560 OEM specification, sections on the data formats; operator's manuals of the text line's devices.
packets.py has DF2 and DF7, frames.py the rest, observe.py reads all of them. Which format it is stands in the
profile; the command that changes it persists in the oximeter's memory, and the box sends nothing.
"""

from decimal import Decimal
from typing import ClassVar

from drivers.contract import Fault, Output
from drivers.conversation import Listening
from drivers.nonin.frames import Df8, Df13, Text
from drivers.nonin.observe import Observer
from drivers.nonin.options import PLETH, RATE_PER_S
from drivers.nonin.options import Options as NoninOptions
from drivers.nonin.packets import FRAMES, Packet, Packets
from drivers.nonin.reading import SENSOR_ALARM, Reading
from drivers.observation import Vendor, Waveform
from drivers.profile import Profile

INTERVAL_US = round(1_000_000 / RATE_PER_S)
BLOCK = 3 * FRAMES
"""A waveform holds a second."""
PERIOD_S = 1.0
"""Three packets come in a second; one is published."""
PAUSE_S = 0.5
"""DF2, DF7: a packet lasts a third of a second. After a pause the next one would confirm what is not of now."""


def _framer(data_format: str) -> Text | Df8 | Df13 | Packets:
    if data_format == "ascii":
        return Text()
    if data_format in ("df2", "df7"):
        return Packets(data_format == "df2")
    return Df8() if data_format == "df8" else Df13()


class NoninDriver(Listening):
    """One oximeter. Nothing is ever sent."""

    name: ClassVar[str] = "nonin"
    version: ClassVar[int] = 1
    Options: ClassVar[type[NoninOptions]] = NoninOptions

    def __init__(self, profile: Profile, options: NoninOptions) -> None:
        super().__init__(profile)
        self._framer = _framer(options.format)
        self._observer = Observer(profile, self._mds)
        self._curve = profile.by_code[PLETH] if options.curve_codes else None
        self._due: float | None = None
        self._flags: frozenset[str] = frozenset()
        self._samples: list[int | None] = []
        self._start = 0
        self._heard_at = 0.0

    def start(self, now: float) -> Output:
        """The port has just opened: the count of samples begins anew."""
        self._samples, self._start = [], 0
        self._observer.restart()
        return super().start(now)

    def _leave(self) -> None:
        self._flush()

    def _forget(self) -> None:
        self._flush()
        self._framer.drop()
        self._observer.forget()
        self._due, self._flags = None, frozenset()

    def _receive(self, data: bytes) -> None:
        if isinstance(self._framer, Packets) and self._now > self._heard_at + PAUSE_S:
            self._framer.pause()
        self._heard_at = self._now
        for item in self._framer.feed(data):
            match item:
                case Fault():
                    self._fault(item)
                case Packet():
                    self._verified()
                    self._take_packet(item)
                case Reading():
                    self._verified()
                    self._observe(item)

    def _observe(self, reading: Reading) -> None:
        if self._observer.is_repeated(reading):
            self._fault(Fault("duplicate"))
        else:
            self._observations += self._observer.observe(reading)

    def _take_packet(self, packet: Packet) -> None:
        """Numbers once a second; a flag that was set in between is not lost."""
        reading = packet.reading()
        self._keep(packet, SENSOR_ALARM in reading.flags)
        self._flags |= reading.flags
        now, due = self._now, self._due
        if due is not None and now < due:
            return
        self._due = now + PERIOD_S if due is None or now > due + PERIOD_S else due + PERIOD_S
        self._flush()
        self._observations += self._mds.identify({"srev": packet.revision})
        self._observations += self._observer.observe(reading, self._flags)
        self._flags = frozenset()

    def _keep(self, packet: Packet, is_off: bool) -> None:
        """Samples for the curve; with the sensor off they are none."""
        if self._curve is None:
            return
        if packet.lost:
            self._flush()
            self._start += packet.lost
        self._samples += (None,) * FRAMES if is_off else packet.pleth
        if len(self._samples) >= BLOCK:
            self._flush()

    def _flush(self) -> None:
        if self._curve is None or not self._samples:
            return
        is_absent = all(sample is None for sample in self._samples)
        self._observations.append(
            Waveform(
                metric=self._curve.mdc,
                code=self._curve.mdc_code,
                vendor=Vendor(self._curve.code),
                validity="not_available" if is_absent else "valid",
                reason="sensor_off" if is_absent else "",
                samples=tuple(self._samples),
                interval_us=INTERVAL_US,
                scale=Decimal(1),
                offset=Decimal(0),
                unit=self._curve.unit,
                category=self._curve.category,
                start=self._start,
            )
        )
        self._start += len(self._samples)
        self._samples = []
