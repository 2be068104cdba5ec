"""Frames of bedside monitors as the agent stamps them, of boxes, makers and patients that no dictionary has seen.

No driver or simulator of these monitors exists here, so a dictionary trained on simulators cannot know them. Values
scatter from second to second like raw readings; real monitors average over seconds and are quieter.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Raw

from drivers.nomenclature import terms
from drivers.observation import AnyObservation, ClockTrust, Lane, Numeric, Vendor, Waveform
from gateway.clock import utc_text
from gateway.uplink.envelope import FrameEnvelope, read_observations

MONITORS = 6
SECONDS = 10
METRICS = 10


class _Metric(NamedTuple):
    """A metric's name in the nomenclature, the makers' codes for it, a usual value, its scatter in one second."""

    term: str
    codes: tuple[str, str, str]
    usual: float
    patients: float
    scatter: float
    digits: int


_METRICS = (
    _Metric("heart_rate", ("HR", "1002", "ECG_HR"), 80, 12, 1.0, 0),
    _Metric("spo2", ("SpO2", "1201", "PLETH_SAT"), 96, 2, 0.5, 0),
    _Metric("pulse_rate_spo2", ("PR", "1202", "PLETH_PR"), 80, 12, 1.0, 0),
    _Metric("resp_rate", ("RR", "1101", "IMP_RESP"), 17, 4, 1.0, 0),
    _Metric("etco2", ("EtCO2", "1401", "CO2_ET"), 38, 4, 0.6, 0),
    _Metric("temp", ("T1", "1301", "TEMP_A"), 37.0, 0.5, 0.05, 1),
    _Metric("abp_sys", ("ART-S", "1501", "P1_SYS"), 121, 15, 1.0, 0),
    _Metric("abp_dia", ("ART-D", "1502", "P1_DIA"), 72, 9, 1.0, 0),
    _Metric("abp_mean", ("ART-M", "1503", "P1_MEAN"), 88, 10, 1.0, 0),
    _Metric("st_ii", ("ST-II", "1011", "ECG_ST2"), 0.3, 0.4, 0.1, 1),
)
_DRIVERS = ("kestrel_vs/2", "nordlys_net/1", "pulsar_ascii/1")
_TEXTS = ("{}", "{:>5}", "{}")
_SITES = ("chp-tiznit", "hopital-al-farabi", "chr-beni-mellal", "cs-imintanoute", "chu-oujda", "hp-taounate")
_WARDS = ("urgences", "neonat", "salle-reveil", "cardio", "pneumo", "bloc-b")


class _Monitor:
    """One monitor and its patient."""

    def __init__(self, rng: Random, number: int, ward: str, maker: int) -> None:
        self._rng = rng
        self.phase = rng.random()
        self._usual = [rng.gauss(one.usual, one.patients) for one in _METRICS]
        self._common: dict[str, Any] = {
            "device": f"{ward}-{number:02d}",
            "place": f"{ward.upper()}/{number}",
            "driver": _DRIVERS[maker],
            "mode": "real",
            "source_auth": ("point_to_point", "network_unauthenticated", "point_to_point")[maker],
        }
        self._maker = maker

    def second(self, at: float, boot: str, booted: float) -> Iterator[Numeric]:
        """Ten numerics that came in one message, `phase` after the full second."""
        rng = self._rng
        came = at + self.phase + abs(rng.gauss(0, 0.004))
        trust = ClockTrust("ntp", 9 + int(at / 10) % 7, boot, round(came - booted + rng.random() / 2000, 3))
        for metric, usual in zip(_METRICS, self._usual, strict=True):
            term = terms()[metric.term]
            drift = 2 * metric.scatter * math.sin(came / 97 + usual)
            value = Decimal(f"{rng.gauss(usual + drift, metric.scatter):.{metric.digits}f}")
            value = value or abs(value)  # no device prints a negative zero
            yield Numeric(
                metric=term.mdc,
                code=term.code,
                vendor=Vendor(metric.codes[self._maker], _TEXTS[self._maker].format(value)),
                validity="valid",
                value=value,
                unit=term.ucum,
                category="measurement",
                at=utc_text(came),
                clock=trust,
                **self._common,
            )


def envelope(rng: Random, lane: Lane, observations: Sequence[AnyObservation], boot: str) -> FrameEnvelope:
    """Observations as one frame of a box nobody knows."""
    payload = msgspec.json.Encoder(decimal_format="number").encode(observations)
    return FrameEnvelope(
        f"gw-{rng.randrange(10**4):04d}",
        rng.choice(_SITES),
        f"{rng.getrandbits(64):016x}",
        rng.randrange(1, 400),
        lane,
        rng.randrange(1, 10**7),
        len(observations),
        Raw(payload),
        boot=boot,
    )


def monitor_frame(seed: int, *, monitors: int = MONITORS, seconds: int = SECONDS) -> FrameEnvelope:
    """What one box hears of its monitors in so many seconds: ten numerics a monitor and second."""
    rng = Random(seed)
    boot = str(UUID(int=rng.getrandbits(128), version=4))
    start = 1_790_000_000 + rng.randrange(40_000_000)
    booted = start - rng.uniform(60, 3_000_000)
    ward = rng.choice(_WARDS)
    first, makers = rng.randrange(1, 20), [rng.randrange(3) for _ in range(2)]
    beds = [_Monitor(rng, first + number, ward, rng.choice(makers)) for number in range(monitors)]
    beds.sort(key=lambda bed: bed.phase)
    seen = [one for second in range(seconds) for bed in beds for one in bed.second(start + second, boot, booted)]
    return envelope(rng, "numeric", seen, boot)


def sample_frames(count: int = 30, *, monitors: int = MONITORS, seconds: int = SECONDS) -> list[FrameEnvelope]:
    """Frames of `count` different boxes, always the same ones."""
    return [monitor_frame(7_000 + number, monitors=monitors, seconds=seconds) for number in range(count)]


def _ecg(t: float) -> float:
    beat = (t * 1.27) % 1
    bumps = ((0.18, 0.025, 90), (0.29, 0.008, -110), (0.31, 0.011, 1000), (0.34, 0.009, -230), (0.55, 0.04, 260))
    return sum(height * math.exp(-(((beat - at) / width) ** 2)) for at, width, height in bumps)


def _pleth(t: float) -> float:
    beat = (t * 1.27) % 1
    return 1500 * math.exp(-(((beat - 0.25) / 0.12) ** 2)) + 500 * math.exp(-(((beat - 0.55) / 0.1) ** 2))


def _pressure(t: float) -> float:
    breath = t % 4
    return (
        400 + 1600 * (1 - math.exp(-breath / 0.35)) if breath < 1.3 else 400 + 1600 * math.exp(-(breath - 1.3) / 0.4)
    )


def _flow(t: float) -> float:
    breath = t % 4
    return 3200 * math.exp(-breath / 0.6) + 2000 if breath < 1.3 else 2000 - 1500 * math.exp(-(breath - 1.3) / 0.5)


class _Curve(NamedTuple):
    shape: Callable[[float], float]
    """Counts of the converter by seconds."""
    rate_hz: int
    scatter: float
    """In counts."""


WAVES = {
    "monitor": (_Curve(_ecg, 500, 6.0), _Curve(_ecg, 250, 6.0), _Curve(_pleth, 125, 3.0)),
    "pleth only": (_Curve(_pleth, 250, 3.0),),
    "ventilator": (_Curve(_pressure, 125, 4.0), _Curve(_flow, 125, 6.0)),
}
"""The curves of one device."""
BARE = {"one": (_Curve(_pressure, 1, 4.0),), "eight": (_Curve(_pressure, 1, 4.0),) * 8}
"""One sample in each waveform: what they cost is what stands around the samples."""
COMMIT_S = 5
"""The spool commits the wave lane each five seconds."""


def wave_frame(device: str, seed: int = 0, *, seconds: int = COMMIT_S) -> FrameEnvelope:
    """The curves of one device, a waveform of each a second."""
    rng = Random(seed)
    boot = str(UUID(int=rng.getrandbits(128), version=4))
    start, seen = 1_800_000_000 + rng.randrange(10**7), list[AnyObservation]()
    for second in range(seconds):
        came = second + abs(rng.gauss(0, 0.004))
        trust = ClockTrust("ntp", 12, boot, round(4711.2 + came, 3))
        for number, curve in enumerate((WAVES | BARE)[device]):
            first = second * curve.rate_hz
            times = (at / curve.rate_hz for at in range(first, first + curve.rate_hz))
            seen.append(
                Waveform(
                    vendor=Vendor(f"W{number}"),
                    validity="valid",
                    device="salle-3",
                    place="BLOC/3",
                    driver="kestrel_vs/2",
                    mode="real",
                    source_auth="point_to_point",
                    at=utc_text(start + came),
                    clock=trust,
                    samples=tuple(round(curve.shape(t) + rng.gauss(0, curve.scatter)) for t in times),
                    interval_us=1_000_000 // curve.rate_hz,
                    scale=Decimal("0.01"),
                    offset=Decimal(0),
                    unit="mV",
                    category="measurement",
                    start=first,
                )
            )
    return envelope(rng, "wave", seen, boot)


def samples_of(frame: FrameEnvelope) -> int:
    """How many samples its waveforms have."""
    return sum(len(one.samples) for one in read_observations(frame.observations) if isinstance(one, Waveform))
