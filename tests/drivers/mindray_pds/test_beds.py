"""Whose values they are: one bed behind a gateway, one monitor of all that could call the box, and nobody else's."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from drivers import catalog
from drivers.observation import Alert, Device, Numeric
from tests.contract.play import is_allowed
from tests.drivers.mindray_pds.messages import (
    AWAY,
    ECHO,
    HOME,
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
    snapshot,
    values,
    vital,
)

BED = "192.168.8.188"
ASKED = QUERY.replace(b"0&0", b"3232237756&0")
ALARM = message(54, ce("1", 1, "10002^***HR TOO LOW"))


def links(seen: list[Any]) -> list[tuple[str, str]]:
    """Device observations: link, reason."""
    return [(o.connection, o.reason) for o in seen if isinstance(o, Device)]


def pushed(**options: Any) -> Bench:
    """A box that is called by the monitor that it expects."""
    return bench("push", **{"bed": BED, **options})


def test_each_profile_has_its_own_port() -> None:
    assert profile().ports == ("tcp",)
    assert profile("push").ports == ("tcp-listen",)
    assert profile().by_code == profile("push").by_code


def test_a_gateway_is_asked_for_one_bed() -> None:
    made = bench(bed=BED)
    made.rx(ECHO, 0.2)
    assert [data for _t, data in made.sent] == [ASKED + ECHO, ASKED]
    assert bench(bed=BED, bed_seq=5).sent == [(100.0, QUERY.replace(b"0&0", b"3232237756&5") + ECHO)]
    assert all(is_allowed(profile(), data) for _t, data in made.sent)


@pytest.mark.parametrize("bed", ["ICU-7", "192.168.8", "192.168.8.256", "3232237756", "0.0.0.0", " 192.168.8.188"])  # noqa: S104
def test_a_bed_is_an_address(bed: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="IPv4 address"):
        catalog.create(profile(), {"bed": bed})


@pytest.mark.parametrize("options", [{"bed_seq": 1}, {"bed": BED, "bed_seq": 256}, {"answer": "all"}])
def test_options_that_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        catalog.create(profile(), options)


def test_snapshots_of_other_beds_are_not_ours() -> None:
    made = bench(bed=BED)
    for n in range(5):
        assert made.rx(snapshot("ICU&8", "99", AWAY), 0.5) == []
        assert values(made.rx(snapshot("ICU&7", str(60 + n)), 0.5)) == {"101": (str(60 + n), "valid")}
    assert made.rx(snapshot("ICU&7", "99", "")) == []
    assert Counter(made.reasons())["other_bed"] == 6
    assert not any(word in repr(made.seen) for word in (*SECRETS, BED))


@pytest.mark.parametrize("options", [{}, {"bed": "192.168.8.189"}])
def test_a_snapshot_of_a_bed_that_nobody_named_is_not_read(options: dict[str, str]) -> None:
    made = bench(**options)
    made.rx(patient() + ECHO + vital("60"))
    made.seen.clear()
    for _n in range(3):
        made.rx(snapshot("ICU&7", "99") + message(2, nm("101^HR", 2101, "98")))
    assert made.seen == []
    assert {"other_bed", "unnamed_bed"} <= set(made.reasons())


def test_two_labels_at_one_address_are_two_beds() -> None:
    """Telemetry: transmitters share an address, and nothing that is known of a snapshot tells them apart."""
    made = bench(bed=BED)
    assert values(made.rx(snapshot("ICU&7", "60"))) == {"101": ("60", "valid")}
    assert made.rx(snapshot("ICU&8", "99")) == []
    assert values(made.rx(snapshot("ICU&8", "99"))) == {"101": ("", "other_bed")}


def test_a_connection_that_turns_to_another_bed() -> None:
    made = bench(bed=BED)
    assert values(made.rx(patient() + vital("60") + ALARM))["101"] == ("60", "valid")
    seen = made.rx(patient(AWAY) + vital("99") + message(54, ce("1", 1, "10044^RR")), 1.0)
    assert {reason for _value, reason in values(seen).values()} == {"other_bed"}
    assert [(o.presence, o.validity, o.reason) for o in seen if isinstance(o, Alert)] == [
        ("off", "not_available", "other_bed")
    ]
    assert made.rx(vital("98"), 1.0) == []
    seen = made.rx(patient() + vital("61") + ALARM, 1.0)
    assert values(seen)["101"] == ("61", "valid")
    assert alerts(seen) == [("10002", "on", "high", "1")]


def test_the_first_bed_that_is_named_is_it_whatever_the_message() -> None:
    """A gateway that the box took for a monitor: one bed is read, not all of them."""
    made = bench()
    for address, hr, found in ((HOME, "60", ("60", "valid")), (AWAY, "99", None), (HOME, "61", ("61", "valid"))):
        row = f"PV1||I|^^ICU&7&{address}&4601&&1"
        assert values(made.rx(message(204, row, nm("101^HR", 2101, hr)))).get("101") == found


def test_the_box_goes_on_echoing_when_another_bed_is_told() -> None:
    made = bench(bed=BED)
    made.rx(patient(AWAY))
    for _n in range(20):
        made.rx(ECHO, 1.0)
    assert [data for _t, data in made.sent] == [ASKED + ECHO, ECHO, ASKED, *[ECHO] * 19]
    assert links(made.seen) == [("connected", "")]


@pytest.mark.parametrize("address", ["", "0"])
def test_without_a_named_bed_the_first_address_is_it(address: str) -> None:
    made = bench()
    assert values(made.rx(vital("60")))["101"] == ("60", "valid")
    assert values(made.rx(patient(address) + vital("61")))["101"] == ("61", "valid")
    assert values(made.rx(patient() + vital("62")))["101"] == ("62", "valid")
    assert values(made.rx(patient() + vital("63")))["101"] == ("63", "valid")
    assert values(made.rx(patient(AWAY) + vital("99")))["101"] == ("", "other_bed")
    assert made.rx(snapshot("ICU&8", "99", AWAY)) == []
    assert values(made.rx(patient() + vital("64")))["101"] == ("64", "valid")
    made.start()
    assert values(made.rx(patient(AWAY) + vital("65")))["101"] == ("65", "valid"), "another connection begins anew"


def test_a_caller_hears_nothing() -> None:
    made = pushed()
    for _n in range(30):
        made.rx(patient() + ECHO + vital(), 1.0)
    made.until(200.0)
    made.stop()
    assert made.sent == []


@pytest.mark.parametrize(
    ("answer", "first", "second"), [("echo", ECHO, []), ("query", QUERY + ECHO, [QUERY])], ids=["echo", "query"]
)
def test_a_caller_hears_what_the_configuration_allows(answer: str, first: bytes, second: list[bytes]) -> None:
    made = pushed(answer=answer)
    made.rx(ECHO + vital(), 0.5)
    made.until(105.0)
    made.rx(patient(AWAY) + ECHO + vital())
    assert made.sent == [], "nobody is spoken to before it has named itself"
    made.rx(patient())
    assert made.sent == [(105.0, first)]
    made.rx(ECHO, 0.5)
    assert [data for _t, data in made.sent[1:]] == second
    made.sent.clear()
    made.until(110.5)
    assert {data for _t, data in made.sent} == {ECHO}
    made.rx(patient(AWAY), 0.1)
    made.sent.clear()
    made.until(130.0)
    assert made.sent == []


def test_callers_that_come_and_go_do_not_raise_the_rate() -> None:
    made = pushed(answer="query")
    for _n in range(600):
        made.now += 0.3
        made.start()
        made.rx(patient() + ECHO * 3)
    assert made.sent
    counts = Counter(int(t // 60) for t, data in made.sent for _n in range(data.count(b"\x0b")))
    assert max(counts.values()) <= profile("push").protocol.max_send_per_minute


def test_a_caller_is_nobody_until_it_names_itself() -> None:
    made = pushed()
    assert made.rx(ECHO + vital("99") + ALARM + message(11, ce("2023^", "", "2101^ECG"))) == []
    assert Counter(made.reasons()) == {"unnamed_bed": 4}
    assert made.rx(patient(AWAY) + vital("99") + ECHO) == []
    assert made.rx(patient("") + vital("99")) == []
    seen = made.rx(patient() + vital("60"))
    assert links(seen) == [("connected", ""), ("connected", "")]
    assert values(seen)["101"] == ("60", "valid")


def test_a_stranger_that_calls_makes_the_device_stale_and_says_nothing() -> None:
    made = pushed()
    made.rx(patient() + vital("60"))
    made.start()
    for _n in range(12):
        made.rx(patient(AWAY) + ECHO + vital("99"), 1.0)
    assert values(made.seen)["101"] == ("60", "valid")
    assert links(made.seen[-1:]) == [("stale", "silence")]


def test_without_a_named_bed_no_caller_is_believed() -> None:
    made = bench("push", answer="query")
    assert made.rx(patient() + ECHO + vital() + snapshot("ICU&7", "60")) == []
    assert made.sent == []
    assert Counter(made.reasons()) == {"patient_data": 2, "other_bed": 2, "unnamed_bed": 2}


def test_a_snapshot_names_itself() -> None:
    made = pushed()
    assert values(made.rx(snapshot("ICU&7", "60"))) == {"101": ("60", "valid")}
    assert made.rx(vital("99")) == [], "it speaks for itself and not for what follows"


def test_a_pushed_temperature_is_never_converted() -> None:
    rows = message(204, nm("200^T1", 2104, "98.2"))
    for unit, found in (("Cel", ("", "unit")), ("[degF]", ("98.2", "valid"))):
        made = pushed(temperature=unit)
        seen = made.rx(patient() + rows)
        assert values(seen)["200"] == found
        assert {o.unit for o in seen if isinstance(o, Numeric)} == {unit}
