"""Law 3 on one line: when the box is silent, and when it tries again."""

from drivers import catalog
from drivers.contract import NOISE, Fault, Output
from gateway.ports.gate import SendGate
from gateway.ports.trust import NOISE_QUIET_S, QUIET_S, LineTrust

PROTOCOL = catalog.profile("philips_intellivue", "intellivue").protocol
"""Of a device that only answers."""
GOOD, NOISY = Output(frames=1), Output(faults=(Fault(NOISE),))


class _Line:
    """A line whose other end answers with noise each time it is asked."""

    def __init__(self) -> None:
        self.gate = SendGate((), 0, may_send=True)
        self.trust = LineTrust(self.gate, PROTOCOL)

    def asked_in(self, begin: float, end: float) -> list[float]:
        asked = []
        for now in range(int(begin), int(end)):
            self.trust.about_to_send(now)
            if not self.gate.is_silenced:
                asked.append(now - begin)
                assert self.trust.heard(NOISY, now) == "unverified"
        return asked


def test_who_was_never_verified_is_asked_ever_later() -> None:
    assert _Line().asked_in(0.0, 3000.0) == [0, QUIET_S[0], QUIET_S[0] + QUIET_S[1], sum(QUIET_S[:3])]


def test_noise_of_one_who_was_verified_is_a_short_pause() -> None:
    line = _Line()
    line.trust.heard(GOOD, 0.0)
    assert line.asked_in(1.0, 120.0) == [0, *(sum(NOISE_QUIET_S[:n]) for n in (1, 2, 3, 4))]
    line.trust.heard(GOOD, 200.0)
    assert not line.gate.is_silenced


def test_after_a_lost_port_it_may_be_another_device() -> None:
    line = _Line()
    line.trust.heard(GOOD, 0.0)
    line.trust.reopened(100.0)
    assert line.asked_in(100.0, 400.0) == [0, QUIET_S[0]]


def test_a_plug_that_was_put_in_is_not_left_for_an_hour() -> None:
    line = _Line()
    line.asked_in(0.0, 6000.0)
    line.trust.reopened(6000.0)
    assert line.asked_in(6000.0, 6100.0) == [QUIET_S[0]]
