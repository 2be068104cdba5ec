"""All that the box can say: acknowledgements by both modes, no order, and nothing that the allow-list refuses."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contract import Output
from drivers.profile import Profile
from tests.contract.play import is_allowed
from tests.drivers.hl7_lab.made import codes, feed, make, msh, obx, oru, reasons, refused, results_of, wire

PROFILES = ["generic", "genexpert", "mindray_bc", "mindray_bs"]
SENDERS = {
    "generic": {},
    "genexpert": {"app": "ICU^GeneXpert^1.0", "lab": "", "to": "LIS|"},
    "mindray_bc": {"app": "BC-5380", "lab": "Mindray"},
    "mindray_bs": {"app": "Mindray", "lab": "BS-200"},
}


def profile(name: str) -> Profile:
    return catalog.profile("hl7_lab", name)


def said(name: str, *segments: str, **more: str) -> Output:
    """What the driver of a profile says to one message."""
    (output,) = feed(make(name), wire(msh(**(SENDERS[name] | more)), *segments))
    return output


def test_the_vector_of_the_acknowledgement() -> None:
    one = r"MSH|^~\&|BC-5380|Mindray|||20260101080000||ORU^R01|42|P|2.3.1||||||UNICODE"
    (output,) = feed(make("mindray_bc"), wire(one, "OBR|1||S1", obx("6690-2^WBC^LN", "7.2")))
    head = rb"MSH|^~\&|JISR||BC-5380|Mindray|20260101080000||ACK^R01|42|P|2.3.1||||||UNICODE"
    assert output.send == b"\x0b" + head + b"\rMSA|AA|42\r\x1c\r"
    assert output.refusal == output.send.replace(b"|AA|", b"|AE|")
    assert len(results_of([output])) == 1


MODES = [
    ("", "", ["AA"], ["AE"], ["AR"]),
    ("AL", "NE", ["CA"], ["CE"], ["CR"]),
    ("AL", "", ["CA"], ["CE"], ["CR"]),
    ("NE", "AL", ["AA"], ["AE"], ["AR"]),
    ("AL", "AL", ["CA", "AA"], ["CE", "AE"], ["CR", "AR"]),
    ("ER", "AL", ["AA"], ["CE", "AE"], ["CR", "AR"]),
    ("ER", "NE", [], ["CE"], ["CR"]),
    ("SU", "NE", ["CA"], ["CE"], []),
    ("NE", "NE", [], [], []),
    ("0", "2", ["AA"], ["AE"], ["AR"]),
]


@pytest.mark.parametrize(("accept", "application", "taken", "void", "rejected"), MODES)
def test_both_modes(accept: str, application: str, taken: list[str], void: list[str], rejected: list[str]) -> None:
    tail = f"|||{accept}|{application}"
    output = said("generic", "OBR|1||S1", obx("GLU", "5.5"), tail=tail)
    assert (codes(output), refused(output), len(results_of([output]))) == (taken, void, 1)
    output = said("generic", "PID|1", kind="ADT^A01", tail=tail)
    assert (codes(output), output.refusal, results_of([output])) == (rejected, b"", [])


def test_after_the_first_result_nothing_of_a_step_is_kept_if_it_is_refused() -> None:
    driver = make()
    first, second = oru(obx("GLU", "1"), number="1"), oru(obx("GLU", "2"), number="2")
    feed(driver, first)
    (output,) = feed(driver, first + wire(msh("8", kind="ADT^A01")) + second + first + wire(msh("9", kind="ADT^A01")))
    assert codes(output) == ["AA", "AR", "AA", "AA", "AR"]
    assert refused(output) == ["AA", "AR", "AE", "AE", "AR"]
    assert re.findall(r"MSA\|..\|(\d+)", output.send.decode()) == ["1", "8", "2", "1", "9"]


@pytest.mark.parametrize("number", ["1", "GXM-00000000003", "URM-/TvGU=+", "a b", "", "x" * 64, "{1}_[2]"])
def test_msa_2_is_msh_10(number: str) -> None:
    output = said("generic", "OBR|1||S1", obx("GLU", "5.5"), number=number)
    assert output.send.endswith(f"\rMSA|AA|{number}\r\x1c\r".encode())
    assert f"||ACK^R01|{number}|P|2.4".encode() in output.send


@pytest.mark.parametrize("number", ["x" * 65, "é", "a^b", "a&b", "a\\T\\b", "a~b", "a\tb"])
def test_a_control_id_that_cannot_be_echoed_loses_no_result(number: str) -> None:
    output = said("generic", "OBR|1||S1", obx("GLU", "5.5"), number=number)
    assert (output.send, output.refusal, reasons([output])) == (b"", b"", ["control_id"])
    assert len(results_of([output])) == 1


def test_what_has_not_its_form_is_not_echoed() -> None:
    more = {"app": "A\u00b5", "lab": "x" * 65, "to": "HOST^1|H&W", "time": "now", "mode": "Z", "version": "2.5.1"}
    output = said("generic", "OBR|1||S1", obx("GLU", "5.5"), tail="|||||\u00b5", **more)
    assert output.send == b"\x0bMSH|^~\\&|HOST^1||||||ACK^R01|1|P|2.5.1\rMSA|AA|1\r\x1c\r"


@pytest.mark.parametrize(
    ("version", "code"), [("2.3.1", "AA"), ("2.5", "AA"), ("2", "AA"), ("", "AA"), ("3.0", "AR")]
)
def test_versions(version: str, code: str) -> None:
    output = said("generic", "OBR|1||S1", obx("GLU", "5.5"), version=version)
    assert codes(output) == [code]
    assert reasons([output]) == ([] if code == "AA" else ["version"])


@pytest.mark.parametrize(
    "data", [b"PID|1\r", b"", b"MSH\r", b"MSH|^^\\&|x\r", b"\xff\xfe", b"MSH|^~\\&|A\x01B|||||ORU^R01|1|P|2.4"]
)
def test_what_has_no_header_cannot_be_answered(data: bytes) -> None:
    (output,) = feed(make(), b"\x0b" + data + b"\x1c\r")
    assert (output.send, output.observations, reasons([output])) == (b"", (), ["framing!"])


@pytest.mark.parametrize("segment", ["OBX|1|NM|GLU||5\x01.5", "obx|1", "OB", "<html>"])
def test_what_cannot_be_read_is_refused_for_good(segment: str) -> None:
    output = said("generic", "OBR|1||S1", obx("NA", "140"), segment)
    assert (codes(output), output.observations, reasons([output])) == (["AR"], (), ["framing!"])
    assert output.frames == 0


def test_too_many_segments_or_fields_are_refused() -> None:
    for message in (oru(*["OBX|1"] * 5_000), oru("OBX|" + "|" * 200_000)):
        (output,) = feed(make(), message)
        assert (codes(output), output.observations, reasons([output])) == (["AR"], (), ["length!"])


@pytest.mark.parametrize(
    "kind", ["ADT^A01", "ORM^O01", "OML^O21", "RSP^Z02", "QBP^Z01", "QRY^Q02", "SSU^U03", "x", ""]
)
def test_other_messages_are_refused(kind: str) -> None:
    output = said("generic", "ORC|NW|1", kind=kind)
    assert (codes(output), output.observations, reasons([output])) == (["AR"], (), ["unknown_record"])


def test_an_acknowledgement_is_never_answered() -> None:
    for name, kind in itertools.product(PROFILES, ("ACK", "ACK^R01")):
        assert said(name, "MSA|AA|1", kind=kind).send == b""


QUERIES = [
    (
        "mindray_bc",
        ("ORM^O01", "ORC|RF||SampleID1||IP"),
        rb"MSH|^~\&|JISR||BC-5380|Mindray|20260105100000||ORR^O02|1|P|2.4||||||UNICODE" + b"\rMSA|AR|1\r",
    ),
    (
        "mindray_bs",
        ("QRY^Q02", "QRD|20070723170707|R|D|1|||RD|34567743|OTH|||T|"),
        rb"MSH|^~\&|||Mindray|BS-200|20260105100000||QCK^Q02|1|P|2.4||||||ASCII|||"
        + b"\rMSA|AA|1|Message accepted|||0|\rERR|0|\rQAK|SR|NF|\r",
    ),
    (
        "genexpert",
        ("QBP^Z03^QBP_Z03", "QPD|Z03^HOST QUERY|TAG|P1|SP1|P2"),
        rb"MSH|^~\&|LIS||ICU^GeneXpert^1.0||20260105100000||RSP^Z02|1|P|2.4|||NE|NE||UNICODE"
        + b"\rMSA|AA|1\rQAK|TAG|OK|Z03^HOST QUERY\rQPD|Z03^HOST QUERY|TAG|P1|SP1|P2\r",
    ),
    (
        "genexpert",
        ("QBP^Z01^QBP_Z01", "QPD|Z01^REQUEST TEST ORDERS|TAG|ALL"),
        rb"MSH|^~\&|LIS||ICU^GeneXpert^1.0||20260105100000||RSP^Z02|1|P|2.4|||NE|NE||UNICODE"
        + b"\rMSA|AA|1\rQAK|TAG|OK|Z01^REQUEST TEST ORDERS\rQPD|Z01^REQUEST TEST ORDERS|TAG|ALL\r",
    ),
]


@pytest.mark.parametrize(("name", "query", "answer"), QUERIES)
def test_a_query_is_told_that_there_is_no_order(name: str, query: tuple[str, str], answer: bytes) -> None:
    kind, segment = query
    output = said(name, segment, kind=kind, tail="||||||UNICODE")
    assert (output.send, output.refusal) == (b"\x0b" + answer + b"\x1c\r", b"")
    assert (output.observations, reasons([output])) == ((), ["host_query"])
    unanswerable = said(name, segment, kind=kind, number="\u00b5")
    assert (unanswerable.send, reasons([unanswerable])) == (b"", ["control_id", "host_query"])


def test_a_query_in_another_form_is_not_answered() -> None:
    assert said("mindray_bs", "QRD|1|R|D|1|||RD||CAN|||T|", kind="QRY^Q02").send == b""
    for question in ("QPD|Z03^HOST QUERY|", "QPD|Z09^X|TAG", "QPD|Z03^HOST QUERY|TAG|\u00b5", "RCP|I"):
        assert said("genexpert", question, kind="QBP^Z03").send == b""
    assert codes(said("mindray_bc", "ORC|NW|1", kind="ORM^O01")) == ["AR"]
    assert codes(said("genexpert", "QID|TAG", kind="QCN^J01", tail="|||AL|NE")) == ["CA"]
    assert codes(said("genexpert", "SPM|1|A^B", kind="SSU^U03", tail="|||AL|NE")) == ["CR"]
    assert codes(said("mindray_bc", "QID|TAG", kind="QCN^J01")) == ["AR"]


def test_answers_that_a_query_shares_a_step_with() -> None:
    (output,) = feed(
        make("mindray_bc"),
        wire(msh(**SENDERS["mindray_bc"]), "OBR|1||S1", obx("6690-2", "7.2"))
        + wire(msh("2", **(SENDERS["mindray_bc"] | {"kind": "ORM^O01"})), "ORC|RF||X||IP"),
    )
    assert (codes(output), refused(output)) == (["AA", "AR"], ["AE", "AR"])


@pytest.mark.parametrize("name", PROFILES)
def test_every_answer_is_allowed_and_holds_no_order(name: str) -> None:
    """All forms: kind of message, mode, processing id, version, character set, result type; taken and refused."""
    kinds = {
        "ORU^R01": "OBR|1||S1",
        "OUL^R22": "SPM|1|S",
        "ADT^A01": "PID|1",
        "ORM^O01": "ORC|RF||S",
        "ACK": "MSA|AA|1",
    }
    kinds |= {"QRY^Q02": "QRD|1|R|D|1|||RD|S|OTH", "QBP^Z03": "QPD|Z03^HOST QUERY|T||S", "QCN^J01": "QID|T|N/D"}
    modes = [
        "",
        "|||AL|NE",
        "|||NE|AL",
        "|||AL|AL",
        "|||ER|SU",
        "||||0||ASCII",
        "||||1",
        "||||2||ASCII",
        "||||||UNICODE",
    ]
    forms = set()
    for (kind, segment), tail, mode, version in itertools.product(
        kinds.items(), modes, "PQTDX", ("2.3.1", "2.5", "9")
    ):
        output = said(name, segment, obx("GLU", "1"), kind=kind, tail=tail, mode=mode, version=version, number="a-1")
        for data in (output.send, output.refusal):
            assert not data or is_allowed(profile(name), data), data
            forms |= set(data.decode().split("\x1c\r"))
    assert len(forms) > 30
    names = {line[:3] for form in forms for line in form.lstrip("\x0b").split("\r") if line}
    assert names <= {"MSH", "MSA", "ERR", "QAK", "QPD"}
    sent = {match[1] for form in forms if (match := re.search(r"\|\|([A-Z]{3}(?:\^[A-Z]\d\d)?)\|a-1\|", form))}
    no_order = {"mindray_bc": "ORR^O02", "mindray_bs": "QCK^Q02", "genexpert": "RSP^Z02"}.get(name)
    assert {kind for kind in sent if not kind.startswith("ACK")} == ({no_order} if no_order else set())


HEAD = r"MSH|^~\&|JISR||BC-5380|Mindray|20260105||{kind}|1|P|2.3.1"
ORDERS = [
    ("ORM^O01", "ORC|NW|1\rOBR|1|S1||GLU"),
    ("OML^O21", "ORC|NW|1\rOBR|1|S1||GLU"),
    ("ORR^O02", "MSA|AA|1"),
    ("ORR^O02", "MSA|AA|1\rORC|AF|S1\rOBR|1|S1||00001"),
    ("ORR^O02", "MSA|AR|1\rORC|AF|S1"),
    ("DSR^Q03", "MSA|AA|1\rDSP|21||S1\rDSP|29||1^^^"),
    ("QCK^Q02", "MSA|AA|1|Message accepted|||0|\rERR|0|\rQAK|SR|OK|"),
    ("RSP^Z02", "MSA|AA|1\rQAK|T|OK|Z03^HOST QUERY\rQPD|Z03^HOST QUERY|T\rPID|1\rORC|NW|1\rOBR|1|||MTB"),
    ("RSP^Z02", "MSA|AA|1\rQAK|T|OK|Z03^HOST QUERY\rQPD|Z03^HOST QUERY|T|ORC\rORC|NW"),
    ("ACK^R01", "MSA|AA|1\rORC|NW|1"),
    ("ACK^R01", "ORC|NW|1"),
    ("QRY^R02", "QRD|1"),
    ("ORU^R01", "OBR|1"),
]
TAILS = ("", "|||NE|NE", "||||||UNICODE", "||||||ASCII|||")


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize(("kind", "body"), ORDERS)
def test_an_order_is_refused_by_the_allow_list(name: str, kind: str, body: str) -> None:
    """Also where it stands behind a whole acknowledgement, or within one."""
    answer = f"\x0b{HEAD.format(kind='ACK^R01')}\rMSA|AA|1\r\x1c\r"
    assert is_allowed(profile(name), answer.encode())
    for tail in TAILS:
        order = f"{HEAD.format(kind=kind)}{tail}\r{body}\r"
        for data in (f"\x0b{order}\x1c\r", f"{answer}\x0b{order}\x1c\r", answer.replace("MSA", f"{order}MSA")):
            assert not is_allowed(profile(name), data.encode("latin-1"))


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize(
    "data", [b"\x06", b"\x15", b"\x0b\x06\x1c\r", b"\x0b\x15\x1c\r", b"\x02", b"\x05", b"\x0b\x1c\r"]
)
def test_the_block_acknowledgements_of_release_2_are_refused(name: str, data: bytes) -> None:
    assert not is_allowed(profile(name), data)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x0b\x1c"), max_size=20)


@given(
    st.sampled_from(PROFILES), st.lists(TEXT, min_size=17, max_size=17), st.sampled_from(["ORU^R01", "QBP^Z01", "x"])
)
def test_no_header_makes_the_box_say_what_is_not_allowed(name: str, fields: list[str], kind: str) -> None:
    fields[6] = kind
    message = (
        f"\x0bMSH|^~\\&|{'|'.join(fields)}\rQPD|{'|'.join(fields[:4])}\rORC|RF\rOBX|1|NM|GLU||5\r\x1c\r".encode()
    )
    (output,) = feed(make(name), message)
    for data in (output.send, output.refusal):
        assert not data or is_allowed(profile(name), data), data
