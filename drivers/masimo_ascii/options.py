"""What the profile fixes: how many hexadecimal digits the two status words have. There is nothing to configure."""

from typing import Annotated

from msgspec import Meta, Struct


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `masimo_ascii` driver."""

    alarm_digits: Annotated[int, Meta(ge=1, le=8)] = 4
    """Digits of ALARM; the profile's."""
    exc_digits: Annotated[int, Meta(ge=1, le=8)] = 6
    """Digits of EXC; the profile's."""
