"""What differs between the analyzers of this protocol, as data: a profile sets it, the configuration may too."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Ordinal = Annotated[int, Meta(ge=1, le=64)]


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `astm` driver; fields and components are numbered from 1 as the standard does."""

    encoding: Literal["latin-1", "cp1252", "cp850", "utf-8"] = "latin-1"
    specimen_field: Ordinal = 3
    """Field of the O record that holds the specimen id."""
    specimen_component: Ordinal = 1
    test_component: Ordinal = 4
    """Component of R-3 that holds the maker's test code."""
    decimal_comma: bool = False
    """The device prints `1,5`; then a point is not a decimal sign."""
    status_from_order: bool = False
    """Where R-9 is empty, the report type of the order (O-26) tells the status."""
    masked_flags: tuple[str, ...] = ()
    """R-7 flags with which the device withholds the result."""
    unreliable_flags: tuple[str, ...] = ()
    """R-7 flags with which the device doubts the result."""
    qc_specimen_prefix: str = ""
    """Specimen ids that begin so are quality control."""
    units: dict[str, str] = {}
    """The device's unit to UCUM; a unit that is not here is published as the device's word alone."""
    identity: dict[Literal["model", "software", "serial"], Ordinal] = {}
    """Components of H-5 that tell the device."""
