"""What the configuration may say to the driver: the online parameters of the analyzer, as the laboratory set them."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from drivers.results import require_loinc

Place = Annotated[int, Meta(ge=0, le=1000)]
Count = Annotated[int, Meta(ge=1, le=100)]
Span = tuple[Place, Count]
"""First character and number of characters."""


class Layout(Struct, frozen=True, forbid_unknown_fields=True):
    """Where things stand in a text. Places count from 0, the first letter of the text's class."""

    specimen: Span = (15, 10)
    sample: Span = (11, 4)
    """The analyzer's own number of the sample."""
    block: Annotated[int, Meta(ge=-1, le=1000)] = 29
    """Where the number of the block stands (0, 1, … and E in the last); -1: there is none."""
    tests: Place = 30
    """Where the first test begins."""
    width: Count = 21
    """Characters of one test; the places below count from its first."""
    code: Span = (1, 3)
    value: Span = (4, 9)
    marks: Span = (13, 8)
    mark_width: Count = 2

    def __post_init__(self) -> None:
        """Refuse a layout whose parts do not fit. Raises `ValueError`, which msgspec passes on with the path."""
        for name in ("code", "value", "marks"):
            first, length = getattr(self, name)
            if first + length > self.width:
                raise ValueError(f"{name} ends at {first + length}, beyond the {self.width} characters of a test")
        for name in ("specimen", "sample"):
            first, length = getattr(self, name)
            if first + length > self.tests:
                raise ValueError(f"{name} ends at {first + length}, where the tests (from {self.tests}) have begun")
        if self.block >= self.tests:
            raise ValueError(f"block is {self.block}, where the tests (from {self.tests}) have begun")
        if self.marks[1] % self.mark_width:
            raise ValueError(f"marks have {self.marks[1]} characters: no multiple of mark_width, {self.mark_width}")


_CONTROL = Layout(specimen=(26, 3), tests=32, width=20, code=(0, 3), value=(3, 9), marks=(12, 8))


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `beckman_au` driver. From the start: as one public program reads an AU5800."""

    protocol_class: Literal["A", "B"] = "A"
    """As set on the analyzer. A: it waits for no answer, and none is sent. B: it waits for ACK or NAK."""
    bcc: bool = True
    """A block check character follows the end of the text. Without it nothing verifies a digit."""
    result: Layout = Layout()
    """Texts `D `, `DH`, `d `, `dH`."""
    control: Layout = _CONTROL
    """Texts `DQ`."""
    units: dict[str, str] = {}
    """Test number to UCUM, as on the print-out; a test that is not here has no value, only its text."""
    loinc: dict[str, str] = {}
    """Test number to LOINC, from the site's own mapping."""
    plain_marks: tuple[str, ...] = ()
    """Marks that say nothing against a result; with any other it is doubted."""

    def __post_init__(self) -> None:
        """Refuse a LOINC code that cannot be one. Raises `ValueError`, which msgspec passes on with the path."""
        require_loinc(self.loinc)
