"""What the profile fixes: whose title it takes. There is nothing to configure."""

from msgspec import Struct


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `nellcor_ascii` driver."""

    models: tuple[str, ...] = ()
    """What a title must begin with; empty where no title of the family is documented. The profile's."""
