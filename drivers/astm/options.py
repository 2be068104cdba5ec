"""What differs between the analyzers of this protocol, as data: a profile sets it, the configuration may too.

A laboratory whose analyzer is not listed writes its own over the profile `generic`. What cannot be right is refused
with a sentence that says what would be.
"""

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

from drivers.results import Absence, is_loinc, require_patterns

Ordinal = Annotated[int, Meta(ge=1, le=64)]

_UCUM = re.compile(r"[!-~]{1,40}")
"""A UCUM unit has no blanks and no letters beyond ASCII; whether it is the right one, nobody here can know."""


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `astm` driver; fields and components are numbered from 1 as the standard does."""

    encoding: Literal["latin-1", "cp1252", "cp850", "utf-8"] = "latin-1"

    # Who speaks (H-5).
    identity: dict[Literal["model", "software", "serial"], Ordinal] = {}
    """Components of H-5 that tell the device."""
    senders: tuple[str, ...] = ()
    """How the model in H-5 begins; another one is a wrong device. Empty: whoever speaks is believed."""

    # Whose specimen it is (O).
    specimen_field: Ordinal = 3
    """Field of the O record that holds the specimen id."""
    specimen_component: Ordinal = 1
    specimen_alone: bool = False
    """A specimen field without any component separator is the id as a whole."""
    unread_specimen: str = ""
    """Ids that begin so were made up by the device, which could not read the barcode: they name nobody."""
    qc_specimen_prefix: str = ""
    """Specimen ids that begin so are quality control."""
    qc_component: int = 0
    """Component of O-4 that says `QC` for a control; 0: there is none."""
    run_component: int = 0
    """Component of O-4 that is the device's own number of the run; 0: there is none."""
    status_from_order: bool = False
    """Where R-9 is empty, the report type of the order (O-26) tells the status."""

    # Which test it is.
    test_components: tuple[Ordinal, ...] = (4,)
    """Components of R-3 that make the maker's test code, joined by `^` where there are several."""
    test_separator: str = ""
    test_part: Ordinal = 1
    """Where the code is one part of its component, e.g. `1.0000+950+1.0` or `685/`."""
    message_flags: tuple[str, ...] = ()
    message_suffix: str = ""
    """A test without a row in the profile is a message if it ends so, or has such a flag and no unit."""

    # What the value says.
    value: Literal["whole", "text_number", "number_message"] = "whole"
    """R-4 as a whole; or a text and a number, two components; or two, of which the first is a number if alone."""
    decimal_comma: bool = False
    """The device prints `1,5`; then a point is not a decimal sign."""
    answers: tuple[str, ...] = ()
    """Words that are a result: regular expressions, each for the whole word in any case, as `Positif`, `[1-4]\\+`.

    Where there are some, another word in their place is given out too, and doubted; where there are none, words are
    no result.
    """
    words: dict[str, Absence] = {}
    """Words in the place of a result, in the device's language, that mean that there is none, and why."""
    image_prefix: str = ""
    """Values that begin so are names of image files."""
    status_required: bool = False
    """A row without a status in R-9 is a detail of the result above it and no result."""
    masked_flags: tuple[str, ...] = ()
    """R-7 flags with which the device withholds the result."""
    unreliable_flags: tuple[str, ...] = ()
    """R-7 flags with which the device doubts the result."""
    plain_flags: tuple[str, ...] = ()
    """Where the meaning of the flags is not known: those that say nothing. With any other the result is doubted."""

    # Words for what it says.
    units: dict[str, str] = {}
    """The device's unit to UCUM; a unit that is not here is published as the device's word alone."""
    no_units: tuple[str, ...] = ()
    """What stands in the place of a unit and is none; without `test_units` such a result has no value."""
    test_units: dict[str, str] = {}
    """Test code to UCUM, confirmed at the site, where the device sends no unit."""
    loinc: dict[str, str] = {}
    """Test code to LOINC, from the site's own mapping. Codes that a device sends are not believed."""
    private_comments: tuple[str, ...] = ()
    """First components of comments that a person types: names stand in them, and they are not published."""
    order_flags: bool = False
    """Comments on the order that the device calls its own flags (C-5 is I) concern all of the order's results."""
    reagent_record: str = ""
    """M-3 of the record that lists the reagents and their lots."""
    lot_component: int = 0
    """Component of R-14 that is the lot of the reagent; 0: there is none."""

    def __post_init__(self) -> None:
        """Refuse what cannot be right. Raises `ValueError`, a sentence, which msgspec passes on with the path."""
        if not self.test_components:
            raise ValueError("test_components is empty: name at least one component of R-3, for example [4]")
        if self.test_part > 1 and not self.test_separator:
            raise ValueError(
                f"test_part is {self.test_part} without a test_separator: give the sign that parts the code"
            )
        for key, field in (("qc_component", "O-4"), ("run_component", "O-4"), ("lot_component", "R-14")):
            if getattr(self, key) not in range(65):
                raise ValueError(f"{key} is {getattr(self, key)}: a component of {field} from 1 to 64, or 0 for none")
        require_patterns(self.answers)
        both = set(self.masked_flags) & set(self.unreliable_flags)
        if both:
            raise ValueError(
                f"{', '.join(sorted(both))} stands in masked_flags and in unreliable_flags: keep one of them"
            )
        for name, unit in (*self.units.items(), *self.test_units.items()):
            if not _UCUM.fullmatch(unit):
                raise ValueError(f"{unit!r}, the unit for {name!r}, is not UCUM: write it without blanks, as 10*3/uL")
        for name, code in self.loinc.items():
            if not is_loinc(code):
                raise ValueError(
                    f"{code!r}, the LOINC code for {name!r}, has a wrong form or check digit: look it up again"
                )
        for key in ("unread_specimen", "qc_specimen_prefix", "message_suffix", "image_prefix", "reagent_record"):
            if getattr(self, key) != getattr(self, key).strip():
                raise ValueError(f"{key} begins or ends with a blank: fields are compared without their padding")
