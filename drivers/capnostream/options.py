"""What the configuration may say to the driver."""

from typing import Annotated

from msgspec import Meta, Struct


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `capnostream` driver."""

    settings_s: Annotated[float, Meta(ge=1, le=600)] = 10.0
    """Alarm limits that did not change are said again each this many seconds."""
