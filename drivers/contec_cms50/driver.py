"""Contec CMS50: five bytes sixty times a second, unasked; or the packets of V7.0, which the box must start.

    ┌───────┬───────┬───────┬────┬──────┐   box ─▶ ┌────────────────────────────┐   ┌────┬─────────┬─────────┐ ─▶ box
    │ flags │ pleth │ flags │ PR │ SpO2 │          │ 7D 81 A1 80 80 80 80 80 80 │   │ 01 │ carrier │ 7 bytes │
    └───────┴───────┴───────┴────┴──────┘          └────────────────────────────┘   └────┴─────────┴─────────┘

Contec, CMS-P communication protocol V5.0; Contec, communication protocol of pulse oximeter V7.0, sections on package
format and commands. Without a checksum a number is believed when three frames in a row have it, in the same state.
"""

from collections.abc import Iterator
from decimal import Decimal
from math import ceil
from typing import ClassVar

from drivers.asking import Manners, Question
from drivers.contec_cms50.frames import (
    DROPPING,
    FINGER_OUT,
    PROBE_ERROR,
    RATE_PER_S,
    SEARCHING,
    Frame5,
    Frames,
    Packet7,
)
from drivers.contec_cms50.options import PLETH
from drivers.contec_cms50.options import Options as ContecOptions
from drivers.contract import Fault, Output
from drivers.conversation import Asking
from drivers.observation import Alert, AnyObservation, Enumeration, Numeric, Vendor, Waveform
from drivers.profile import Profile, unknown_numeric

START = bytes.fromhex("7d81a1808080808080")
KEEP_ALIVE = bytes.fromhex("7d81af808080808080")
PATIENCE_S = 2.0
AGREE = 3
"""So many frames in a row must say the same."""
PERIOD_S = 1.0
INTERVAL_US = round(1_000_000 / RATE_PER_S)
_CONDITIONS = (
    ("PROBE", 1, PROBE_ERROR, "probe_error"),
    ("FINGER", 0, FINGER_OUT, "sensor_off"),
    ("SEARCH", 1, SEARCHING, "searching"),
    ("DROP", 0, DROPPING, ""),
)
"""Code, which of the two state bytes, mask, and why values are absent."""
_NO_SPO2, _NO_PULSE, _NO_PULSE_EITHER = (0, 127), (0, 255), 127
_CURVE_ABSENT = ("sensor_off", "probe_error")


class ContecCms50Driver(Asking):
    """One oximeter. Only in V7.0 anything is sent: the start, and the keep-alive."""

    name: ClassVar[str] = "contec_cms50"
    version: ClassVar[int] = 1
    Options: ClassVar[type[ContecOptions]] = ContecOptions

    def __init__(self, profile: Profile, options: ContecOptions) -> None:
        is_v7 = options.format == "v7"
        setup = [Question("start", START)] if is_v7 else []
        plan = [Question("keep_alive", KEEP_ALIVE, options.keep_alive_s)] if is_v7 else []
        per_minute = ceil(60 / options.keep_alive_s) + 1
        super().__init__(profile, Manners(patience_s=PATIENCE_S, per_minute=per_minute), setup, plan)
        self._frames_in = Frames(is_v7)
        self._rows = profile.by_code
        self._curve = self._rows[PLETH] if options.curve_codes else None
        self._samples: list[int | None] = []
        self._start = 0
        self._clear()

    def _clear(self) -> None:
        self._key: tuple[object, ...] = ()
        self._run = 0
        self._due: float | None = None

    def start(self, now: float) -> Output:
        """The port has just opened: listen, or start the packets."""
        self._samples, self._start = [], 0
        return super().start(now)

    def receive(self, data: bytes, now: float) -> Output:
        """Whole frames are read; the rest waits for more. After `stop` nothing is read."""
        return super().receive(data, now) if self._is_open else Output()

    def _leave(self) -> None:
        """The stop command is not confirmed by a document at hand: the keep-alive just ends."""
        self._flush()

    def _forget(self) -> None:
        self._flush()
        self._frames_in.drop()
        self._clear()

    def _fall_silent(self) -> None:
        super()._fall_silent()
        self._forget()

    def _receive(self, data: bytes) -> None:
        for item in self._frames_in.feed(data):
            match item:
                case Fault():
                    self._fault(item)
                case Frame5():
                    self._verified()
                    self._take_frame(item)
                case Packet7():
                    self._verified()
                    self._take_packet(item)

    def _is_due(self) -> bool:
        """Once a second, at a pace that jitter does not shift."""
        now, due = self._now, self._due
        if due is not None and now < due:
            return False
        self._due = now + PERIOD_S if due is None or now > due + PERIOD_S else due + PERIOD_S
        return True

    def _take_packet(self, packet: Packet7) -> None:
        if self._asker.asked:
            self._asker.answered(self._now)
        if self._is_due():
            raw = Enumeration(
                vendor=Vendor("01", packet.payload.hex(" ").upper()),
                validity="not_available",
                reason="unknown_code",
                value=None,
                category="measurement",
            )
            self._observations += self._mds.values([raw])

    def _take_frame(self, frame: Frame5) -> None:
        key = (frame.state, frame.pulse, frame.spo2)
        self._run = self._run + 1 if key == self._key else 1
        self._key = key
        reasons = [why for _code, at, mask, why in _CONDITIONS if why and frame.state[at] & mask]
        self._keep(frame, any(why in _CURVE_ABSENT for why in reasons))
        if self._run >= AGREE and self._is_due():
            self._flush()
            self._observe(frame, reasons[0] if reasons else "")

    def _observe(self, frame: Frame5, absent: str) -> None:
        values = list(self._values(frame, absent))
        strength = unknown_numeric("STRENGTH", str(frame.strength))
        self._observations += self._mds.values([*values, strength])
        if values[0].validity == "valid":
            self._observations += self._mds.operate("in_use")
        elif absent == "sensor_off":
            self._observations += self._mds.operate("standby")
        on = {code: self._alert(code) for code, at, mask, _why in _CONDITIONS if frame.state[at] & mask}
        self._observations += self._mds.alerts("state", on)

    def _values(self, frame: Frame5, absent: str) -> Iterator[Numeric]:
        no_spo2 = frame.spo2 in _NO_SPO2
        # 127 may be a rate; it is none where the saturation says as well that there is no value.
        no_pulse = frame.pulse in _NO_PULSE or (no_spo2 and frame.pulse == _NO_PULSE_EITHER)
        for code, number, is_missing in (("SpO2", frame.spo2, no_spo2), ("PR", frame.pulse, no_pulse)):
            why = absent or ("missing" if is_missing else "")
            yield self._rows[code].numeric(None if why else Decimal(number), str(number), reason=why)

    def _alert(self, code: str) -> Alert:
        metric = self._rows[code]
        return Alert(
            metric=metric.mdc,
            code=metric.mdc_code,
            vendor=Vendor(code),
            validity="valid",
            alert=metric.extra["alert"],
            priority="unknown",
            presence="on",
        )

    def _keep(self, frame: Frame5, is_off: bool) -> None:
        """A sample for the curve; with the finger out it is none."""
        if self._curve is None:
            return
        if frame.lost:
            self._flush()
            self._start += frame.lost
        self._samples.append(None if is_off else frame.pleth)
        if len(self._samples) >= RATE_PER_S:
            self._flush()

    def _flush(self) -> None:
        if self._curve is None or not self._samples:
            return
        is_absent = all(sample is None for sample in self._samples)
        wave: AnyObservation = Waveform(
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
        self._observations.append(wave)
        self._start += len(self._samples)
        self._samples = []
