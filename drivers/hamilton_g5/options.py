"""What the configuration may say to the driver: how often each group of parameters is asked for."""

from typing import Annotated

from msgspec import Meta, Struct


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `hamilton_g5` driver."""

    measured_s: Annotated[float, Meta(ge=10, le=600)] = 10.0
    """Measured values: 34 questions, about four seconds of the line."""
    alarms_s: Annotated[float, Meta(ge=10, le=600)] = 10.0
    settings_s: Annotated[float, Meta(ge=30, le=3600)] = 60.0
    """Settings and alarm limits."""

    def period_s(self, group: str) -> float:
        """How often one group is asked for."""
        return {"measured": self.measured_s, "alarm": self.alarms_s}.get(group, self.settings_s)
