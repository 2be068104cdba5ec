"""What an IntelliVue monitor answers to its polls: numerics, curves, alarms, enumerations, patient, the monitor.

An observation is a handle and a list of attributes; a value is `physio id, state, unit, FLOAT`, a curve is made of
16-bit samples whose bits above the significant ones may be anything.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import datetime
from random import Random
from typing import NamedTuple

from simulators.devices import intellivue_frames as wire
from simulators.devices.vitals import SENSOR_OFF, Vitals

NUMERICS, CURVES, ENUMERATIONS, MDS, PATIENT, ALARMS = 0x06, 0x09, 0x0A, 0x21, 0x2A, 0x36
GROUPS = (0x0000, 0x0801, 0x0803, 0x0807, 0x080C, 0x0811)
LABEL, LABEL_STRING, VALUE, COMPOUND, STAMP_ABS = 0x0924, 0x0927, 0x0950, 0x094B, 0x0990
SAMPLE_SPECN, SAMPLES, COMPOUND_SAMPLES, SCALE, SAMPLE_PERIOD = 0x096D, 0x096E, 0x0967, 0x096F, 0x098D
ENUMERATION, MODEL, PRODUCTION, TIME_ABS, TIME_REL = 0x099E, 0x0928, 0x092D, 0x0987, 0x098F
PATIENT_ALARMS, TECHNICAL_ALARMS = 0x0902, 0x0904
PATIENT_ID, FAMILY, GIVEN, BORN, SEX = 0x095A, 0x095C, 0x095D, 0x0958, 0x0961
INVALID, UNAVAILABLE, CALIBRATING, DEMO, IN_ALARM = 0x8000, 0x2000, 0x1000, 0x0400, 0x0002
PERCENT, DIMENSIONLESS, BPM, RPM, MMHG, KPA, CELSIUS = 0x0220, 0x0200, 0x0AA0, 0x0AE0, 0x0F20, 0x0F03, 0x17A0
UNKNOWN_PHYSIO = 0xF7FF
"""A number that no list has: a driver may not drop it in silence."""
RHYTHM, MODE = 0xF7FD, 0xF7FE
"""Stand-ins: no number of an enumeration is known."""
WITH_TEXT = 516
ALARM_TEXTS: Mapping[str, Mapping[str, str]] = {
    "spo2_high": {"en": "** SpO2 98 > 96", "fr": "** SpO2 98 > 96"},
    "hr_high": {"en": "***TACHY 145 > 120", "fr": "***TACHY 145 > 120"},
    "rr_low": {"en": "** RR LOW", "fr": "** FR BASSE"},
    SENSOR_OFF: {"en": "SpO2 SENSOR OFF", "fr": "SpO2 CAPT. DEBR."},
}
ALARM_SOURCES = {"spo2_high": 0x4BB8, "hr_high": 0x4182, "rr_low": 0x500A, SENSOR_OFF: 0x4BB8}
ALARM_OF = {"spo2": "spo2_high", "hr": "hr_high", "rr": "rr_low"}


class Numeric(NamedTuple):
    """A value, or several with one handle and one time."""

    name: str
    unit: int
    digits: int
    parts: tuple[tuple[int, str], ...]
    """Physio id and quantity of each."""


NUMERIC_TABLE = (
    Numeric("HR", BPM, 0, ((0x4182, "hr"),)),
    Numeric("SpO2", PERCENT, 1, ((0x4BB8, "spo2"),)),
    Numeric("Pulse", BPM, 0, ((0x4822, "pr"),)),
    Numeric("Perf", DIMENSIONLESS, 2, ((0x4BB0, "pi"),)),
    Numeric("RR", RPM, 0, ((0x500A, "rr"),)),
    Numeric("NBP", MMHG, 0, ((0x4A05, "cuff_sys"), (0x4A06, "cuff_dia"), (0x4A07, "cuff_mean"))),
    Numeric("ABP", MMHG, 0, ((0x4A15, "art_sys"), (0x4A16, "art_dia"), (0x4A17, "art_mean"))),
    Numeric("CVP", MMHG, 0, ((0x4A47, "cvp"),)),
    Numeric("ICP", MMHG, 0, ((0x580B, "icp"),)),
    Numeric("Temp", CELSIUS, 1, ((0x4B48, "temp_1"),)),
    Numeric("etCO2", MMHG, 0, ((0x50B0, "etco2"),)),
    Numeric("BIS", DIMENSIONLESS, 0, ((0xF04E, "bis"),)),
    Numeric("Xyz", DIMENSIONLESS, 1, ((UNKNOWN_PHYSIO, "glucose"),)),
)
CUFF = "NBP"


class Curve(NamedTuple):
    """A curve: samples for each 256 ms and how they map to values."""

    name: str
    physio: int
    quantity: str
    samples: int
    bits: int
    low: float
    high: float


CURVE_TABLE = (
    Curve("II", 0x0102, "ecg", 128, 14, -5.0, 5.0),
    Curve("Pleth", 0x4BB4, "pleth", 32, 12, 0.0, 100.0),
    Curve("ABP", 0x4A14, "art", 32, 14, -40.0, 520.0),
)
CURVE_S = 0.256
LEAD_I = 0x0101


class Observation(NamedTuple):
    """One object of an answer."""

    data: bytes
    values: Mapping[str, str]
    """Physio id in hex → the number that was sent, or its state; of an alarm its text → type."""


def observation(handle: int, attributes: list[bytes], values: Mapping[str, str]) -> Observation:
    """A handle with its attributes, as it is sent."""
    return Observation(struct.pack(">H", handle) + wire.listed(attributes), values)


class Habits(NamedTuple):
    """How this monitor answers."""

    has_unknown: bool
    is_demo: bool
    keeps_number: bool
    """A value that is not usable still carries its last number."""
    co2_in_kpa: bool
    specs_once: bool
    """Curves tell how they are sampled only in the first answer of a poll."""
    has_compound_ecg: bool
    """Two leads come in one compound value."""
    language: str


class Objects:
    """The objects of a monitor and what they say at a moment."""

    def __init__(self, patient: Vitals, seed: int, habits: Habits) -> None:
        self.patient = patient
        self._rng = Random(seed ^ 0xB15)  # noqa: S311
        self._seed = seed
        self._habits = habits
        self._last: dict[str, float] = {}

    def numerics(self, now: float, wall: datetime, cuff_wall: datetime | None) -> list[Observation]:
        """All numerics; those of the cuff with the time of the measurement."""
        values = self.patient.values(now)
        cuff = self.patient.cuff(now)
        if cuff is not None:
            values |= {f"cuff_{name}": value for name, value in cuff._asdict().items()}
        if self._habits.co2_in_kpa and "etco2" in values:
            values["etco2"] /= 7.50062
        out = []
        for index, numeric in enumerate(NUMERIC_TABLE):
            if numeric.parts[0][0] == UNKNOWN_PHYSIO and not self._habits.has_unknown:
                continue
            if numeric.name == CUFF and cuff is None:
                continue
            stamp = (cuff_wall or wall) if numeric.name == CUFF else wall
            out.append(self._numeric(0x0100 + index, numeric, values, now, stamp))
        return out

    def _numeric(
        self, handle: int, numeric: Numeric, values: Mapping[str, float], now: float, stamp: datetime
    ) -> Observation:
        alarms = self.patient.alarms(now)
        unit, digits = numeric.unit, numeric.digits
        if numeric.name == "etCO2" and self._habits.co2_in_kpa:
            unit, digits = KPA, 1
        items, texts = [], {}
        for physio, quantity in numeric.parts:
            value = values.get(quantity)
            state = DEMO if self._habits.is_demo else 0
            if ALARM_OF.get(quantity) in alarms:
                state |= IN_ALARM
            number = wire.NAN
            if value is None:
                state |= self._rng.choice((INVALID, UNAVAILABLE, CALIBRATING))
                if self._habits.keeps_number and quantity in self._last:
                    number = wire.number(self._last[quantity], digits)
            else:
                self._last[quantity] = value
                number = wire.number(value, digits)
            items.append(struct.pack(">HHH", physio, state, unit) + number)
            texts[f"{physio:04X}"] = f"state {state:04X}" if value is None else f"{value:.{digits}f}"
        is_compound = len(items) > 1
        attributes = [
            wire.attribute(LABEL, struct.pack(">HH", 2, numeric.parts[0][0])),
            wire.attribute(LABEL_STRING, wire.string(numeric.name)),
            wire.attribute(COMPOUND, wire.listed(items)) if is_compound else wire.attribute(VALUE, items[0]),
            wire.attribute(STAMP_ABS, wire.absolute(stamp)),
        ]
        if numeric.name == CUFF:
            texts["time"] = f"{stamp:%Y%m%d%H%M%S}"
        return observation(handle, attributes, texts)

    def curves(self, start: float, is_first: bool) -> list[Observation]:
        """256 ms of each curve."""
        out = []
        for index, curve in enumerate(CURVE_TABLE):
            leads = {curve.physio: 1.0}
            if curve.quantity == "ecg" and self._habits.has_compound_ecg:
                leads[LEAD_I] = 0.6
            items, texts = [], {}
            for physio, factor in leads.items():
                raws = self._samples(curve, start, factor)
                items.append(self._sample(physio, raws))
                texts[f"{physio:04X}"] = " ".join(str(raw) for raw in raws)
            attributes = [] if self._habits.specs_once and not is_first else self._specs(curve)
            if len(items) > 1:
                attributes.append(wire.attribute(COMPOUND_SAMPLES, wire.listed(items)))
            else:
                attributes.append(wire.attribute(SAMPLES, items[0]))
            out.append(observation(0x0200 + index, attributes, texts))
        return out

    def _samples(self, curve: Curve, start: float, factor: float) -> list[int]:
        """Raw samples without anything in their high bits."""
        top = (1 << curve.bits) - 1
        raws = []
        for place in range(curve.samples):
            value = self.patient.curve(curve.quantity, start + place * CURVE_S / curve.samples) * factor
            raws.append(max(0, min(top, round((value - curve.low) / (curve.high - curve.low) * top))))
        return raws

    def _sample(self, physio: int, raws: list[int]) -> bytes:
        # The bits above the significant ones are marks of the monitor's own.
        mark = 1 << 15 if self._rng.random() < 0.5 else 0
        data = b"".join(struct.pack(">H", raw | mark) for raw in raws)
        return struct.pack(">HHH", physio, DEMO if self._habits.is_demo else 0, len(data)) + data

    def _specs(self, curve: Curve) -> list[bytes]:
        top = (1 << curve.bits) - 1
        period = round(CURVE_S * wire.TICKS_PER_S / curve.samples)
        scale = wire.number(curve.low, 1) + wire.number(curve.high, 1) + struct.pack(">HH", 0, top)
        return [
            wire.attribute(LABEL, struct.pack(">HH", 2, curve.physio)),
            wire.attribute(LABEL_STRING, wire.string(curve.name)),
            wire.attribute(SAMPLE_SPECN, struct.pack(">HBBH", curve.samples, 16, curve.bits, 0)),
            wire.attribute(SCALE, scale),
            wire.attribute(SAMPLE_PERIOD, struct.pack(">I", period)),
        ]

    def enumerations(self) -> list[Observation]:
        """A state by name, and a state with a number."""
        rhythm = struct.pack(">HHHHH", RHYTHM, 0, 1, 2, 0xE001)
        mode = struct.pack(">HHHHH", MODE, 0, 4, 8, 0xE002) + wire.number(40, 0) + struct.pack(">H", PERCENT)
        return [
            observation(0x0300, [wire.attribute(ENUMERATION, rhythm)], {f"{RHYTHM:04X}": "E001"}),
            observation(0x0301, [wire.attribute(ENUMERATION, mode)], {f"{MODE:04X}": "E002 40"}),
        ]

    def alarms(self, now: float) -> list[Observation]:
        """The alert monitor: alarms of the patient and of the equipment; empty lists clear what was active."""
        patient: list[bytes] = []
        technical: list[bytes] = []
        texts = {}
        for name, urgency in self.patient.alarms(now).items():
            is_technical = name == SENSOR_OFF
            # 1, 2 and 4 are technical alarms of rising urgency, 256, 512 and 1024 the patient's.
            kind = 1 if is_technical else {1: 1024, 2: 512, 3: 256}[urgency]
            text = ALARM_TEXTS[name][self._habits.language]
            info = struct.pack(">HIHH", 1, 0, 0, 0) + wire.string(text)
            source = ALARM_SOURCES[name]
            entry = struct.pack(">HHHHHHHHH", source, 2, kind, 0, 6, 0, 0x0100, WITH_TEXT, len(info)) + info
            (technical if is_technical else patient).append(entry)
            texts[text] = str(kind)
        attributes = [
            wire.attribute(PATIENT_ALARMS, wire.listed(patient)),
            wire.attribute(TECHNICAL_ALARMS, wire.listed(technical)),
        ]
        return [observation(0x0400, attributes, texts)]

    def identity(self) -> list[bytes]:
        """Model and serial number."""
        serial = struct.pack(">HHH", 1, 0, 0) + wire.label(f"DE{self._seed % 100_000_000:08d}")
        return [
            wire.attribute(MODEL, wire.label("Philips") + wire.label("M8005A")),
            wire.attribute(PRODUCTION, wire.listed([serial])),
        ]

    def monitor(self, ticks: int, wall: datetime) -> list[Observation]:
        """The monitor itself."""
        times = [wire.attribute(TIME_ABS, wire.absolute(wall)), wire.attribute(TIME_REL, struct.pack(">I", ticks))]
        return [observation(0, self.identity() + times, {})]

    def demographics(self) -> list[Observation]:
        """The patient, by name."""
        attributes = [
            wire.attribute(PATIENT_ID, wire.string(f"MRN{self._seed:06d}")),
            wire.attribute(FAMILY, wire.string("Éluard")),
            wire.attribute(GIVEN, wire.string("Paul")),
            wire.attribute(BORN, bytes.fromhex("1961041200000000")),
            wire.attribute(SEX, struct.pack(">H", 1)),
        ]
        return [observation(0x0500, attributes, {})]
