"""Answers in, observations out; what is asked and when; that curves and everything unlisted cannot be asked for."""

import random
from typing import Any

import pytest

from drivers import catalog
from drivers.hamilton_g5.frames import question
from drivers.observation import Alert, Device, Enumeration, Numeric
from tests.contract.play import Said, busiest_minute, is_allowed, wake_until
from tests.drivers.hamilton_g5.test_frames import ERROR, answer

PROFILE = catalog.profile("hamilton_g5", "g5")
IDENTITY = {86: b"\x02A12345\x03\r", 124: answer(124, "A1.30"), 125: answer(125, "B2.10")}
MEASURED = [int(metric.code) for metric in PROFILE.metric if metric.extra["group"] == "measured"]


class Ventilator:
    """A G5 played by hand: answers 32 ms after each question; parameters in `mute` get none, in `refuses` RERROR."""

    def __init__(self, **options: Any) -> None:
        self.driver: Any = catalog.create(PROFILE, options)
        self.mute: set[int] = set()
        self.refuses: set[int] = set()
        self.is_dead = False
        self.now = 0.0
        self.said = Said().take(self.driver.start(0.0), 0.0)
        self.answered = 0

    def rx(self, data: bytes) -> Said:
        """Bytes from the ventilator, and what the driver said at once."""
        output = self.driver.receive(data, self.now)
        self.said.take(output, self.now)
        return Said().take(output, self.now)

    def live(self, until: float) -> Said:
        """Answer whatever is asked."""
        while self.now < until:
            if self.answered < len(self.said.sent):
                _t, sent = self.said.sent[self.answered]
                self.answered += 1
                asked = sent[1]
                if asked not in self.mute and not self.is_dead:
                    self.now += 0.032
                    self.rx(ERROR if asked in self.refuses else IDENTITY.get(asked, answer(asked, "   12")))
                continue
            self.now = min(until, self.said.wake_at if self.said.wake_at is not None else until)
            wake_until(self.driver, self.said, self.now)
        return self.said

    def asked(self, since: int = 0) -> list[int]:
        """The parameters that were asked for, in order."""
        return [sent[1] for _t, sent in self.said.sent[since:]]

    def texts(self, parameter: int) -> list[tuple[str, str]]:
        """Text and reason of what was said of one parameter."""
        seen = (o for o in self.said.values if isinstance(o, Numeric | Enumeration) and o.vendor)
        return [(o.vendor.text, o.reason) for o in seen if o.vendor and o.vendor.code == str(parameter)]


def test_who_it_is_then_measured_values_alarms_settings() -> None:
    g5 = Ventilator()
    g5.live(8.0)
    assert g5.asked()[:6] == [86, 124, 125, 35, 36, 37]
    order = [PROFILE.by_code[str(each)].extra["group"] for each in g5.asked()[3:79]]
    assert order == ["measured"] * 34 + ["alarm"] * 15 + ["setting"] * 27
    (device,) = [o for o in g5.said.observations if isinstance(o, Device) and len(o.identity) == 3]
    assert device.identity == {"number": "A12345", "software_124": "A1.30", "software_125": "B2.10"}


def test_everything_is_published_as_sent_and_nothing_has_a_value() -> None:
    g5 = Ventilator()
    g5.live(60.0)
    assert {o.vendor.code for o in g5.said.values if o.vendor} == set(PROFILE.by_code)
    assert all(getattr(o, "value", None) is None and o.validity == "not_available" for o in g5.said.values)
    assert g5.texts(61) == [("   12", "unit_unknown")]
    assert g5.texts(94) == [("   12", "unknown_code")]
    assert not [o for o in g5.said.observations if isinstance(o, Alert)]
    g5.rx(answer(61, "   13") + answer(61, "   13"))
    assert g5.texts(61)[1:] == [("   13", "unit_unknown")]


def test_the_pace() -> None:
    g5 = Ventilator()
    g5.live(120.0)
    g5.said.sent.clear()
    g5.answered = 0
    g5.live(180.0)
    assert [g5.asked().count(parameter) for parameter in (35, 94, 40, 123, 86)] == [6, 6, 1, 1, 0]
    times = [t for t, _sent in g5.said.sent]
    assert all(later - earlier >= 0.036 for earlier, later in zip(times, times[1:], strict=False))


def test_refused_is_absent_and_asked_at_the_same_pace() -> None:
    g5 = Ventilator()
    g5.refuses = {35, 40}
    g5.live(61.0)
    assert g5.texts(35) == [("", "refused")]
    assert g5.texts(40) == [("", "refused")]
    assert g5.asked().count(35) == 7
    assert ("refused", "35") in [(fault.reason, fault.detail) for fault in g5.said.faults]


def test_a_refused_identity_is_no_value() -> None:
    g5 = Ventilator()
    assert g5.rx(ERROR).values == []
    g5.live(1.0)
    assert 35 in g5.asked()


def test_a_number_that_comes_twice_is_no_ratio() -> None:
    g5 = Ventilator()
    said = g5.rx(IDENTITY[86] * 2)
    assert ([fault.detail for fault in said.faults], said.values) == (["86"], [])


def test_an_error_that_nobody_caused() -> None:
    g5 = Ventilator()
    g5.rx(IDENTITY[86])
    assert [fault.detail for fault in g5.rx(ERROR).faults] == ["RERROR"]


def test_the_short_number_and_eight_bytes_elsewhere() -> None:
    g5 = Ventilator()
    said = g5.rx(b"\x02X1234\x03\r")
    assert [o.identity for o in said.observations if isinstance(o, Device)][-1] == {"number": "X1234"}
    said = g5.rx(b"\x02X1234\x03\r")
    assert (said.frames, said.rejected) == (0, {"length": 1})
    fresh = Ventilator()
    assert fresh.rx(b"\x02A1234\x03\r").rejected == {"length": 1}


def test_another_parameter_is_not_the_answer() -> None:
    g5 = Ventilator()
    said = g5.rx(answer(36, "   97"))
    assert (len(said.values), said.sent) == (1, [])
    assert [fault.detail for fault in g5.rx(answer(80, "   26")).faults] == ["80"]
    wake_until(g5.driver, g5.said, 1.0)
    assert g5.asked() == [86, 86]


def test_a_parameter_without_an_answer_does_not_stop_the_others() -> None:
    g5 = Ventilator()
    g5.mute = {60}
    g5.live(100.0)
    assert g5.asked().count(60) == 2
    assert g5.asked().count(61) >= 9
    g5.live(640.0)
    assert g5.asked().count(60) == 4


def test_silence_is_stale_asked_less_often_and_comes_back_whole() -> None:
    g5 = Ventilator()
    g5.live(30.0)
    g5.is_dead = True
    since = len(g5.said.sent)
    g5.live(630.0)
    assert [o.connection for o in g5.said.observations if isinstance(o, Device)][-1] == "stale"
    assert set(g5.asked(since + 2)) == {86}
    assert len(g5.asked(since)) <= 30
    g5.is_dead = False
    g5.live(700.0)
    assert [o.connection for o in g5.said.observations if isinstance(o, Device)][-1] == "connected"
    assert set(MEASURED) - set(g5.asked(since + 30)) <= {g5.asked(since)[0]}


def test_stop() -> None:
    g5 = Ventilator()
    g5.live(1.0)
    output = g5.driver.stop(2.0)
    assert (output.send, output.wake_at) == (b"", None)
    assert [o.connection for o in output.observations if isinstance(o, Device)] == ["disconnected"]
    after = g5.driver.receive(answer(35, " 38.0"), 3.0)
    assert (after.observations, after.frames) == ((), 1)
    assert g5.driver.wake(500.0).observations == ()


def test_all_that_can_be_sent_is_the_allow_list() -> None:
    g5 = Ventilator()
    g5.live(100.0)
    allowed = {bytes.fromhex(rule.hex) for rule in PROFILE.allowed}
    assert {sent for _t, sent in g5.said.sent} == allowed
    assert len(allowed) == 79
    for parameter in range(256):
        is_read = str(parameter) in PROFILE.by_code or parameter in (86, 124, 125)
        assert is_allowed(PROFILE, question(parameter)) == is_read
    for curve_or_clock in (34, 120, *range(80, 86)):
        assert not is_allowed(PROFILE, question(curve_or_clock))
    assert not is_allowed(PROFILE, answer(40, "    3")), "and nothing that could be a setting"


@pytest.mark.parametrize("storm", ["noise", "errors", "unasked", "broken"])
def test_a_storm_of_an_hour_does_not_raise_the_rate(storm: str) -> None:
    calm = Ventilator()
    calm.live(300.0)
    data = {
        "noise": random.Random(1).randbytes(200),
        "errors": ERROR * 20,
        "unasked": answer(35, "   12") * 20,
        "broken": b"\x02# 3\x03\r" * 20,
    }[storm]
    g5 = Ventilator()
    g5.live(10.0)
    for second in range(11, 3600):
        wake_until(g5.driver, g5.said, float(second))
        g5.said.take(g5.driver.receive(data, float(second)), float(second))
    assert busiest_minute(PROFILE, g5.said.sent) <= busiest_minute(PROFILE, calm.said.sent)
    assert all(is_allowed(PROFILE, sent) for _t, sent in g5.said.sent)


def test_the_fastest_options_stay_within_the_budget() -> None:
    g5 = Ventilator(measured_s=10, alarms_s=10, settings_s=30)
    g5.live(400.0)
    assert busiest_minute(PROFILE, g5.said.sent) <= PROFILE.protocol.max_send_per_minute
