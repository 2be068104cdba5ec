"""What the configuration may say to the driver."""

from typing import Literal

from msgspec import Struct

from drivers.results import require_loinc


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `sysmex_kx` driver."""

    protocol_class: Literal["A", "B"] = "A"
    """As set on the analyzer. A: it waits for no answer, and none is sent. B: it waits for ACK or NAK."""
    rdw: Literal["", "SD", "CV"] = ""
    """KX-21: which of the two the one column RDW is, as set on the analyzer; the text must say the same."""
    layout: Literal["kx_21", "kx_21n"] = "kx_21"
    """Set by the profile."""
    loinc: dict[str, str] = {}
    """Parameter to LOINC, from the site's own mapping."""

    def __post_init__(self) -> None:
        """Refuse a LOINC code that cannot be one. Raises `ValueError`, which msgspec passes on with the path."""
        require_loinc(self.loinc)
