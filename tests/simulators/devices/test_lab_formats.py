"""The vendor formats of the laboratory: the page's vectors, each habit and fault, the answers, the clock by hand."""

import ast
import re
from collections.abc import Callable
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import analyzer, beckman_au, biomerieux_bci, sysmex_kx
from simulators.devices.analyzer import Analyzer
from simulators.devices.beckman_au import BeckmanAu
from simulators.devices.biomerieux_bci import BiomerieuxBci
from simulators.devices.hl7_lab import Hl7Lab
from simulators.devices.horiba_abx import TESTS as MICROS
from simulators.devices.horiba_abx import HoribaAbx
from simulators.devices.lab_results import Result
from simulators.devices.mindray_bc_serial import TESTS as MINDRAY
from simulators.devices.mindray_bc_serial import MindrayBcSerial
from simulators.devices.sysmex_kx import TESTS as KX
from simulators.devices.sysmex_kx import SysmexKx

ACK, NAK, ENQ, EOT = b"\x06", b"\x15", b"\x05", b"\x04"
Answer = Callable[[bytes], bytes]


class Case(NamedTuple):
    """A simulator, how it is set, and what a good box says to what it hears."""

    kind: type[Analyzer]
    options: dict[str, str]
    answer: Answer

    @property
    def label(self) -> str:
        """For the name of a test."""
        return "-".join((self.kind.NAME, *self.options.values()))

    def on(self, seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> Any:
        """Switched on at 0."""
        device = self.kind(seed, faults, self.options | options)
        device.wake(0.0)
        return device


def nothing(_: bytes) -> bytes:
    return b""


def ends(*marks: bytes) -> Answer:
    """ACK when what was heard ends in one of these."""
    return lambda heard: ACK if heard.endswith(marks) else b""


def good_bci(heard: bytes) -> bytes:
    """ACK to ENQ; ACK to a block whose checksum fits, NAK to one whose does not."""
    if found := re.search(rb"\x02(\x1e[^\x02]*\x1d)(..)\x03$", heard, re.S):
        return ACK if b"%02x" % (sum(found[1]) & 0xFF) == found[2] else NAK
    return ACK if heard.endswith(ENQ) else NAK if heard.endswith(b"\x03") else b""


def good_au(heard: bytes) -> bytes:
    found = re.search(rb"\x02([^\x02\x03]*\x03)(.)$", heard, re.S)
    return b"" if not found else ACK if reduce(xor, found[1]) == found[2][0] else NAK


CASES = [
    Case(SysmexKx, {}, nothing),
    Case(SysmexKx, {"class": "B"}, ends(b"\x03")),
    Case(HoribaAbx, {"specimen_field": "u"}, nothing),
    Case(HoribaAbx, {"envelope": "yes", "curves": "no", "checksum_field": "no"}, nothing),
    Case(BiomerieuxBci, {}, good_bci),
    Case(BiomerieuxBci, {"handshake": "no", "language": "en", "date": "dmy"}, nothing),
    Case(MindrayBcSerial, {}, nothing),
    Case(MindrayBcSerial, {"handshake": "yes", "point": "no"}, ends(b"\x05", b"\x03")),
    Case(MindrayBcSerial, {"handshake": "yes", "variant": "bc2800_15"}, ends(b"\x10", b"\x0f")),
    Case(BeckmanAu, {}, nothing),
    Case(BeckmanAu, {"replies": "yes"}, good_au),
    Case(BeckmanAu, {"bcc": "no", "id_length": "15", "result_length": "7"}, nothing),
]
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
WITHOUT_ANSWER = [case for case in CASES if case.answer is nothing]


def listen(case: Case, device: Any, end: int, start: int = 0, answer: Answer | None = None) -> bytes:
    """All that is said in these seconds, ten looks a second; the box answers at once what it has heard to its end."""
    said = tail = b""
    for tenth in range(start * 10, end * 10):
        heard = device.wake(tenth / 10)
        for _ in range(9):
            said, tail = said + heard, (tail + heard)[-4000:]
            words = (answer or case.answer)(tail)
            if not words:
                break
            tail, heard = b"", device.receive(words, tenth / 10)
    return said


@pytest.mark.parametrize("module", ["analyzer", "lab_results", "hl7_lab", "hl7_lab_messages", "astm", "astm_frames",
    "astm_blood", "astm_chemistry", "analyzer_messages", "sysmex_kx", "horiba_abx", "biomerieux_bci",
    "mindray_bc_serial", "beckman_au"])  # fmt: skip
def test_it_imports_nothing_of_what_it_tests(module: str) -> None:
    tree = ast.parse(Path(analyzer.__file__).with_name(f"{module}.py").read_text("utf-8"))
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not [name for name in names if name.split(".")[0] in ("drivers", "gateway", "provisioning")]


# -- vectors ---------------------------------------------------------------------------------------------------------


def test_the_vector_of_the_kx() -> None:
    values = re.findall(r".{4}", "00720431012803850893029703320231031200840604002200060044042101240101*000")
    vector = sysmex_kx.block("260101", "42", tuple(values))
    assert vector == (
        b"\x02D1U2601010000000000042000000S0072004310012800385008930029700332002310031200084006040002200006000440042100"
        b"124001010*0000\x03"
    )
    assert len(vector) == 121


def test_the_vector_of_the_mini_vidas() -> None:
    fields = ["mtrsl", "pi", "pn", "si", "ciZ1G021SCR", "rtHBCT", "rnAnti-HBc Total II", "tt18:35", "td10/25/24"]
    vector = biomerieux_bci.block([*fields, "qlPositif", "qn0.05"])
    assert vector.startswith(b"\x02\x1emtrsl|\x1epi|")
    assert vector.endswith(b"\x1eqlPositif|\x1eqn0.05|\x1db0\x03")


def test_the_check_character_of_the_au() -> None:
    assert beckman_au.block("DB", True) == b"\x02DB\x03\x05"
    assert beckman_au.block("DE", False) == b"\x02DE\x03"


# -- what each says --------------------------------------------------------------------------------------------------


def read_kx(said: bytes) -> list[Result]:
    """By the page's offsets, counted from STX."""
    found = []
    for text in re.findall(rb"\x02[^\x03]{119}\x03", said):
        line = text.decode("ascii")
        for index, analyte in enumerate(KX):
            digits = line[30 + 5 * index : 34 + 5 * index]
            value = digits if "*" in digits else f"{int(digits) / 10**analyte.decimals:.{analyte.decimals}f}"
            found.append(Result(line[11:23], analyte.test, value, ""))
    return found


def read_abx(said: bytes) -> list[Result]:
    names = dict((identifier, analyte.test) for identifier, analyte in MICROS)
    found = []
    for text in re.findall(rb"\x02([^\x03]*)\x03", said):
        fields = [line for line in text.decode("latin-1").split("\r") if line]
        specimen = next((line[2:] for line in fields if line[0] == "u"), "")
        assert next(line for line in fields if line[0] == "\xff")[2:] in ("RESULT", "RES-RR", "QC-RES")
        found += [Result(specimen, names[x[0]], x[2:7].strip(), "") for x in fields if x[0] in names]
    return found


def read_bci(said: bytes) -> list[Result]:
    found = []
    for body, check in re.findall(rb"\x02(\x1e[^\x03]*\x1d)(..)\x03", said):
        assert b"%02x" % (sum(body) & 0xFF) == check
        fields = {field[:2]: field[2:] for field in body.decode("latin-1").strip("\x1e\x1d|").split("|\x1e")}
        found.append(Result(fields["ci"], fields["rt"], fields["qn"], ""))
    return found


def read_mindray(said: bytes) -> list[Result]:
    found = []
    for text in re.findall(rb"[ABC]01[^\x04]*\x04", said):
        line = text.decode("ascii")
        length = int(line[3:6])
        assert int(line[6:9]) == len(MINDRAY)
        at = 11 + length + 15
        for analyte, whole in MINDRAY:
            has_point = "." in line
            size = whole + (analyte.decimals and analyte.decimals + has_point)
            value = line[at : at + size]
            at += size
            digits = value.replace(".", "")
            if "*" not in digits:
                value = f"{int(digits) / 10**analyte.decimals:.{analyte.decimals}f}"
            found.append(Result(line[11 : 11 + length], analyte.test, value, ""))
    return found


def read_au(case: Case, said: bytes) -> list[Result]:
    found = []
    width, size = int(case.options.get("id_length", "10")), int(case.options.get("result_length", "6"))
    for text in re.findall(rb"\x02(D[ HQRA][^\x03]*)\x03", said):
        line = text.decode("ascii")
        specimen, rest = line[13 : 13 + width].strip(), line[13 + width :]
        for at in range(0, len(rest), 2 + size + 2):
            found.append(Result(specimen, rest[at : at + 2], rest[at + 2 : at + 2 + size].strip(), ""))
    return found


READERS: dict[str, Callable[[Case, bytes], list[Result]]] = {
    "sysmex_kx": lambda _case, said: read_kx(said),
    "horiba_abx": lambda _case, said: read_abx(said),
    "biomerieux_bci": lambda _case, said: read_bci(said),
    "mindray_bc_serial": lambda _case, said: read_mindray(said),
    "beckman_au": read_au,
}


def told(results: list[Result]) -> list[tuple[str, str, str]]:
    return [(result.specimen, result.test, result.value) for result in results]


@each
def test_what_is_said_is_what_the_ledger_holds(case: Case) -> None:
    device = case.on(every_s="2", count="12")
    said = listen(case, device, 60)
    assert told(READERS[case.kind.NAME](case, said)) == told(device.sent)
    assert len(device.sent) >= 12
    assert [result for message in device.history for result in message.results] == device.sent
    assert [message.at for message in device.history] == sorted(message.at for message in device.history)
    assert not device.illegal
    assert device.is_finished


HABITS = [(case, habit) for case in CASES for habit in case.kind.HABITS]


@pytest.mark.parametrize(("case", "habit"), HABITS, ids=lambda thing: getattr(thing, "label", thing))
def test_each_habit_is_seen(case: Case, habit: str) -> None:
    device = case.on(every_s="2", count="80", habits=habit)
    plain = case.on(every_s="2", count="80")
    said = listen(case, device, 300)
    specimens = [message.results[0].specimen for message in device.history]
    first = [message.results[0] for message in device.history]
    orders = {tuple(result.test for result in message.results) for message in device.history}
    texts = re.findall(rb"\x02([^\x02\x03]*)\x03", said)
    seen = {
        "rerun": len(set(specimens)) < len(specimens) or b"RES-RR" in said,
        "qc": any(result.purpose == "control" for result in first),
        "blank": any(result.purpose == "blank" for result in first),
        "calibration": any(result.purpose == "calibration" for result in first),
        "missing": any(
            result.value in ("", "*000", "-----") or set(result.value) <= set("*.") for result in device.sent
        ),
        "unreliable": any(re.fullmatch(r"\*\d{3}", result.value) for result in device.sent),
        "marked": any(result.flags == "*" for result in device.sent),
        "shuffled": len({tuple(line[:1] for line in text.split(b"\r")) for text in texts}) > 9,
        "short": len(orders) == 2,
        "comma": any("," in result.value for result in device.sent),
        "outside": any(result.value.startswith("> ") for result in device.sent),
        "unread": "" in specimens,
    }[habit]
    assert seen
    assert not device.illegal
    assert listen(case, plain, 300) != said


def test_a_control_and_a_sample_are_told_apart() -> None:
    said = listen(CASES[0], CASES[0].on(every_s="2", count="80", habits="qc"), 300)
    assert {text[3:4] for text in re.findall(rb"\x02[^\x03]+\x03", said)} == {b"U", b"C"}
    said = listen(CASES[6], CASES[6].on(every_s="2", count="80", habits="qc"), 300)
    assert {text[1:2] for text in re.findall(rb"\x02[^\x04]+\x04", said)} == {b"A", b"B", b"C"}


def test_the_words_of_the_mini_vidas() -> None:
    french = listen(CASES[4], CASES[4].on(every_s="2", count="40"), 120)
    assert {b"qlPositif|", "qlNégatif|".encode("latin-1")} <= set(re.findall(rb"ql[^\x1e]*", french))
    english = listen(CASES[5], CASES[5].on(every_s="2", count="40"), 120)
    assert {b"qlPositive|", b"qlNegative|"} <= set(re.findall(rb"ql[^\x1e]*", english))
    assert b"td01/01/26" in english
    assert re.search(rb"qn[\d.]+ IU/ml\|", english)


def test_the_layout_of_the_au() -> None:
    said = listen(CASES[11], CASES[11].on(every_s="2", count="9"), 30)
    texts = re.findall(rb"\x02([^\x03]*)\x03", said)
    assert texts[::3] == [b"DB"] * 9
    assert texts[2::3] == [b"DE"] * 9
    for text in texts[1::3]:
        assert re.fullmatch(rb"D \d{6} \d{4}S\d{5} {9}((01|02|10|25) +\d+(\.\d)?[LH ] )+", text), text
        assert (len(text) - 28) % 11 == 0


def test_the_dialogue_of_the_mini_vidas() -> None:
    device = CASES[4].on(count="1")
    assert device.wake(1.0) == ENQ
    text = device.receive(ACK, 1.1)
    assert text[:1] == b"\x02"
    assert device.receive(NAK, 1.2) == text
    assert device.receive(ACK, 1.3) == EOT
    assert len(device.sent) == 1
    assert device.wake(100.0) == b""


def test_the_handshake_of_mindray() -> None:
    device = CASES[7].on(count="1")
    assert device.wake(1.0) == ENQ
    body = device.receive(ACK, 1.1)
    assert body.endswith(b"\x04\x03")
    assert b"." not in body
    assert device.receive(NAK, 1.2) == body
    assert device.wake(5.2) == b"\x03"  # four seconds without a word
    assert device.receive(ACK, 5.3) == b""
    assert len(device.history) == 1


def test_mindray_asks_twice_and_gives_up() -> None:
    device = CASES[7].on(count="1")
    assert [device.wake(float(second)) for second in range(1, 20)].count(ENQ) == 2
    assert device.given_up == 1
    assert not device.sent


def test_a_text_without_a_word_is_sent_three_times() -> None:
    for case in (CASES[1], CASES[10]):
        device = case.on(count="1")
        said = listen(case, device, 200, answer=nothing)
        first = re.search(rb"\x02[^\x02]*", said)
        assert first
        assert said.count(first[0]) == 3
        assert not device.sent


@pytest.mark.parametrize("case", WITHOUT_ANSWER, ids=lambda case: case.label)
def test_nothing_may_be_said_to_a_device_that_does_not_listen(case: Case) -> None:
    device = case.on()
    device.receive(ACK, 1.0)
    assert device.illegal == [ACK]


@pytest.mark.parametrize("case", [case for case in CASES if case.answer is not nothing], ids=lambda case: case.label)
def test_only_ack_and_nak_may_be_said_to_one_that_does(case: Case) -> None:
    device = case.on()
    device.receive(ACK + NAK + ENQ + b"hello", 0.1)
    assert b"".join(device.illegal) == ENQ + b"hello"


# -- faults and the clock --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [case for case in CASES if case.answer is not nothing], ids=lambda case: case.label)
def test_a_damaged_text_that_is_acknowledged_is_not_in_the_ledger(case: Case) -> None:
    device = case.on(1, frozenset({"flipped_bit"}), every_s="3", fault_rate="1", count="9")
    for tenth in range(600):
        device.wake(tenth / 10)
        device.receive(ACK, tenth / 10)
    assert device.injected["flipped_bit"] >= 9
    assert not device.sent


FAULTS = [(case, fault) for case in CASES for fault in sorted(case.kind.FAULTS)]


@pytest.mark.parametrize(("case", "fault"), FAULTS, ids=lambda thing: getattr(thing, "label", thing))
def test_each_fault_strikes_and_is_survived(case: Case, fault: str) -> None:
    device = case.on(3, frozenset({fault}), every_s="3", fault_rate="0.25", silence_s="4", count="80")
    said = listen(case, device, 600)
    assert device.injected[fault] >= 3
    assert set(device.injected) == {fault}
    assert not device.illegal
    assert device.sent
    if fault in ("garbage", "duplicate", "two_in_one", "byte_by_byte", "lost_reply"):
        assert set(told(device.sent)) <= set(told(READERS[case.kind.NAME](case, said)))


@each
def test_the_same_seed_is_the_same_device(case: Case) -> None:
    def run(seed: int) -> tuple[bytes, object]:
        device = case.on(seed, frozenset({"garbage", "duplicate"}), every_s="2", habits="all")
        return listen(case, device, 60), list(device.history)

    assert run(4) == run(4)
    assert run(4) != run(5)


@each
def test_a_day_passes(case: Case) -> None:
    device = case.on()
    for hour in range(1, 25):
        device.receive(case.answer(device.wake(hour * 3600.0)), hour * 3600.0)
    assert device.wake_at is None or device.wake_at > 24 * 3600.0


@given(st.lists(st.binary(max_size=6), max_size=40), st.sampled_from(CASES))
def test_any_words_are_survived(words: list[bytes], case: Case) -> None:
    device = case.on(0, frozenset(case.kind.FAULTS), fault_rate="0.3", every_s="1", habits="all")
    for index, word in enumerate(words):
        device.receive(word, index * 0.7)


@pytest.mark.parametrize("kind", [SysmexKx, HoribaAbx, BiomerieuxBci, MindrayBcSerial, BeckmanAu, Hl7Lab])
def test_wrong_options_are_refused(kind: type[Analyzer]) -> None:
    for wrong in ({"habits": "late"}, {"started": "today"}, {"every_s": "often"}, {"colour": "red"}):
        with pytest.raises(ValueError, match=kind.NAME):
            kind(options=wrong)
