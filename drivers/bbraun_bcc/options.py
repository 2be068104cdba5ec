"""What the configuration may say to the driver: character stuffing as the device has it, and the cadence."""

from typing import Annotated

from msgspec import Meta, Struct


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of the `bbraun_bcc` driver."""

    stuffing: bool = True
    """Character stuffing, exactly as the device's web page has it."""
    poll_s: Annotated[float, Meta(ge=2, le=15)] = 5.0
    """All pumps, each this many seconds; a large rack on a slow line takes longer by itself."""
