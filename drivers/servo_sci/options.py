"""What the configuration may say to the driver, beside what the whole SERVO family has."""

from typing import Annotated, ClassVar

from msgspec import Meta

from drivers.servo_cie.options import Codes, ServoOptions, codes_of


class Options(ServoOptions, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `servo_sci` driver."""

    limits_s: Annotated[float, Meta(ge=5, le=600)] = 30.0
    """Alarm limits, each this many seconds."""
    limits: Codes = ()
    """Alarm limits to read; all of the profile's table unless named."""

    RANGES: ClassVar[dict[str, tuple[int, int]]] = {
        "C": (0, 99),
        "B": (100, 399),
        "S": (400, 599),
        "L": (600, 799),
        "A": (800, 999),
    }
    MOST: ClassVar[dict[str, int]] = {"C": 6, "B": 100, "S": 100, "L": 100, "A": 100}

    @property
    def chosen(self) -> dict[str, tuple[str, ...]]:
        """The channels that were named, by class; L are alarm limits."""
        return {**super().chosen, "L": codes_of(self.limits)}

    @property
    def periods_s(self) -> dict[str, float]:
        """How often each class is polled."""
        return {**super().periods_s, "L": self.limits_s}
