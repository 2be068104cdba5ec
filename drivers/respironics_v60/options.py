"""What the configuration may say to the driver, and what a profile fixes: the report and its size."""

from typing import Annotated, Literal

from msgspec import Meta, Struct


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `respironics_v60` driver."""

    poll_s: Annotated[float, Meta(ge=2, le=60)] = 2.0
    """The report, each this many seconds; at 9600 baud one takes a second."""
    report: Literal["VRPT", "SNDA"] = "VRPT"
    """The command that is sent; the profile's."""
    answer: Annotated[str, Meta(pattern=r"^[A-Z]{4,5}$")] = "VRPT"
    """The name its answer bears; the profile's."""
    characters: Annotated[int, Meta(ge=1, le=999)] = 988
    """Characters between STX and ETX; the profile's."""
    fields: Annotated[int, Meta(ge=1, le=999)] = 133
    """Fields between STX and ETX; the profile's."""
    raw: tuple[int, ...] = ()
    """Numbers of fields that are published as sent, because no source gives their unit; the profile's."""
