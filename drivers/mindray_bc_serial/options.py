"""What the configuration may say to the driver."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from drivers.results import require_loinc


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `mindray_bc_serial` driver."""

    id_length: Annotated[int, Meta(ge=1, le=20)] = 10
    """Digits of the sample id; the text says the same number, or it is refused."""
    rbc_decimals: Literal[0, 1, 2] = 0
    """Decimals of RBC's three digits, compared at the site with the analyzer's screen; 0: RBC is published raw."""
    loinc: dict[str, str] = {}
    """Parameter to LOINC, from the site's own mapping."""

    def __post_init__(self) -> None:
        """Refuse a LOINC code that cannot be one. Raises `ValueError`, which msgspec passes on with the path."""
        require_loinc(self.loinc)
