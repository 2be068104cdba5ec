"""The values of a sample: digits without a point, whose scale is the column's, and a flag."""

from collections.abc import Iterator
from decimal import Decimal

from drivers.observation import Result, Validity, Vendor
from drivers.profile import Metric, Profile
from drivers.results import content_identity, judge, read_number, status_untold
from drivers.sysmex_kx.frames import Cell, Sample
from drivers.sysmex_kx.options import Options

RDW = "RDW"
_PLAIN_FLAGS = ("0", "1", "2")
"""Within the limits, above, below. What the others say makes the result doubtful, or is not known."""
_NO_FLAG = "0"
_SELECTED = {"SD": "S", "CV": "C"}


class Reader:
    """Reads the samples of one analyzer, by the columns of its profile."""

    def __init__(self, profile: Profile, options: Options) -> None:
        self._profile, self._options = profile, options
        self._columns = [metric for metric in profile.metric if "of" not in metric.extra]

    def results(self, sample: Sample) -> Iterator[Result]:
        """All columns of a sample."""
        for column, cell in zip(self._columns, sample.cells, strict=True):
            metric = self._which(column, sample)
            value, validity, reason = _read(metric, cell)
            yield Result(
                metric=metric.mdc,
                code=metric.mdc_code,
                vendor=Vendor(metric.code, cell.text),
                validity=validity,
                reason=reason,
                device_time=sample.date,
                specimen=sample.specimen,
                test=metric.code,
                value=value,
                text=cell.text,
                unit=metric.unit,
                flags=(cell.flag,) if cell.flag != _NO_FLAG else (),
                status=status_untold(validity, reason),
                loinc=self._options.loinc.get(metric.code, ""),
                identity=content_identity(f"{sample.body}\r{column.code}", set()),
            )

    def _which(self, column: Metric, sample: Sample) -> Metric:
        """KX-21: RDW is SD or CV as the site has set it, and the text must say so too: `S` is one bit from `C`."""
        kind = self._options.rdw
        if column.code != RDW or not kind or sample.rdw_select != _SELECTED[kind]:
            return column
        return self._profile.by_code[f"{RDW}-{kind}"]


def _read(metric: Metric, cell: Cell) -> tuple[Decimal | None, Validity, str]:
    number = read_number(cell.text)
    validity, reason = judge(number, has_unit=bool(metric.unit))
    if number.value is None or reason:
        return None, validity, reason
    value = number.value.scaleb(-int(metric.extra["decimals"]))
    return (value, "valid", "") if cell.flag in _PLAIN_FLAGS else (value, "questionable", "unreliable")
