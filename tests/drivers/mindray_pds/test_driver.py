"""The dialogue: the query twice, the echo each second, nothing else whatever comes; links that come and go."""

import random
from collections import Counter
from typing import Any

import msgspec
import pytest

from drivers import catalog
from drivers.observation import Alert, Device
from tests.contract.play import is_allowed
from tests.drivers.mindray_pds.messages import (
    ECHO,
    QUERY,
    SECRETS,
    Bench,
    alerts,
    bench,
    ce,
    message,
    nm,
    patient,
    profile,
    values,
    vital,
)


def links(seen: list[Any]) -> list[tuple[str, str, str]]:
    """Device observations: link, state, reason."""
    return [(o.connection, o.operating, o.reason) for o in seen if isinstance(o, Device)]


def minute(sent: list[tuple[float, bytes]]) -> int:
    """The most messages within any 60 seconds."""
    times = [t for t, data in sent for _n in range(data.count(b"\x0b"))]
    return max((sum(t <= u < t + 59.999 for u in times) for t in times), default=0)


def test_a_connection_begins_with_query_and_echo() -> None:
    made = bench()
    assert made.sent == [(100.0, QUERY + ECHO)]
    made.until(103.5)
    assert made.sent[1:] == [(101.0, ECHO), (102.0, ECHO), (103.0, ECHO)]


def test_the_query_is_sent_once_more_after_the_first_echo_and_never_again() -> None:
    made = bench()
    made.rx(patient() + message(54) + message(56), 0.3)
    assert made.sent == [(100.0, QUERY + ECHO)]
    made.rx(ECHO, 0.2)
    assert made.sent[1:] == [(100.5, QUERY)]
    for _n in range(3600):
        made.rx(ECHO + message(54), 1.0)
    said = Counter(data for _t, data in made.sent[2:])
    assert set(said) == {ECHO}
    assert minute(made.sent[2:]) <= 61


def test_two_echoes_in_one_read_are_one_query() -> None:
    made = bench()
    made.rx(ECHO + ECHO + ECHO)
    assert [data for _t, data in made.sent] == [QUERY + ECHO, QUERY]


@pytest.mark.parametrize("groups", ["st", ["vital", "ibp", "gas"]])
def test_what_the_configuration_asks_for_is_asked(groups: Any) -> None:
    made = bench(groups=groups)
    data = made.sent[0][1]
    assert (b"103&104&105&106" in data) == (groups == "st")
    assert (b"500&501&502&600" in data) == (groups != "st")
    assert is_allowed(profile(), data)


@pytest.mark.parametrize("groups", [["heart"], [], ""])
def test_a_group_that_is_not_there_is_refused(groups: Any) -> None:
    with pytest.raises(msgspec.ValidationError, match="a group is one of vital"):
        catalog.create(profile(), {"groups": groups})


def test_a_connection_that_comes_back_at_once_waits_with_its_query() -> None:
    made = bench()
    made.rx(ECHO)
    made.now = 100.4
    made.start()
    assert made.sent[2:] == []
    made.rx(ECHO)
    made.until(110.5)
    assert [t for t, data in made.sent if QUERY in data] == [100.0, 100.0, 110.0]
    made.rx(ECHO, 0.2)
    assert [t for t, data in made.sent if QUERY in data] == [100.0, 100.0, 110.0, 110.7]


def test_connections_that_break_all_the_time_do_not_raise_the_rate() -> None:
    made = bench()
    chance = random.Random(7)
    while made.now < 3700.0:
        made.until(made.now + chance.uniform(0.0, 3.0))
        made.rx(ECHO)
        made.start()
    assert minute(made.sent) <= profile().protocol.max_send_per_minute


@pytest.mark.parametrize("storm", ["noise", "halves", "refused", "echoes", "wrong", "queries", "nothing"])
def test_an_hour_of_storm_never_raises_the_rate(storm: str) -> None:
    chance = random.Random(storm)
    made = bench()
    while made.now < 3700.0:
        data = {
            "noise": chance.randbytes(50),
            "halves": vital()[: chance.randrange(100)],
            "refused": message(204, nm("101^HR", 2101, "60", "|x|x")),
            "echoes": ECHO * 5,
            "wrong": message(204, version="2.6"),
            "queries": QUERY,
            "nothing": b"",
        }[storm]
        made.rx(data, chance.choice([0.01, 0.5, 2.0, 3.0, 9.0]))
        made.seen.clear()
    assert {data for _t, data in made.sent} <= {QUERY + ECHO, QUERY, ECHO}
    assert sum(QUERY in data for _t, data in made.sent) <= 2
    assert minute(made.sent) <= 63


def test_link_in_use_silence() -> None:
    made = bench()
    assert links(made.rx(ECHO)) == [("connected", "unknown", "")]
    assert links(made.rx(vital(), 1.0)) == [("connected", "in_use", "")]
    assert links(made.rx(vital(), 1.0)) == []
    made.until(111.9)
    assert links(made.seen[-1:]) == []
    assert links(made.until(112.0)) == [("stale", "unknown", "silence")]
    assert links(made.until(500.0)) == []
    assert links(made.rx(vital(), 1.0)) == [("connected", "unknown", ""), ("connected", "in_use", "")]


def test_no_value_at_all_is_not_in_use() -> None:
    made = bench()
    made.rx(vital())
    none = message(204, *(nm(c, "", "-100") for c in ("101^HR", "151^RR", "160^SpO2", "161^PR")))
    assert links(made.rx(none, 1.0)) == [("connected", "unknown", "")]


def test_an_echo_without_values_is_said_once_and_the_values_are_withdrawn() -> None:
    made = bench()
    made.rx(vital())
    for _n in range(30):
        made.rx(ECHO, 1.0)
    assert made.reasons() == ["timeout"]
    assert values(made.seen) == {code: ("", "silence") for code in ("101", "151", "160", "161")}
    made.rx(vital(), 1.0)
    assert values(made.seen)["101"] == ("60", "valid")
    for _n in range(12):
        made.rx(ECHO, 1.0)
    assert made.reasons() == ["timeout"]


def test_values_that_never_came_are_missed() -> None:
    made = bench()
    for _n in range(12):
        made.rx(ECHO, 1.0)
    assert made.reasons() == ["timeout"]


def test_values_withdrawn_after_a_stale_link() -> None:
    """The link was stale when they grew old: they are withdrawn when it is back without them."""
    made = bench()
    made.rx(vital())
    made.until(150.0)
    assert values(made.seen)["101"] == ("60", "valid")
    made.rx(ECHO)
    assert values(made.seen)["101"] == ("", "silence")


def test_two_messages_in_a_row_are_another_device() -> None:
    made = bench()
    made.rx(vital())
    for _n in range(3):
        assert made.rx(message(204, version="2.6")) == []
        made.rx(vital())
    seen = made.rx(message(204, version="2.6") * 3)
    assert {reason for _value, reason in values(seen).values()} == {"wrong_device"}
    assert links(seen) == [("connected", "unknown", ""), ("connected", "unknown", "wrong_device")]
    assert made.reasons() == ["wrong_device"] * 6


def test_goodbye_is_silence() -> None:
    made = bench()
    made.rx(ECHO + vital()[:20])
    made.sent.clear()
    assert made.stop() == b""
    assert links(made.seen[-1:]) == [("disconnected", "unknown", "stopped")]
    assert made.wake_at is None
    assert made.reasons() == ["truncated"]
    assert made.rx(ECHO + vital() + message(204, version="2.6") * 2, 30.0) == []
    made.take(made.driver.wake(200.0))
    assert made.sent == []


def test_patient_data_is_dropped_and_counted() -> None:
    made = bench()
    made.rx(patient() * 2)
    made.rx(patient().replace(b"|103|", b"|503|"))  # one damaged bit
    made.rx(patient().replace(b"|103|", b"|204|"))
    made.rx(patient().replace(b"|103|", b"|58|"))
    made.rx(message(2, "OBX||ST|9999^||Lovelace||||||F", nm("7777", "", "Ada"), ce("8888", "", "Ada^1")))
    made.rx(message(204, "PID|||1||Lovelace^Ada", "OBX||ST|9998^||Lovelace||||||F", nm("101^HR", 2101, "60")))
    made.rx(message(204, "OBX||ST|9997^||Lovelace||||||F", nm("101^HR", 2101, "60")))
    made.rx(message(58, "OBX||TX|9996^||Ada||||||F"))
    text = repr(made.seen) + repr(made.faults)
    assert not any(word in text for word in SECRETS)
    assert {"9996", "9997"} <= {fault.detail for fault in made.faults}
    assert values(made.seen)["101"] == ("60", "valid")
    assert Counter(made.reasons())["patient_data"] >= 6


def test_messages_of_other_kinds() -> None:
    made = bench()
    made.rx(message(101, event="ADT^A01") + message(999, nm("101^HR", 2101, "60")))
    assert [(f.reason, f.detail, f.rejected) for f in made.faults] == [("unknown_message", "999", False)]
    assert made.frames == 2
    assert values(made.seen) == {}


def test_any_split_of_a_connection_says_the_same() -> None:
    wire = patient() + ECHO + vital() + message(54, ce("1", 1, "10002^HR")) + ECHO
    whole = bench()
    whole.rx(wire)
    for size in (1, 7, 100):
        split: Bench = bench()
        for at in range(0, len(wire), size):
            split.rx(wire[at : at + size])
        assert split.seen == whole.seen
        assert split.frames == whole.frames == 5


def test_a_start_forgets_half_a_message() -> None:
    made = bench()
    made.rx(vital()[:50])
    made.start()
    assert made.rx(vital()[50:]) == []
    assert made.reasons() == ["noise"]


def test_alarms_that_are_not_told_any_more_end() -> None:
    made = bench()
    made.rx(message(54, ce("1", 1, "10002^***HR TOO LOW")) + message(56))
    for _second in range(59):
        assert alerts(made.rx(vital() + message(56), 1.0)) == []
    made.rx(vital() + message(56), 2.0)
    ended = [one for one in made.seen if isinstance(one, Alert)][1:]
    assert [(one.presence, one.validity, one.reason) for one in ended] == [("off", "not_available", "silence")]
    assert alerts(made.rx(message(54, ce("1", 1, "10002^***HR TOO LOW")), 1.0)) == [("10002", "on", "high", "1")]
    made.until(made.now + 100.0)
    made.start()
    assert alerts(made.rx(vital(), 1.0)) == [], "without a link the time does not run"
