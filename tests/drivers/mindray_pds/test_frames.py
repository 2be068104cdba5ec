"""What is sent, byte for byte; which messages of the monitor are believed, and what of them is kept."""

import itertools
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Fault
from drivers.framing.mllp import wrap
from drivers.mindray_pds.frames import ECHO_FRAME, Obx, Place, Report, query
from drivers.mindray_pds.options import GROUPS, Options
from gateway.ports.gate import SendGate
from tests.drivers.mindray_pds.messages import (
    ECHO,
    PATIENT,
    QUERY,
    SECRETS,
    at,
    ce,
    message,
    nm,
    patient,
    profile,
    vital,
)

SUBSETS = [names for n in range(1, len(GROUPS) + 1) for names in itertools.combinations(GROUPS, n)]
NEVER = {
    "all parameters at once": wrap(QUERY[1:-2].replace(b"^1^1^0^101&151&160&161", b"^1^1^1^")),
    "configuration": wrap(QUERY[1:-2].replace(b"0&0^3^1^1^", b"0&0^5^1^1^")),
    "five ids": wrap(QUERY[1:-2].replace(b"101&151&160&161", b"101&151&160&161&162")),
    "another id": wrap(QUERY[1:-2].replace(b"101&151", b"101&152")),
    "another frequency": wrap(QUERY[1:-2].replace(b"0&0^1^1^0", b"0&0^1^5^0")),
    "two beds": wrap(QUERY[1:-2].replace(b"0&0", b"3232237756&0", 1)),
    "two beds, the last": wrap(QUERY[1:-2].replace(b"0&0^4", b"3232237756&0^4")),
    "a bed without a number": wrap(QUERY[1:-2].replace(b"0&0", b"0&3")),
    "no bed": wrap(QUERY[1:-2].replace(b"0&0", b"&")),
    "no alarms": wrap(QUERY[1:-2].replace(b"QRF|MON||||0&0^3^1^1^\r", b"")),
    "an acknowledgement": message(204, "MSA|AA|204", event="ACK^R01"),
    "values": vital(),
    "patient data": patient(),
    "an announcement": message(101, event="ADT^A01"),
    "an alarm": message(54),
    "another query": wrap(QUERY[1:-2].replace(b"1203", b"1204")),
    "an echo with more": message(106, "OBX||NM|101^HR|2101|60||||||F"),
    "half an echo": ECHO[:-2],
    "nothing in a frame": b"\x0b\x1c\r",
}


def content(data: bytes) -> bytes:
    """What stands in the frame."""
    return data[1:-2]


def read(data: bytes) -> Report:
    """A message that must be believed."""
    found = Report.from_bytes(content(data))
    assert isinstance(found, Report), found
    return found


def test_the_two_messages_are_the_documents() -> None:
    assert ECHO_FRAME == ECHO
    assert query(("vital",)) == QUERY


@pytest.mark.parametrize("names", SUBSETS, ids="-".join)
def test_every_query_is_allowed_and_asks_for_four_at_most(names: tuple[str, ...]) -> None:
    data = query(names)
    gate = SendGate(profile().allowed, 10, may_send=True)
    assert gate.judge(data, 0.0) == "sent"
    rows = re.findall(rb"QRF\|MON\|\|\|\|0&0\^1\^1\^0\^([0-9&]+)\r", data)
    assert rows
    assert all(len(row.split(b"&")) <= 4 for row in rows)
    asked = [code.decode() for row in rows for code in row.split(b"&")]
    assert len(asked) == len(set(asked))
    assert set(asked) <= set(profile().by_code)
    assert data.endswith(b"QRF|MON||||0&0^3^1^1^\rQRF|MON||||0&0^4^1^1^\r\x1c\r")


@pytest.mark.parametrize("names", [("vital",), ("gas",), tuple(GROUPS)], ids="-".join)
@pytest.mark.parametrize(
    ("bed", "seq", "asked"),
    [
        ("192.168.8.188", 0, b"3232237756&0"),
        ("192.168.23.70", 5, b"3232241478&5"),
        ("1.0.0.0", 255, b"16777216&255"),
        ("255.255.255.254", 10, b"4294967294&10"),
    ],
)
def test_a_bed_behind_a_gateway_is_asked_by_its_number(bed: str, seq: int, asked: bytes, names: Any) -> None:
    data = query(names, Options(bed=bed, bed_seq=seq).asked_bed)
    assert data == query(names).replace(b"0&0", asked)
    assert SendGate(profile().allowed, 10, may_send=True).judge(data + ECHO + data, 0.0) == "sent"


def test_echo_and_query_together_are_two_frames_of_the_minute() -> None:
    gate = SendGate(profile().allowed, 2, may_send=True)
    assert gate.judge(QUERY + ECHO, 0.0) == "sent"
    assert gate.judge(ECHO, 1.0) == "too_often"


@pytest.mark.parametrize("name", NEVER)
def test_nothing_else_is_allowed(name: str) -> None:
    assert NEVER[name] not in (QUERY, ECHO)
    assert SendGate(profile().allowed, 10, may_send=True).judge(NEVER[name], 0.0) == "not_allowed"


def test_the_monitor_is_recognised_by_what_it_sends_unasked() -> None:
    passive = profile().protocol.identification.passive.encode()
    for data in (ECHO, vital(), message(54), message(101, event="ADT^A01"), patient()):
        assert re.search(passive, data)
    assert not re.search(passive, QUERY)
    assert not re.search(passive, message(204, version="2.6"))


def test_a_row_field_by_field() -> None:
    found = read(message(503, nm("170^Sys", 2105, "120", at("20070106191915"))))
    assert found == Report("503", (Obx("NM", "170", "Sys", "2105", "120", "", True, "20070106191915"),))
    assert read(message(204, "OBX||NM|101^HR||60|/min|||||F||PERIODIC")).rows == (
        Obx("NM", "101", "HR", "", "60", "/min", False, ""),
    )
    assert read(message(204, nm("0^RR", 0, "20"))).rows == (Obx("NM", "0", "RR", "0", "20", "", False, ""),)
    assert read(message(204, nm(r"101^A\T\B", 2101, "1"))).rows[0].name == "A&B"
    assert read(message(11, ce("2023^", "", "2101^ECG"))).rows[0] == Obx(
        "CE", "2023", "", "", "2101^ECG", "", False, ""
    )


def test_nothing_of_a_patient_is_kept() -> None:
    assert read(patient()) == Report("103", bed="^^ICU&7&3232237756&4601&&1", has_patient=True)
    assert read(patient()).address == "192.168.8.188"
    assert read(message(103)) == Report("103", has_patient=True)
    found = read(message(204, "PID|||1||Lovelace^Ada", nm("101^HR", 2101, "60")))
    assert found.has_patient
    assert len(found.rows) == 1
    assert not any(word in repr(found) for word in SECRETS)


def test_the_bed_of_a_snapshot_and_its_senders_name() -> None:
    pv1 = PATIENT.split("\r")[1]
    data = message(2, pv1, nm("101^HR", 2101, "60")).replace(b"&|||||||ORU", b"&|Mindray|Gateway|||||ORU")
    assert read(data).bed == "^^ICU&7&3232237756&4601&&1"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("^^ICU&7&3232237756&4601&&1", Place("ICU", "7", "192.168.8.188", 4601)),
        ("^^ICU&Bed5&3232241659&0&0", Place("ICU", "Bed5", "192.168.23.251", 0)),
        ("^^icu&222&&4601&&1", Place("icu", "222", "", 4601)),
        ("^^&&2852002658&4601&&1", Place("", "", "169.254.27.98", 4601)),
        ("^^ICU&7", Place("ICU", "7", "", 0)),
        ("^^&&4294967295&65535", Place("", "", "255.255.255.255", 65535)),
        ("^^&&4294967296&4601", None),
        ("^^&&3232237756&65536", None),
        ("^^&&192.168.8.188&4601", None),
        ("^^&&-1&4601", None),
        ("^^&&03232237756&4601", None),
        ("ICU&7&3232237756&4601", None),
        ("", None),
    ],
)
def test_where_a_monitor_stands(text: str, place: Place | None) -> None:
    assert Place.from_field(text) == place
    assert Report("103", bed=text).address == (place.address if place else "")


def test_a_message_of_several_beds_is_not_read() -> None:
    pid, pv1, *_rest = PATIENT.split("\r")
    for rows in ((pid, pv1, pid), (pid, pv1, pv1)):
        found = Report.from_bytes(content(message(2, *rows, nm("101^HR", 2101, "60"))))
        assert found == Fault("several_beds", "2")


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_line_ends(end: str) -> None:
    rows = (nm("101^HR", 2101, "60"), nm("151^RR", 2102, "14"))
    assert read(message(204, *rows, end=end)) == read(message(204, *rows))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (message(204, version="2.6"), Fault("wrong_device", "2.6", rejected=True)),
        (message(204, version="Lovelace"), Fault("wrong_device", "", rejected=True)),
        (ECHO.replace(b"&|||||||", b"&|Other||||||"), Fault("wrong_device", "2.3.1", rejected=True)),
        (message("x"), Fault("header", rejected=True)),
        (message("0204"), Fault("header", rejected=True)),
        (message(""), Fault("header", rejected=True)),
        (message(204, event="ORU"), Fault("header", rejected=True)),
        (message(204).replace(b"^~", b"~^"), Fault("header", rejected=True)),
        (ECHO.replace(b"|P|", b"|T|"), Fault("not_production", "106")),
        (message(204, "OBX||NM|101^HR|2101|60||||||P"), Fault("layout", "204", rejected=True)),
        (message(204, "OBX||NM|101^HR|2101|60"), Fault("layout", "204", rejected=True)),
        (message(204, "OBX||N|101^HR|2101|60||||||F"), Fault("layout", "204", rejected=True)),
        (message(204, "OBX||NM|HR|2101|60||||||F"), Fault("layout", "204", rejected=True)),
        (message(204, "OBX||NM|0101|2101|60||||||F"), Fault("layout", "204", rejected=True)),
        (message(204, "OBX||NM|101^HR|ECG|60||||||F"), Fault("layout", "204", rejected=True)),
        (message(204, nm("101^HR", 2101, "60", "||SOMETIMES")), Fault("layout", "204", rejected=True)),
        (message(204, nm("101^HR", 2101, "60", "|}APERIODIC|")), Fault("layout", "204", rejected=True)),
        (message(503, nm("170", 2105, "120", at("20071306191915"))), Fault("layout", "503", rejected=True)),
        (message(503, nm("170", 2105, "120", at("2007010619191"))), Fault("layout", "503", rejected=True)),
        (message(503, nm("170", 2105, "120", at("00000000000001"))), Fault("layout", "503", rejected=True)),
        (message(204, nm("101^HR", 2101, "60"), end="<CR>\n"), Fault("framing", "line end", rejected=True)),
        (message(204, "obx||NM"), Fault("framing", "segment", rejected=True)),
        (b"\x0bPID|1\x1c\r", Fault("framing", "MSH", rejected=True)),
    ],
)
def test_what_is_not_believed(data: bytes, fault: Fault) -> None:
    assert Report.from_bytes(content(data)) == fault


def test_a_message_cut_anywhere_says_no_more_than_the_whole_one() -> None:
    whole = content(vital())
    rows = read(vital()).rows
    for end in range(len(whole)):
        found = Report.from_bytes(whole[:end])
        if isinstance(found, Report):
            assert found.rows == rows[: len(found.rows)]


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_report_or_a_fault(data: bytes) -> None:
    for one in (data, content(ECHO) + data, content(ECHO) + b"OBX|" + data):
        found = Report.from_bytes(one)
        assert isinstance(found, Report | Fault)
