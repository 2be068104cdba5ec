"""What is polled, under which invoke id and poll number, and what the allow-list must hold.

The numbers tell polls that run side by side apart; those of the keep-alive, the numerics, the curves and the alerts
are what public programs send (VSCaptureMP, DataConstants), and the enumerations follow them.
"""

from collections.abc import Mapping

from msgspec import Struct

from drivers.philips_intellivue import pdus
from drivers.philips_intellivue.association import CURVES as WITH_CURVES
from drivers.philips_intellivue.association import ENUMERATIONS, ONE_SECOND, PollProfile

ALIVE, VALUES, CURVES, ALERTS, STATES = "mds", "numerics", "curves", "alerts", "enumerations"
PERIOD_TICKS = 2500
"""Shortest poll period that is asked for; it keeps the association time-out at its least, 10 s."""
MTU_SERIAL, MTU_LAN, MTU_SENT = 1000, 1364, 1000
"""Largest units: what the guide lets be negotiated on either line (page 71), and far more than a poll has."""


class Poll(Struct, frozen=True):
    """One kind of poll."""

    kind: int
    group: int
    invoke: int
    number: int

    def single(self) -> bytes:
        """Asked for once."""
        return pdus.poll(self.kind, self.group, self.invoke, self.number)

    def extended(self) -> bytes:
        """Asked for 600 s."""
        return pdus.extended_poll(self.kind, self.group, self.invoke, self.number)

    def is_answered_by(self, result: pdus.PollResult) -> bool:
        """Whether a result names this poll."""
        return (result.invoke, result.number) == (self.invoke, self.number)


POLLS: Mapping[str, Poll] = {
    ALIVE: Poll(pdus.MDS, pdus.MDS_GROUP, 1, 1),
    VALUES: Poll(pdus.NUMERICS, pdus.ALL, 3, 2),
    CURVES: Poll(pdus.WAVES, pdus.ALL, 4, 3),
    ALERTS: Poll(pdus.ALERTS, pdus.ALERT_GROUP, 5, 4),
    STATES: Poll(pdus.ENUMERATIONS, pdus.ALL, 6, 5),
}
BY_KIND: Mapping[int, str] = {poll.kind: key for key, poll in POLLS.items()}
BY_INVOKE: Mapping[int, str] = {poll.invoke: key for key, poll in POLLS.items()}


def wanted(*, is_lan: bool, has_curves: bool) -> PollProfile:
    """What is asked for: numerics of each second, enumerations, and curves where the options name some."""
    extensions = ONE_SECOND | ENUMERATIONS | (WITH_CURVES if has_curves else 0)
    return PollProfile(PERIOD_TICKS, MTU_LAN if is_lan else MTU_SERIAL, MTU_SENT, extensions)
