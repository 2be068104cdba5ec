"""The text of a sample: header, parameters in fixed columns, and histograms that are not read.

    │ A │ version 2 │ id length 3 │ parameters 3 │ formats 2 │ id │ mode │ MM DD YYYY hh mm ss │ WBC … PCT │ … │

BC-3000 Plus operator's manual, appendix D.3.2. There is no checksum: a body is read only if it has its letter, its
length of id, digits (or `*`, the analyzer's word for an invalid one) in every column up to the last parameter, and
points in all columns that have them or in none. Whether the points are on the wire is not known; both are read.

A lost character would shift every column after it, and the length of the whole is not known. So the date must be one,
and what a blood count says twice must agree: counts and percentages of the three parts, HGB = MCHC · HCT, PCT =
PLT · MPV. Where they do not, nothing of the sample is plainly valid.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Self

from msgspec import Struct

from drivers.contract import Fault
from drivers.mindray_bc_serial.options import Options
from drivers.observation import Result, Validity, Vendor
from drivers.profile import Metric, Profile
from drivers.results import content_identity, judge, read_number, status_untold

SAMPLE, CONTROLS = b"A", (b"B", b"C")
"""`C` is one bit from `A`: a body that is laid out as a sample is a damaged sample, not a control."""
_HEADER = re.compile(rb"A([0-9]{2})([0-9]{3})[0-9]{3}[0-9]{2}")
_ABOUT = re.compile(
    rb"([0-9*])(0[1-9]|1[0-2]|\*\*)(0[1-9]|[12][0-9]|3[01]|\*\*)([0-9]{4}|\*{4})"
    rb"([01][0-9]|2[0-3]|\*\*)([0-5][0-9]|\*\*)([0-5][0-9]|\*\*)"
)
_REST = re.compile(rb"[\x20-\x7e\r\n]*")
_DOUBTED = "*"
RBC = "RBC"


class Column(Struct, frozen=True):
    """One parameter: digits before and after the point."""

    whole: int
    decimals: int
    is_open: bool
    """The manual's own decimals cannot be right."""

    @classmethod
    def of(cls, metric: Metric) -> Self:
        """The columns that a row of the profile names."""
        return cls(int(metric.extra["whole"]), int(metric.extra["decimals"]), metric.code == RBC)

    def pattern(self, *, has_point: bool) -> str:
        """What may stand there; RBC's point, where it is on the wire, tells itself where it stands."""
        if has_point and self.is_open:
            return "([0-9*]{2}[.*][0-9*]|[0-9*][.*][0-9*]{2})"
        point = "[.*]" if has_point and self.decimals else ""
        return f"([0-9*]{{{self.whole}}}{point}[0-9*]{{{self.decimals}}})"


class Sample(Struct, frozen=True):
    """One body of type A."""

    version: str
    specimen: str
    mode: str
    when: str
    """`YYYYMMDDhhmmss`, as sent but for the order."""
    values: tuple[str, ...]


class Reader:
    """Reads the bodies of one analyzer, by the columns of its profile."""

    def __init__(self, profile: Profile, options: Options) -> None:
        self._profile, self._options = profile, options
        columns = [Column.of(metric) for metric in profile.metric]
        self._layouts = [
            re.compile("".join(column.pattern(has_point=has_point) for column in columns).encode("ascii"))
            for has_point in (False, True)
        ]

    def parse(self, body: bytes) -> Sample | Fault:
        """A body; a fault says why nothing of it is read."""
        if is_control_like(body):
            is_sample = isinstance(self.parse(SAMPLE + body[1:]), Sample)
            return Fault("layout", rejected=True) if is_sample else Fault("control_not_read", chr(body[0]))
        header = _HEADER.match(body)
        if header is None or int(header[2]) != self._options.id_length:
            return Fault("layout", rejected=True)
        at = header.end() + self._options.id_length
        specimen = body[header.end() : at]
        about = _ABOUT.match(body, at)
        if about is None or re.fullmatch(rb"[0-9* ]+", specimen) is None:
            return Fault("layout", rejected=True)
        for layout in self._layouts:
            values = layout.match(body, about.end())
            if values and _REST.fullmatch(body, values.end()):
                mode, month, day, year, *time = (part.decode("ascii") for part in about.groups())
                return Sample(
                    version=header[1].decode("ascii"),
                    specimen=specimen.decode("ascii").strip(),
                    mode=mode,
                    when=year + month + day + "".join(time),
                    values=tuple(value.decode("ascii") for value in values.groups()),
                )
        return Fault("layout", rejected=True)

    def results(self, sample: Sample) -> Iterator[Result]:
        """All parameters of a sample."""
        met: set[str] = set()
        columns = self._profile.metric
        read = [self._read(metric, text) for metric, text in zip(columns, sample.values, strict=True)]
        known = {m.code: value for m, (value, *_) in zip(columns, read, strict=True) if value is not None}
        if not _is_consistent(known):
            read = [(one[0], "questionable", "inconsistent") if one[1] == "valid" else one for one in read]
        for metric, text, (value, validity, reason) in zip(columns, sample.values, read, strict=True):
            yield Result(
                metric=metric.mdc,
                code=metric.mdc_code,
                vendor=Vendor(metric.code, text),
                validity=validity,
                reason=reason,
                device_time=sample.when,
                specimen=sample.specimen,
                test=metric.code,
                value=value,
                text=text,
                unit=metric.unit,
                status=status_untold(validity, reason),
                completed="" if _DOUBTED in sample.when else sample.when,
                comments=(f"mode {sample.mode}",),
                loinc=self._options.loinc.get(metric.code, ""),
                identity=content_identity("\r".join((sample.specimen, metric.code, sample.when, text)), met),
            )

    def _read(self, metric: Metric, text: str) -> tuple[Decimal | None, Validity, str]:
        number = read_number(text)
        validity, reason = judge(number, has_unit=bool(metric.unit))
        if number.value is None or reason:
            return None, validity, reason
        if "." in text:
            return number.value, "valid", ""
        column = Column.of(metric)
        decimals = self._options.rbc_decimals if column.is_open else column.decimals
        if column.is_open and not decimals:
            return None, "not_available", "scale_unknown"
        return number.value.scaleb(-decimals), "valid", ""


def is_control_like(body: bytes) -> bool:
    """Whether it has the letter of a control."""
    return len(body) > 1 and body[:1] in CONTROLS


def _is_consistent(values: Mapping[str, Decimal]) -> bool:
    """What a blood count says twice agrees; a part that is not there says nothing."""
    checks = [
        _sum_of(values, ("Lymph%", "Mid%", "Gran%"), Decimal(100), Decimal("0.5")),
        _sum_of(values, ("Lymph#", "Mid#", "Gran#"), values.get("WBC"), Decimal("0.3")),
        _product_of(values, ("MCHC", "HCT", "HGB"), Decimal("0.01"), Decimal(1)),
        _product_of(values, ("PLT", "MPV", "PCT"), Decimal("0.0001"), Decimal("0.0015")),
    ]
    return all(checks)


def _sum_of(values: Mapping[str, Decimal], codes: tuple[str, ...], whole: Decimal | None, off: Decimal) -> bool:
    parts = [values[code] for code in codes if code in values]
    return whole is None or len(parts) < len(codes) or abs(sum(parts) - whole) <= off


def _product_of(values: Mapping[str, Decimal], codes: tuple[str, str, str], scale: Decimal, off: Decimal) -> bool:
    """First times second is the third, within 2 % and what rounding takes."""
    first, second, third = (values.get(code) for code in codes)
    if first is None or second is None or third is None:
        return True
    return abs(first * second * scale - third) <= off + third * Decimal("0.02")
