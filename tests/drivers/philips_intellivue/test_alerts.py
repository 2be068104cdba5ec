"""The alert monitor: alarms on once and off once, kind and priority from their type, and what the device is doing."""

import pytest

from drivers.observation import Alert, AnyObservation, Enumeration
from drivers.philips_intellivue.alerts import MOST
from tests.drivers.masimo_ascii.port import alerts, devices, values
from tests.drivers.philips_intellivue import bedside, made
from tests.drivers.philips_intellivue.bedside import ALERTS, ANSWERS, Bedside

HIGH = made.alarm(0x4182, 0x0028, 0x0200, "** HR 131 > 120")
OFF = made.alarm(0x4BB8, 0x0016, 0x0001, "SpO2 Sans capteur é")


def said(
    here: Bedside, patient: list[bytes] | None, technical: list[bytes] | None, state: int | None = 0
) -> list[AnyObservation]:
    """What a round of both lists shows."""
    return here.rx(made.result(made.alarms(patient, technical, state), kind=0x36))


def test_on_once_and_off_once() -> None:
    here = Bedside()
    assert alerts(said(here, [], [])) == []
    first = said(here, [HIGH], [OFF])
    assert [
        (one.vendor.code, one.vendor.text, one.alert, one.priority, one.vendor_priority, one.presence)
        for one in first
        if isinstance(one, Alert) and one.vendor
    ] == [
        ("4182.0028", "** HR 131 > 120", "physiological", "medium", "0200", "on"),
        ("4BB8.0016", "SpO2 Sans capteur é", "technical", "low", "0001", "on"),
    ]
    assert alerts(said(here, [HIGH], [OFF])) == []
    again = made.alarm(0x4182, 0x0028, 0x0200, "** HR 133 > 120", state=8)
    assert alerts(said(here, [again], [OFF])) == []  # another number in its text is no other alarm
    assert alerts(said(here, [], [OFF])) == [("4182.0028", "off")]
    assert alerts(said(here, [], [])) == [("4BB8.0016", "off")]


@pytest.mark.parametrize(
    ("kind", "alert", "priority"),
    [
        (0x0001, "technical", "low"),
        (0x0002, "technical", "medium"),
        (0x0004, "technical", "high"),
        (0x0100, "physiological", "low"),
        (0x0200, "physiological", "medium"),
        (0x0400, "physiological", "high"),
        (0x0000, "physiological", "none"),
        (0x0800, "physiological", "unknown"),
    ],
)
def test_kind_and_priority(kind: int, alert: str, priority: str) -> None:
    (one,) = [one for one in said(Bedside(), [made.alarm(1, 2, kind, "x")], []) if isinstance(one, Alert)]
    assert (one.alert, one.priority, one.vendor_priority) == (alert, priority, f"{kind:04X}")


def test_a_higher_priority_is_told() -> None:
    here = Bedside()
    said(here, [HIGH], [])
    (one,) = [one for one in said(here, [made.alarm(0x4182, 0x28, 0x0400, "*** HR")], []) if isinstance(one, Alert)]
    assert (one.presence, one.priority) == ("on", "high")


def test_two_objects_with_the_same_alarm_are_one_alert_of_the_higher_priority() -> None:
    here = Bedside()
    low, high = (made.alarm(0x4B48, 0x28, kind, text, handle=kind) for kind, text in ((0x0200, "T1"), (0x0400, "T2")))
    (one,) = [one for one in said(here, [low, high], []) if isinstance(one, Alert)]
    assert (one.priority, one.vendor_priority) == ("high", "0400")
    assert alerts(said(here, [high, low], [])) == []
    assert alerts(said(here, [], [])) == [("4B48.0028", "off")]


def test_an_alarm_without_a_text() -> None:
    assert alerts(said(Bedside(), [made.alarm(1, 2, 0x0400, form=0x0201)], [])) == [("0001.0002", "on")]


def test_a_list_that_is_not_there_says_nothing() -> None:
    here = Bedside()
    said(here, [HIGH], [OFF])
    assert alerts(said(here, None, [])) == [("4BB8.0016", "off")]
    assert alerts(said(here, None, None, state=None)) == []
    assert alerts(said(here, [], None)) == [("4182.0028", "off")]


def test_a_round_in_parts() -> None:
    here = Bedside()
    parts = [made.alarms([HIGH], None), made.alarms(None, [OFF], state=None)]
    assert here.rx(made.result(parts[0], kind=0x36, part=1, count=1)) == []
    assert here.rx(made.result(parts[1], kind=0x36, part=3, count=2)) == []
    assert alerts(here.rx(made.result(kind=0x36))) == [("4182.0028", "on"), ("4BB8.0016", "on")]
    here.rx(made.result(parts[0], kind=0x36, part=1, count=1))
    assert here.rx(made.result(made.alarms([], []), kind=0x36)) == []  # the part that was last is missing
    assert here.reasons() == ["part_missing"]
    assert alerts(here.rx(made.result(made.alarms([], []), kind=0x36))) == [
        ("4182.0028", "off"),
        ("4BB8.0016", "off"),
    ]


def test_a_flood_is_bounded() -> None:
    here = Bedside()
    for part in range(4):
        listed = [made.alarm(80 * part + source, 2, 0x0400, form=0x0201) for source in range(80)]
        count = part + 1
        here.rx(made.result(made.alarms(listed, None), kind=0x36, part=1 if not part else 2, count=count))
    here.rx(made.result(kind=0x36, part=3, count=5))
    assert len(alerts(here.rx(made.result(kind=0x36)))) == MOST


@pytest.mark.parametrize(("state", "code"), [(0x8000, "0916.8000"), (0x4000, "0916.4000")])
def test_alarms_that_are_off_or_paused(state: int, code: str) -> None:
    here = Bedside()
    assert alerts(said(here, [], [], state=state)) == [(code, "on")]
    assert alerts(said(here, [], [], state=state | 8)) == []
    assert alerts(said(here, [], [])) == [(code, "off")]


def test_the_bits_of_values_are_read_until_the_alert_monitor_speaks() -> None:
    here = Bedside()
    both = made.result(made.numeric(made.HR, made.BPM, made.real(72), 3))
    assert alerts(here.rx(both)) == [("4182.0002", "on"), ("4182.0001", "on")]
    said(here, [HIGH], [])
    assert alerts(here.rx(both)) == [("4182.0002", "off")]
    assert alerts(here.rx(both)) == []


def _numbers(here: Bedside) -> list[tuple[str, str, str]]:
    return values(here.rx(made.result(*made.USUAL)))


def test_demonstration_and_test() -> None:
    """Nothing of it is of a patient: values absent, alarms off, and not in use."""
    here = Bedside()
    said(here, [HIGH], [])
    _numbers(here)
    assert devices(here.seen)[-1][1] == "in_use"
    assert alerts(said(here, [HIGH], [], state=0x0100)) == [("4182.0028", "off")]
    assert _numbers(here) == [("4182", "", "demo"), ("4BB8", "", "demo")]
    assert devices(here.seen)[-1][1] == "unknown"
    said(here, [], [], state=0x0400)
    assert _numbers(here) == [("4182", "", "test"), ("4BB8", "", "test")]
    said(here, [], [])
    assert _numbers(here)[0] == ("4182", "72", "valid")
    assert devices(here.seen)[-1][1] == "in_use"


def test_the_operating_mode_of_the_mds() -> None:
    here = Bedside()
    here.rx(made.ACCEPTED + made.create(more=(made.ava(0x0946, made.big(0x2000)),)), 0.1)
    assert _numbers(here) == [("4182", "", "demo"), ("4BB8", "", "demo")]
    standby = made.polled(made.ava(0x0946, made.big(0x0002)))
    here.rx(made.result(standby, kind=0x21, action=0x0C16))
    assert devices(here.seen)[-1][:2] == ("connected", "standby")
    here.rx(made.result(made.polled(made.ava(0x0946, made.big(0x4000))), kind=0x21, action=0x0C16))
    _numbers(here)
    assert devices(here.seen)[-1][1] == "in_use"


def test_standby_of_the_alert_monitor() -> None:
    here = Bedside().associate()
    said(here, [], [], state=0x0200)
    assert devices(here.seen)[-1][:2] == ("connected", "standby")
    _numbers(here)
    assert devices(here.seen)[-1][1] == "standby"
    said(here, [], [])
    _numbers(here)
    assert devices(here.seen)[-1][1] == "in_use"


def test_a_new_association_forgets_what_the_device_was_doing() -> None:
    here = Bedside().associate()
    said(here, [], [], state=0x0100)
    here.rx(made.ABORTED)
    here.until(here.now + 13.0)
    here.associate()
    assert _numbers(here)[0] == ("4182", "72", "valid")


def test_enumerations_are_published_raw() -> None:
    here = Bedside()
    wire = made.result(made.enumeration(0xD00C, 0xE017), made.enumeration(0xD00D, 1, 0x8000), kind=5)
    found = [one for one in here.rx(wire) if isinstance(one, Enumeration) and one.vendor]
    assert [(one.vendor.code, one.vendor.text, one.value, one.reason) for one in found if one.vendor] == [
        ("D00C", "0000 0001 E017", None, "unknown_code"),
        ("D00D", "8000 0001 0001", None, "invalid"),
    ]
    assert here.rx(wire) == []
    other = made.polled(made.ava(0x099E, made.big(0xD00C) + made.big(0) + made.big(9) + made.sized(b"")))
    (one,) = here.rx(made.result(other, kind=5))
    assert one.vendor
    assert one.vendor.text == "0000 0009"


def test_alarms_end_where_the_alert_monitor_says_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its poll is refused from now on: an alarm must not be on for ever, and the state of a value tells it again."""
    monkeypatch.setitem(ANSWERS, ALERTS, made.refusal(5))
    monkeypatch.setattr(bedside, "QUIET", b"")
    here = Bedside().associate()
    said(here, [HIGH], [], 0x4000)
    here.live(115)
    assert alerts(here.seen) == [("4182.0028", "on"), ("0916.4000", "on")]
    here.live(10)
    ended = [one for one in here.seen if isinstance(one, Alert)][2:]
    assert [(one.vendor.code, one.presence) for one in ended if one.vendor] == [
        ("4182.0028", "off"),
        ("0916.4000", "off"),
    ]
    assert {(one.validity, one.reason) for one in ended} == {("not_available", "not_sent")}
    here.seen.clear()
    here.rx(made.result(made.numeric(made.HR, made.BPM, made.real(72), 0x0002)), 1.0)
    assert alerts(here.seen) == [("4182.0002", "on")]
