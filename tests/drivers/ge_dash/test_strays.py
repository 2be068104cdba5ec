"""A datagram of another monitor on a port that is never opened again."""

from tests.drivers.ge_dash.made import HEART, parameters
from tests.drivers.masimo_ascii.port import port, values

OTHER = bytes((126, 9, 9, 9))


def test_a_monitor_that_is_long_alone_again_is_read_again() -> None:
    """A datagram that strayed here, the first one of all even, does not end the watch over a bed for ever."""
    for strays in (1, 2):
        made = port("ge_dash", "dash")
        if strays == 2:
            made.rx(parameters([HEART], 1, address=OTHER), 1.0)
        made.rx(parameters([HEART], 2), 1.0)
        made.rx(parameters([HEART], 3, address=OTHER), 1.0)
        made.seen.clear()
        for turn in range(150):
            made.rx(parameters([HEART], 4 + turn), 2.0)
            assert ("3A.0", "61", "valid") not in values(made.seen), "two have spoken a moment ago"
        made.rx(parameters([HEART], 200), 2.0)
        made.rx(parameters([HEART], 201), 2.0)
        assert ("3A.0", "61", "valid") in values(made.seen)
        made.rx(parameters([HEART], 202, address=OTHER), 2.0)
        assert values(made.seen)[-1][2] == "wrong_device"
