"""What the configuration may say to the driver: how often each pump of the rack is asked."""

from typing import Annotated

from msgspec import Meta, Struct


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `fresenius_agilia` driver."""

    poll_s: Annotated[float, Meta(ge=2, le=60)] = 2.0
    """Rate and volume of each pump."""
    state_s: Annotated[float, Meta(ge=5, le=60)] = 5.0
    """Alarm, error and mode, as the pump codes them."""
    bolus_s: Annotated[float, Meta(ge=10, le=600)] = 10.0
    """Bolus rate and volume, as the pump codes them."""
    drug_s: Annotated[float, Meta(ge=30, le=600)] = 60.0
    modules_s: Annotated[float, Meta(ge=5, le=60)] = 10.0
    """Which pumps stand in the rack."""
