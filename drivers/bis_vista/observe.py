"""From processed data to observations: three sets of trends, of both channels and of the two together.

Only the set of the two together bears the names of the code table; those of a channel stand under its number.
"""

import struct
from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from drivers.contract import Fault
from drivers.mds import Mds
from drivers.observation import AnyObservation, Enumeration, Numeric, Vendor
from drivers.profile import Metric, Profile, unknown_numeric

PROCESSED = 0x34
INVALID = -3277
"""This and anything below it is no value (VSCaptureBISV: DATA_INVALID_LIMIT)."""
SETS = ("1.", "2.", "")
"""Channel 1, channel 2, and the two together."""
_TRENDS = ("BSR", "SEF95", "DEBUG", "BIS", "BIS_ALT", "BIS_ALT2", "POWER", "EMG", "SQI", "ARTEFACT")
_TREND = struct.Struct("<8h2i")
_LAYOUT = struct.Struct("<24s4H4I24s24s24s")
DATA_BYTES = _LAYOUT.size
_IMPEDANCES = ("IMP1", "IMP1.RESULT", "IMP2", "IMP2.RESULT")
_RAW = ("BIS_ALT", "BIS_ALT2", "ARTEFACT")
"""Trends without a scale: published as sent. The debug data of the index are not."""


class Processed(Struct, frozen=True):
    """The data of message 34H."""

    information: bytes
    impedances: tuple[int, ...]
    settings: tuple[int, ...]
    trends: dict[str, int]

    @classmethod
    def from_bytes(cls, data: bytes) -> "Processed | Fault":
        """120 bytes; another size is another layout."""
        if len(data) != DATA_BYTES:
            return Fault("unknown_record", f"{PROCESSED:02X} {len(data)}")
        information, *numbers, first, second, both = _LAYOUT.unpack(data)
        trends = {
            prefix + name: value
            for prefix, part in zip(SETS, (first, second, both), strict=True)
            for name, value in zip(_TRENDS, _TREND.unpack(part), strict=True)
        }
        return cls(information, tuple(numbers[:4]), tuple(numbers[4:]), trends)


class Observer:
    """One monitor's data as observations; what is remembered stands in its MDS."""

    def __init__(self, profile: Profile) -> None:
        self.mds = Mds()
        self._rows = profile.by_code

    def observe(self, read: Processed) -> list[AnyObservation]:
        """All that processed data say."""
        values = [self._value(self._rows[code], raw) for code, raw in read.trends.items() if code in self._rows]
        return self.mds.values([*values, *self._raw(read)]) + self._operating(values)

    def _value(self, metric: Metric, raw: int) -> Numeric:
        if raw <= INVALID:
            return metric.numeric(None, str(raw), reason="invalid")
        value = Decimal(raw).scaleb(-metric.extra["decimals"])
        return metric.numeric(value, str(raw))

    def _operating(self, values: list[Numeric]) -> list[AnyObservation]:
        """In use where there is an index of both channels; standby where nothing at all is valid."""
        if any(one.value is not None and one.vendor and one.vendor.code == "BIS" for one in values):
            return self.mds.operate("in_use")
        return self.mds.operate("standby") if all(one.value is None for one in values) else []

    @staticmethod
    def _raw(read: Processed) -> Iterator[Numeric | Enumeration]:
        """What has no scale or no name: it is absent, so it is said when its text changes."""
        numbers = {prefix + name: str(read.trends[prefix + name]) for prefix in SETS for name in _RAW}
        numbers |= {name: str(value) for name, value in zip(_IMPEDANCES, read.impedances, strict=True)}
        numbers |= {f"SETTING{n}": f"{value:08X}" for n, value in enumerate(read.settings, 1)}
        for code, text in numbers.items():
            yield unknown_numeric(code, text)
        yield Enumeration(
            vendor=Vendor("DSC", read.information.hex(" ").upper()),
            validity="not_available",
            reason="unknown_code",
            value=None,
            category="measurement",
        )
