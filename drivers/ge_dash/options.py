"""What the configuration may say to the driver: nothing."""

from msgspec import Struct


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `ge_dash` driver: none. Whether the box asks is the choice of the profile."""
