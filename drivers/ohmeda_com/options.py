"""What the configuration may say to the driver: nothing."""

from msgspec import Struct


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `ohmeda_com` driver: none. The machine sends at its own pace."""
