"""The HL7 laboratory simulator: MLLP, acknowledgements, time-outs, each bad habit, questions, the clock by hand."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices.hl7_lab import Hl7Lab, wrapped
from simulators.devices.hl7_lab_messages import BC_TESTS, MODELS, Stamp, header, results_in

PAGE = b"\x0bMSH|^~\\&|BC-5380|Mindray|||20260101080000||ORU^R01|42|P|2.3.1||||||UNICODE\r\x1c\r"


def ack(control_id: str, code: str = "AA", kind: str = "ACK^R01", more: str = "") -> bytes:
    head = f"MSH|^~\\&|GW|CHU|BC-5380|Mindray|20260101080001||{kind}|G1|P|2.3.1"
    return b"\x0b" + f"{head}\rMSA|{code}|{control_id}\r{more}".encode() + b"\x1c\r"


def blocks(said: bytes) -> list[list[str]]:
    """Whole messages, as segments."""
    found = re.findall(rb"\x0b([^\x0b\x1c]*)\x1c\r", said)
    return [re.split(r"\r\n|\r|\n", block.decode("latin-1").rstrip("\r\n")) for block in found]


def ids(said: bytes) -> list[str]:
    return [segments[0].split("|")[9] for segments in blocks(said)]


def on(faults: frozenset[str] = frozenset(), seed: int = 1, **options: str) -> Hl7Lab:
    device = Hl7Lab(seed, faults, options)
    device.wake(0.0)
    return device


def listen(device: Hl7Lab, end: int, answer: Callable[[str], bytes] = ack, start: int = 0) -> bytes:
    """All that is said in these seconds; every message is answered at once."""
    said = b""
    for tenth in range(start * 10, end * 10):
        heard = device.wake(tenth / 10)
        while heard:
            said += heard
            words = b"".join(answer(one) for one in ids(heard))
            heard = device.receive(words, tenth / 10) if words else b""
    return said


def silent(_: str) -> bytes:
    return b""


def test_the_vector_of_the_page() -> None:
    head = header("BC-5380|Mindray||", "ORU^R01", Stamp("42", "20260101080000", ""), tail="||||||UNICODE")
    assert wrapped([head]) == PAGE


@pytest.mark.parametrize("model", MODELS)
def test_a_good_box_gets_everything(model: str) -> None:
    device = on(model=model, every_s="3", count="5")
    said = listen(device, 30)
    assert device.acknowledged == ids(said) == [letter.control_id for letter in device.letters]
    assert len(device.acknowledged) == len(device.history) == 5
    assert device.sent == [result for segments in blocks(said) for result in results_in(segments)]
    assert [told.message for told in device.history] == device.acknowledged
    assert device.is_finished
    assert not device.illegal
    assert not device.late_acks
    if model == "mindray_bc5800":
        assert said.count(b"\x02") == 9
    else:
        assert b"\x02" not in said


def test_the_formats() -> None:
    blood = blocks(listen(on(model="mindray_bc5300", count="1"), 3))[0]
    assert blood[0].startswith("MSH|^~\\&|BC-5300|Mindray|||20260101080001||ORU^R01|")
    assert re.fullmatch(
        r"OBX\|4\|NM\|6690-2\^WBC\^LN\|\|\d+\.\d\d\|10\*9/L\|4\.00-10\.00\|[NLH](~A)?\|\|\|F", blood[7]
    )
    assert [result.test for result in results_in(blood)] == [code.split("^")[0] for code, _ in BC_TESTS]
    pictures = blocks(listen(on(model="mindray_bc5300", count="1", habits="images"), 3))[0]
    assert results_in(pictures) == results_in(blood)
    assert len(pictures) == len(blood) + 2
    chemistry = blocks(listen(on(model="mindray_bs200", count="1"), 3))[0]
    assert re.fullmatch(
        r"OBX\|1\|NM\|(\w+)\|\1\|(\d+\.\d{6})\|[\w/]+\|[\d.-]+\|(Normal|Low|High)\|\|\|F\|\|\2\|\d{14}\|\|\|\|",
        chemistry[3],
    )
    xpert = blocks(listen(on(model="genexpert_hl7", count="1"), 3))[0]
    assert "||ORU^R32^ORU_R30|" in xpert[0]
    assert xpert[0].endswith("|P|2.5")
    assert re.fullmatch(
        r"OBX\|1\|ST\|MTBXDR&INVALID&Xpert MTB-XDR&1\|INVALID&\|[A-Z ]+\^\|{6}F\|{5}\^A\. OPERATOR\|\|", xpert[5]
    )
    assert xpert[-1].startswith("SPM|1|GX")
    results = results_in(xpert)
    assert {result.status for result in results} == {"F", ""}
    assert [result.test for result in results if result.status] == ["INVALID", "MTB", "INH Resistance"]


def test_without_an_answer_a_blood_counter_goes_on_and_the_result_is_lost() -> None:
    device = on(model="mindray_bc5300", every_s="1", count="3")
    said = listen(device, 40, silent)
    assert ids(said) == [letter.control_id for letter in device.letters]
    assert [letter.status for letter in device.letters] == ["lost"] * 3
    assert not device.sent
    assert device.is_finished


def test_what_was_lost_comes_back_in_a_batch() -> None:
    device = on(model="mindray_bc5300", every_s="1", count="3", resend_all_s="50")
    listen(device, 40, silent)
    said = listen(device, 60, start=40)
    assert ids(said) == device.acknowledged == [letter.control_id for letter in device.letters]
    assert [letter.status for letter in device.letters] == ["accepted"] * 3


def test_others_say_the_same_again_three_times() -> None:
    device = on(model="genexpert_hl7", count="1")
    said = listen(device, 60, silent)
    assert len(ids(said)) == 3
    assert len(set(ids(said))) == 1
    assert device.letters[0].status == "lost"


@pytest.mark.parametrize(
    ("code", "times", "status"), [("AR", 1, "refused"), ("AE", 3, "lost"), ("AA", 1, "accepted")]
)
def test_each_acknowledgement(code: str, times: int, status: str) -> None:
    device = on(count="1")
    said = listen(device, 40, lambda one: ack(one, code))
    assert len(ids(said)) == times
    assert device.letters[0].status == status
    assert not device.illegal


def test_a_late_acknowledgement_is_no_fault() -> None:
    device = on(every_s="1", count="1")
    said = listen(device, 20, silent)
    device.receive(ack(ids(said)[0]), 21.0)
    assert device.late_acks == 1
    assert device.acknowledged == ids(said)
    assert not device.illegal


@pytest.mark.parametrize(
    "words",
    [
        b"hello",
        b"\x06",
        ack("999999"),
        ack("{id}", "AB"),
        ack("{id}", "CA"),
        ack("{id}", kind="ORM^O01"),
        ack("{id}", more="ORC|NW|1\r"),
        ack("{id}", kind="ORR^O02"),
        PAGE,
    ],
)
def test_anything_but_an_acknowledgement_is_illegal(words: bytes) -> None:
    device = on(count="1")
    said = device.wake(1.0)
    device.receive(words.replace(b"{id}", ids(said)[0].encode()), 1.1)
    assert len(device.illegal) == 1
    assert not device.acknowledged


@pytest.mark.parametrize("model", MODELS)
def test_enhanced_mode_wants_the_other_codes(model: str) -> None:
    device = on(model=model, count="1", ack_mode="enhanced")
    said = listen(device, 3, lambda one: ack(one, "AA") + ack(one, "CA"))
    assert blocks(said)[0][0].split("|")[14] == "AL"
    assert len(device.acknowledged) == 1
    assert len(device.illegal) == 1


@pytest.mark.parametrize(("line_end", "end"), [("cr", b"\r"), ("lf", b"\n"), ("crlf", b"\r\n")])
def test_segment_ends(line_end: str, end: bytes) -> None:
    said = on(count="1", line_end=line_end).wake(1.0)
    assert said.count(end) >= 10
    assert said.endswith(end + b"\x1c\r")
    if line_end == "lf":
        assert b"\r" not in said[:-1]


def test_several_messages_in_one_write() -> None:
    device = on(batch="4", every_s="1", count="8")
    writes = []
    for second in range(20):
        heard = device.wake(float(second))
        if heard:
            writes.append(len(blocks(heard)))
            device.receive(b"".join(ack(one) for one in ids(heard)), float(second))
    assert writes == [4, 4]
    assert len(device.acknowledged) == 8


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("habit", sorted({habit for model in MODELS.values() for habit in model.habits}))
def test_each_habit_is_seen(habit: str, model: str) -> None:
    device = on(model=model, habits=habit, every_s="1", count="80")
    said = listen(device, 300)
    found = [result for letter in device.letters for result in letter.results]
    kinds = {letter.kind for letter in device.letters}
    seen = {
        "rerun": "rerun" in kinds and len({r.specimen for r in found}) < len(device.letters),
        "qc": any(result.purpose == "control" for result in found),
        "resent": "resent" in kinds,
        "query": any(segments[0].split("|")[8][:3] in ("QRY", "ORM", "QBP") for segments in blocks(said)),
        "corrected": any(result.status == "C" for result in found),
        "deleted": any(result.status == "D" for result in found),
        "wrong": any(result.status == "W" for result in found),
        "cannot": any(result.status == "X" and not result.value for result in found),
        "missing": any(result.value in ("", '""', "---", "****") for result in found),
        "structured": b"|SN|" in said,
        "comma": any("," in result.value for result in found),
        "text": b"|Positif|" in said,
        "repeats": any("~" in result.value for result in found),
        "images": b"|ED|15008^WBC Histogram. BMP^99MRC||^Image^BMP^Base64^" in said,
    }[habit]
    assert seen == (habit in MODELS[model].habits)
    assert not device.illegal
    assert sorted(device.sent) == sorted(found)


def asked(model: str) -> tuple[Hl7Lab, str, float]:
    """A device that has just asked."""
    device = on(model=model, habits="query", every_s="1")
    for second in range(1, 60):
        heard = device.wake(float(second))
        (segments,) = blocks(heard)
        if device.letters[-1].kind == "query":
            return device, segments[0].split("|")[9], float(second)
        device.receive(ack(ids(heard)[0]), float(second))
    raise AssertionError("never asked")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("mindray_bs200", ack("{id}", kind="QCK^Q02", more="ERR|0|\rQAK|SR|NF|\r")),
        ("mindray_bc5300", ack("{id}", "AR", kind="ORR^O02")),
        ("genexpert_hl7", ack("{id}", kind="RSP^K11", more="QAK|1|NF\rQPD|Z03\r")),
        ("mindray_bs200", ack("{id}", "AR", kind="ACK^Q03")),
        ("mindray_bc5800", b""),
    ],
)
def test_a_question_may_be_answered_by_no_order(model: str, words: bytes) -> None:
    device, control_id, now = asked(model)
    device.receive(words.replace(b"{id}", control_id.encode()), now + 0.1)
    assert len(device.answers) == bool(words)
    assert not device.illegal


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("mindray_bs200", ack("{id}", kind="QCK^Q02", more="QAK|SR|OK|\r")),
        ("mindray_bs200", ack("{id}", kind="DSR^Q03", more="QAK|SR|OK|\rDSP|1||854\r")),
        ("mindray_bc5300", ack("{id}", kind="ORR^O02", more="ORC|AF|1\rOBR|1|1\r")),
        ("mindray_bc5300", ack("{id}", kind="QCK^Q02", more="QAK|SR|NF|\r")),
        ("genexpert_hl7", ack("{id}", kind="RSP^K11", more="ORC|NW\r")),
    ],
)
def test_an_order_is_illegal(model: str, words: bytes) -> None:
    device, control_id, now = asked(model)
    device.receive(words.replace(b"{id}", control_id.encode()), now + 0.1)
    assert len(device.illegal) == 1
    assert not device.answers


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("fault", sorted(Hl7Lab.FAULTS))
def test_each_fault_is_survived(fault: str, model: str) -> None:
    device = on(
        frozenset({fault}), seed=5, model=model, every_s="2", count="60", fault_rate="0.2", resend_all_s="100"
    )
    said = listen(device, 900)
    assert device.injected[fault] > 3
    assert set(device.injected) == {fault}
    assert not device.illegal
    assert device.sent
    if fault in ("garbage", "byte_by_byte", "two_in_one", "duplicate", "lost_ack"):
        assert device.is_finished
        assert {letter.status for letter in device.letters} <= {"accepted", "lost"}
        received = {result for segments in blocks(said) for result in results_in(segments)}
        assert set(device.sent) <= received
    if fault == "lost_ack":
        assert len(ids(said)) > len(device.letters)


def test_a_damaged_message_that_is_acknowledged_is_not_in_the_ledger() -> None:
    device = on(frozenset({"flipped_bit"}), fault_rate="1", every_s="1", count="30")
    listen(device, 60)
    assert device.acknowledged
    assert not device.sent


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_is_the_same_device(model: str) -> None:
    def run(seed: int) -> bytes:
        device = on(frozenset({"garbage", "duplicate"}), seed, model=model, habits="all", every_s="1")
        return listen(device, 60)

    assert run(4) == run(4)
    assert run(4) != run(5)


def test_a_lost_connection_brings_the_message_again() -> None:
    device = on(model="genexpert_hl7", count="1")
    first = device.wake(1.0)
    device.disconnected(2.0)
    assert device.wake(5.0) == b""
    device.connected(6.0)
    assert device.wake(6.0) == first


def test_a_day_passes() -> None:
    device = on(model="mindray_bc5800")
    for hour in range(1, 25):
        said = device.wake(hour * 3600.0)
        device.receive(b"".join(ack(one) for one in ids(said)), hour * 3600.0)
    device.wake(40 * 86_400.0)
    assert device.wake_at is not None
    assert device.wake_at > 40 * 86_400.0


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(0, 3))
def test_any_words_are_survived(words: list[bytes], seed: int) -> None:
    device = Hl7Lab(seed, frozenset(Hl7Lab.FAULTS), {"habits": "all", "fault_rate": "0.3", "every_s": "1"})
    for index, word in enumerate(words):
        device.receive(word, index * 0.7)
        device.receive(b"\x0b" + word + b"\x1c\r", index * 0.7)
    assert device.wake_at is not None


@pytest.mark.parametrize(
    "wrong",
    [("model", "x"), ("habits", "late"), ("batch", "0"), ("batch", "x"), ("line_end", "nul"), ("started", "x")],
)
def test_wrong_options_are_refused(wrong: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="hl7_lab"):
        Hl7Lab(options=dict([wrong]))
