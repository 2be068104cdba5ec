"""What the configuration may say to the driver: what a laboratory sets on its VIDAS."""

from typing import Literal

from msgspec import Struct

from drivers.results import require_loinc


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `biomerieux_bci` driver."""

    encoding: Literal["latin-1", "cp1252", "cp850", "utf-8"] = "latin-1"
    date_order: Literal["", "mdy", "dmy", "ymd"] = ""
    """Order of day, month and year as set on the device; empty: the date is passed on as sent, and not read."""
    decimal_comma: bool = False
    """The device prints `28,94`; then a point is not a decimal sign."""
    units: dict[str, str] = {}
    """The device's unit to UCUM; a unit that is not here is published as the device's word alone."""
    loinc: dict[str, str] = {}
    """Test code (`rt`) to LOINC, from the site's own mapping."""
    qc_specimens: tuple[str, ...] = ("C1", "C2", "C3", "S1", "S2")
    """Sample ids that are controls and calibrators."""
    qc_tests: tuple[str, ...] = ("QCV",)
    """Test codes that are quality control."""

    def __post_init__(self) -> None:
        """Refuse a LOINC code that cannot be one. Raises `ValueError`, which msgspec passes on with the path."""
        require_loinc(self.loinc)
