"""What the configuration may say to the driver."""

from typing import Annotated

from msgspec import Meta, Struct

from drivers.results import require_loinc


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `horiba_abx` driver."""

    specimen_field: Annotated[str, Meta(pattern="^[!-~]$")] = "u"
    """Identifier of the field that holds the specimen id."""
    time_field: Annotated[str, Meta(pattern="^[!-~]$")] = "q"
    """Identifier of the field that holds the time of the analysis."""
    loinc: dict[str, str] = {}
    """Identifier to LOINC, from the site's own mapping."""

    def __post_init__(self) -> None:
        """Refuse a LOINC code that cannot be one. Raises `ValueError`, which msgspec passes on with the path."""
        require_loinc(self.loinc)
