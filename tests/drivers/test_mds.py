"""What is told of a device: changes, not repeats."""

from decimal import Decimal

import msgspec

from drivers.mds import Mds
from drivers.observation import Alert, Device, Numeric, Vendor


def alert(code: str, priority: str = "high") -> Alert:
    return msgspec.convert(
        {"kind": "alert", "validity": "valid", "alert": "technical", "priority": priority, "presence": "on"}
        | {"vendor": {"code": code}},
        Alert,
    )


def value(code: str, number: str | None, reason: str = "") -> Numeric:
    return Numeric(
        vendor=Vendor(code, number or ""),
        validity="valid" if number else "not_available",
        reason=reason,
        value=Decimal(number) if number else None,
        unit="%",
        category="measurement",
    )


def presence(seen: list[object]) -> list[tuple[str, str]]:
    return [(one.vendor.code, one.presence) for one in seen if isinstance(one, Alert) and one.vendor]


def test_an_alert_goes_on_once_and_off_once() -> None:
    mds = Mds()
    steps = [{"A": alert("A")}, {"A": alert("A")}, {"A": alert("A"), "B": alert("B")}, {"B": alert("B")}, {}, {}]
    said = [presence(list(mds.alerts("27", active))) for active in steps]
    assert said == [[("A", "on")], [], [("B", "on")], [("A", "off")], [("B", "off")], []]


def test_sources_do_not_end_each_others_alerts() -> None:
    mds = Mds()
    mds.alerts("27", {"A": alert("A")})
    assert mds.alerts("2E", {}) == []
    assert presence(list(mds.alerts("27", {}))) == [("A", "off")]


def test_another_priority_is_told_another_time_is_not() -> None:
    mds = Mds()
    mds.alerts("27", {"A": alert("A")})
    later = msgspec.structs.replace(alert("A"), device_time="12:00:01")
    assert mds.alerts("27", {"A": later}) == []
    assert presence(list(mds.alerts("27", {"A": alert("A", "low")}))) == [("A", "on")]


def test_an_alert_that_is_on_while_the_port_is_reopened_still_ends() -> None:
    mds = Mds()
    mds.alerts("27", {"A": alert("A")})
    mds.restart()
    assert presence(list(mds.alerts("27", {}))) == [("A", "off")]


def test_the_end_of_an_alert_has_the_time_of_its_end() -> None:
    mds = Mds()
    mds.device_time = "12:00:00"
    mds.alerts("27", {"A": msgspec.structs.replace(alert("A"), device_time="12:00:00")})
    mds.device_time = "12:00:09"
    assert [one.device_time for one in mds.alerts("27", {})] == ["12:00:09"]


def test_alerts_of_a_device_that_is_gone_end_and_say_why() -> None:
    mds = Mds()
    mds.alerts("27", {"A": alert("A")})
    mds.alerts("2E", {"B": alert("B")})
    ended = mds.end_alerts("wrong_device")
    assert presence(list(ended)) == [("A", "off"), ("B", "off")]
    assert {(one.validity, one.reason) for one in ended} == {("not_available", "wrong_device")}
    assert mds.alerts("27", {}) == []


def test_the_device_is_told_when_it_changes() -> None:
    mds = Mds()
    said = [
        mds.link("connected"),
        mds.link("connected"),
        mds.operate("in_use"),
        mds.operate("in_use"),
        mds.identify({"model": "840"}),
        mds.identify({"model": "840"}),
        mds.link("stale", "silence"),
    ]
    assert [len(one) for one in said] == [1, 0, 1, 0, 1, 0, 1]
    last = said[-1][0]
    assert isinstance(last, Device)
    assert (last.connection, last.operating, last.reason) == ("stale", "unknown", "silence")


def test_an_absence_is_said_once_for_each_reason_and_again_after_a_value() -> None:
    mds = Mds()
    steps = [
        (value("x", None, "missing"), 1),
        (value("x", None, "missing"), 0),
        (value("x", None, "standby"), 1),
        (value("x", "21"), 1),
        (value("x", "21"), 1),
        (value("x", None, "missing"), 1),
    ]
    assert [len(mds.values([one])) for one, _count in steps] == [count for _one, count in steps]


def test_what_must_not_be_believed_is_withdrawn() -> None:
    (gone,) = Mds().withdraw("wrong_device", [value("x", "21")])
    assert isinstance(gone, Numeric)
    assert (gone.value, gone.validity, gone.reason) == (None, "not_available", "wrong_device")
