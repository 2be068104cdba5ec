"""Acknowledgements, what can be sent at all, whose results they are, and what a result becomes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contract import Output
from drivers.hl7_monitor.messages import MAX_RESULTS
from drivers.hl7_monitor.observe import MAX_BEDS, MAX_CODES
from drivers.observation import Device, Numeric
from tests.contract.play import is_allowed
from tests.drivers.hl7_monitor.made import (
    PID,
    answer,
    heart_rate,
    listening,
    msh,
    obx,
    only,
    oru,
    raw,
    settled,
    wire,
)
from tests.drivers.masimo_ascii.port import devices, values

GENERIC, MDC = catalog.profile("hl7_monitor", "generic"), catalog.profile("hl7_monitor", "mdc")
VALUES = (
    b"\x0bMSH|^~\\&|||||||ORU^R01|204|P|2.3.1|\rOBX||NM|101^HR|2101|60||||||F\r"
    b"OBX||NM|105^I|2101|-100.00||||||F\r\x1c\r"
)


def one(data: bytes, profile: str = "generic") -> Output:
    """What a fresh driver says to one message."""
    driver = listening(profile).driver
    return driver.receive(data, 101.0)


def test_the_message_of_the_document() -> None:
    """60 and -100.00 stand as sent; which code means what, and in which unit, this profile does not say."""
    made = listening()
    assert raw(made.rx(VALUES)) == {"101@2101": "60", "105@2101": "-100.00"}
    assert made.sent == answer("AA", "204")
    assert made.rx(VALUES) == []
    assert made.sent == answer("AA", "204") * 2


def test_acknowledged_after_the_commit_only() -> None:
    output = one(oru(obx("HR", "60")))
    assert output.observations
    assert (output.send, output.refusal) == (answer("AA"), answer("AE"))


def test_what_came_before_the_first_result_of_a_step_is_answered_the_same() -> None:
    nothing = wire(msh("a"), obx("NOTE", "x", kind="ST"))
    made = listening()
    made.rx(nothing)
    output = made.driver.receive(
        nothing + wire(msh("b", kind="ADT^A01")) + oru(obx("HR", "60"), number="c") + oru(number="d"), made.now
    )
    assert output.send == answer("AA", "a") + answer("AR", "b") + answer("AA", "c") + answer("AA", "d")
    assert output.refusal == answer("AA", "a") + answer("AR", "b") + answer("AE", "c") + answer("AE", "d")


def test_nothing_to_store_needs_no_refusal() -> None:
    made = listening()
    made.rx(VALUES)
    output = made.driver.receive(VALUES, made.now)
    assert (output.observations, output.refusal) == ((), b"")


ANSWERS = [
    (oru(obx("HR", "60"), number="2026/11-A.7"), answer("AA", "2026/11-A.7"), True),
    (oru(obx("HR", "60"), version="2.6"), answer("AA", version="2.6"), True),
    (oru(obx("HR", "60"), version="2.5.1^FRA"), answer("AA", version="2.5.1"), True),
    (oru(obx("HR", "60"), processing="T"), answer("AR", processing="T"), False),
    (oru(obx("HR", "60"), tail="|||AL|NE"), answer("AA"), True),
    (oru(obx("HR", "60"), tail="|||NE|NE"), b"", True),
    (oru(obx("HR", "60"), kind="ORU^R01^ORU_R01"), answer("AA"), True),
    (oru(kind="ORU^R40"), answer("AR"), False),
    (oru(kind="QRY^R02"), answer("AR"), False),
    (wire(msh(kind="ACK^R01"), "MSA|AA|1"), b"", False),
    (oru(obx("HR", "60"), number=""), b"", False),
    (oru(obx("HR", "60"), number="a|b"), b"", False),
    (oru(obx("HR", "60"), number="1\\T\\2"), b"", False),
    (oru(obx("HR", "60"), number="x" * 65), b"", False),
    (oru(obx("HR", "60"), version="3"), b"", False),
    (oru(obx("HR", "60"), processing="X"), b"", False),
    (b"\x0bPID|1\r\x1c\r", b"", False),
]


@pytest.mark.parametrize(("data", "expected", "has_values"), ANSWERS)
def test_answers(data: bytes, expected: bytes, has_values: bool) -> None:
    output = one(data)
    assert output.send == expected
    assert bool(output.observations) == has_values
    assert (
        bool(output.observations) == (answer("AA")[-12:-5] == expected[-12:-5]) or b"AA" in expected or not expected
    )


@given(number=st.text(alphabet=st.characters(codec="latin-1"), max_size=70), kind=st.sampled_from(["ORU^R01", "X"]))
def test_only_acknowledgements_are_ever_sent(number: str, kind: str) -> None:
    output = one(b"\x0b" + f"{msh(number, kind=kind)}\r{obx('HR', '60')}\r".encode("latin-1") + b"\x1c\r")
    for sent in (output.send, output.refusal):
        assert not sent or is_allowed(GENERIC, sent)


@pytest.mark.parametrize("kind", ["QRY^R02", "ORU^R01", "ORM^O01", "ADT^A08", "RDE^O01", "OMG^O19", "ACK^R02", "ACK"])
def test_no_other_message_passes_the_allow_list(kind: str) -> None:
    assert not is_allowed(GENERIC, answer("AA").replace(b"ACK^R01", kind.encode()))
    assert not is_allowed(GENERIC, answer("AA")[:-2] + b"OBX|1|NM|HR||60||||||F\r\x1c\r")
    assert not is_allowed(GENERIC, answer("CA"))


@pytest.mark.parametrize("storm", [answer("AE"), b"\x0bMSH\x1c\r", b"\x15" * 9, oru(obx("HR", "x"), number="")])
def test_a_storm_is_never_answered(storm: bytes) -> None:
    made = listening()
    for _turn in range(3600):
        made.rx(storm, 1.0)
    assert made.sent == b""


@pytest.mark.parametrize("beds", ["one", "many"])
@pytest.mark.parametrize("again", [PID, "PV1|2|I|ICU^^BED7"])
def test_two_patients_in_one_message_are_refused(beds: str, again: str) -> None:
    made = listening(beds=beds)
    assert made.rx(oru(obx("HR", "60"), again, obx("HR", "61"))) == []
    assert (made.reasons(), made.sent) == (["several_patients"], answer("AR"))


def test_nobodys_name_or_number_is_published() -> None:
    made = listening(beds="many")
    secret = [obx("NOTE", "DOE JANE", kind=kind) for kind in ("ST", "TX", "FT", "PN", "XPN", "CX", "ID")]
    made.rx(oru("NK1|1|DOE^JOHN", "OBR|1|||X|||20261125", *secret, "NTE|1||DOE", obx("HR", "60")))
    made.rx(wire(msh("2", kind="ADT^A01"), PID))
    made.rx(wire(msh("3"), PID, PID, obx("HR", "60")))
    made.rx(wire(msh("4"), PID.replace("|F", "|F\x01")))
    said = repr(made.seen) + repr(made.faults)
    assert not re.search("DOE|JANE|JOHN|4711|19700101", said)
    assert [(f.reason, f.detail) for f in made.faults][:2] == [("text_not_kept", "7"), ("unknown_record", "ADT^A01")]
    assert raw(made.seen) == {"HR": "60"}


@pytest.mark.parametrize("omit", ["MRN", ["MRN", "AGE"]])
def test_codes_that_the_installer_names_are_not_published(omit: object) -> None:
    made = listening(omit=omit)
    assert raw(made.rx(oru(obx("MRN^Patient", "4711", sub="1"), obx("HR", "60")))) == {"HR": "60"}


def test_one_bed_and_no_other() -> None:
    made = listening()
    made.rx(oru(obx("HR", "60")))
    assert made.rx(oru(obx("HR", "99"), bed="ICU^^BED8", number="2")) == []
    assert made.sent == answer("AA") + answer("AR", "2")
    assert raw(made.rx(wire(msh("3"), obx("HR", "61")))) == {"HR": "61"}
    assert made.reasons() == ["other_bed"]
    assert made.frames == 3
    for _minute in range(4):
        assert made.rx(oru(obx("HR", "61"), bed="ICU^^BED8", number="4"), 60.0) == []
    assert raw(made.rx(oru(obx("HR", "61"), bed="ICU^^BED8", number="5"), 61.0)) == {"HR": "61"}
    assert made.rx(oru(obx("HR", "62"), number="6")) == []


def test_many_beds_each_in_its_slot() -> None:
    made = listening(beds="many")
    made.rx(oru(obx("HR", "60"), bed="A") + oru(obx("HR", "90"), bed="B"))
    assert [(o.mds, o.vendor and o.vendor.text) for o in made.seen if isinstance(o, Numeric)] == [
        ("A", "60"),
        ("B", "90"),
    ]
    assert made.rx(wire(msh("2"), obx("HR", "1")) + oru(obx("HR", "1"), bed="x" * 200)) == []
    assert made.reasons() == ["no_bed", "no_bed"]


def test_a_bed_that_falls_silent_is_stale_by_itself() -> None:
    made = listening(beds="many")
    made.rx(oru(obx("HR", "60"), bed="A") + oru(obx("HR", "90"), bed="B"))
    made.rx(oru(obx("HR", "91"), bed="B"), 200.0)
    made.until(made.now + 150.0)
    stale = [o.mds for o in made.seen if isinstance(o, Device) and o.connection == "stale"]
    assert stale == ["A"]
    made.until(made.now + 200.0)
    stale = [o.mds for o in made.seen if isinstance(o, Device) and o.connection == "stale"]
    assert stale == ["A", "B", ""]
    assert raw(made.rx(oru(obx("HR", "62"), bed="A"))) == {"HR": "62"}
    made.take(made.driver.stop(made.now))
    gone = [o.mds for o in made.seen if isinstance(o, Device) and o.connection == "disconnected"]
    assert gone == ["A", "B", ""]


def test_beds_codes_and_results_are_bounded() -> None:
    made = listening(beds="many")
    for bed in range(MAX_BEDS + 1):
        made.rx(oru(obx("HR", "60"), bed=f"B{bed}"))
    assert made.reasons() == ["too_many_beds"]
    for bed in range(1, MAX_BEDS):
        made.rx(oru(obx("HR", "60"), bed=f"B{bed}"), 290.0 if bed == 1 else 0.0)
    assert raw(made.rx(oru(obx("HR", "60"), bed="NEW"), 20.0)) == {"HR": "60"}
    made.rx(oru(obx("HR", "60"), bed="B0"))
    assert made.reasons() == ["too_many_beds"]
    made = listening()
    for start in range(0, MAX_CODES + 10, 500):
        made.rx(oru(*(obx(f"C{n}", "1") for n in range(start, min(start + 500, MAX_CODES + 10)))))
    assert len(raw(made.seen)) == MAX_CODES
    assert [(f.reason, f.detail) for f in made.faults] == [("too_many_codes", "10")]
    made = listening()
    assert made.rx(oru(*(obx("C", "1") for _n in range(MAX_RESULTS + 1)))) == []
    assert made.reasons() == ["length!"]


def test_another_sender_than_the_configured_one() -> None:
    made = listening(application="GATE")
    assert raw(made.rx(oru(obx("HR", "60")))) == {"HR": "60"}
    made = listening(application="GATE")
    made.rx(oru(obx("HR", "60"), app="OTHER^1"))
    assert made.sent == answer("AR")
    assert (made.reasons(), devices(made.seen)[-1], raw(made.seen)) == (
        ["wrong_device"],
        ("connected", "unknown", "wrong_device"),
        {},
    )
    assert [o.identity for o in made.seen if isinstance(o, Device)][-1]["application"] == "OTHER"


def test_a_message_that_comes_again_is_acknowledged_and_said_once() -> None:
    made = settled()
    message = oru(heart_rate("60"), time="20261125080000")
    assert only(made.rx(message)) == ("60", "valid")
    assert made.rx(message) == []
    assert made.reasons() == ["duplicate"]
    made.take(made.driver.start(made.now))
    assert values(made.rx(message)) == []
    assert made.sent == answer("AA") * 3
    assert only(made.rx(oru(heart_rate("60"), time="20261125080001"))) == ("60", "unconfirmed")


def test_without_a_time_the_same_bytes_are_a_new_message() -> None:
    made = settled()
    assert [only(made.rx(oru(heart_rate("60")))) for _n in range(2)] == [("60", "valid")] * 2


def test_a_spot_measurement_is_said_once() -> None:
    made = settled()
    first, second = "20261125075500", "20261125081000"
    assert only(made.rx(oru(heart_rate("60", time=first)))) == ("60", "valid")
    assert made.rx(oru(heart_rate("60", time=first))) == []
    assert only(made.rx(oru(heart_rate("60", time=second)))) == ("60", "valid")
    assert only(made.rx(oru(heart_rate("61", time=second)))) == ("61", "valid")


def test_times() -> None:
    made = listening("mdc")

    def time(*segments: str, sent: str = "20261125080000") -> str:
        seen = [o for o in made.rx(oru(*segments, time=sent)) if isinstance(o, Numeric)]
        return seen[-1].device_time

    assert time(heart_rate("60")) == "20261125080000"
    assert time("OBR|1|||X|||20261125075959.5+0100", heart_rate("61")) == "20261125075959.5+0100"
    assert time("OBR|1|||X|||20261125075959", heart_rate("62", time="202611250755")) == "202611250755"
    assert time("OBR|1", heart_rate("63")) == "20261125080000"
    assert time(heart_rate("64"), sent="today") == ""


DAMAGED = [
    ("OBX|1|NM|HR||60", "status"),
    (obx("HR", "60", status="Z"), "status"),
    (obx("HR", "60", status=""), "status"),
    (obx("HR", "60", kind="N1"), "type"),
    (obx("HR", "60", kind=""), "type"),
    (obx("", "60"), "code"),
    (obx("H R", "60"), "code"),
    (obx("H" * 65, "60"), "code"),
    (obx("HR", "60", sub="a b"), "sub_id"),
    (obx("HR", "60", time="yesterday"), "time"),
    (obx("HR", "60", unit="a\tb"), "character"),
]


@pytest.mark.parametrize(("segment", "reason"), DAMAGED)
def test_one_damaged_result_refuses_the_message(segment: str, reason: str) -> None:
    made = listening()
    assert made.rx(oru(obx("SPO2", "97"), segment, obx("PR", "60"))) == []
    assert (made.reasons(), made.frames, made.sent) == ([reason + "!"], 0, answer("AR"))


MESSAGE = oru(heart_rate("72"), heart_rate("60", sub="9.9", status="R"), "OBR|2", obx("HR", "5"))


@pytest.mark.parametrize("at", range(0, len(MESSAGE), 3))
def test_every_cut(at: int) -> None:
    whole, made = listening("mdc"), listening("mdc")
    whole.rx(MESSAGE)
    assert made.rx(MESSAGE[:at]) == []
    made.rx(MESSAGE[at:])
    assert (made.seen, made.sent) == (whole.seen, whole.sent)
    cut = listening("mdc")
    cut.rx(MESSAGE[:at])
    cut.rx(MESSAGE[at:], 31.0)
    assert values(cut.seen) == (values(whole.seen) if at == 0 else [])


def test_half_a_message_does_not_outlive_the_call() -> None:
    made = listening()
    made.rx(oru(obx("HR", "60"))[:40])
    made.take(made.driver.start(made.now))
    assert made.reasons() == ["truncated!"]
    assert made.rx(oru(obx("HR", "60"))[40:]) == []


def test_after_the_goodbye_nothing_is_read() -> None:
    made = listening()
    made.rx(oru(obx("HR", "60"))[:40])
    output = made.driver.stop(made.now)
    assert (output.send, output.wake_at) == (b"", None)
    assert [f.reason for f in output.faults] == ["truncated"]
    assert made.driver.receive(oru(obx("HR", "60")), made.now) == Output()


@given(data=st.binary(max_size=300), size=st.integers(1, 40))
def test_anything_in_any_pieces(data: bytes, size: int) -> None:
    stream = data + MESSAGE + data + VALUES
    at_once, made = listening("mdc"), listening("mdc")
    at_once.rx(stream)
    for at in range(0, len(stream), size):
        made.rx(stream[at : at + size])
    assert (made.seen, made.sent, made.frames) == (at_once.seen, at_once.sent, at_once.frames)
