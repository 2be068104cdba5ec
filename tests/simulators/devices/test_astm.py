"""The analyzer simulator: vectors of the ASTM pages, and dialogues with a small host and the clock turned by hand."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices.analyzer_messages import PROFILES, Maker, results_in
from simulators.devices.astm import Astm, frame, frames_of
from tests.simulators.devices.astm_talk import ACK, ENQ, EOT, NAK, Host, play

CAPTURES = Path(__file__).parents[3] / ".." / "shared" / "captures" / "erba_xl_astm"
MESSAGE = b"H|\\^&\rP|1\rO|1|S1\rR|1|^^^GLU|5.5|mmol/L||||F||||20260101\rL|1|N\r"


VECTORS = [
    (1, b"H|\\^&|||GW-TEST^1.0|||||||P|1|20260101080000\r", b"E2"),
    (2, b"P|1||PID0007\r", b"DB"),
    (3, b"O|1|S0001||^^^WBC\\^^^HGB|R\r", b"D2"),
    (4, b"R|1|^^^WBC|7.2|10*3/uL|4.0 to 10.0|N||F||OP1|20260101075500|20260101075800\r", b"27"),
    (5, b"R|2|^^^HGB|6.1|g/dL|12.0 to 16.0|LL||F||OP1|20260101075500|20260101075800\r", b"33"),
    (6, b"C|1|I|NOTE &F& delta&E&|G\r", b"DD"),
    (7, b"L|1|N\r", b"0A"),
    (7, b"C|1|I|x|G\r", b"B3"),
    (8, b"C|1|I|x|G\r", b"AC"),
    (9, b"C|1|I|x|G\r", b"AD"),
    (4, b"R|1|^^^GLU|6.5|mmol/L||N||F\r", b"06"),
    (4, b"R|1|^^^GLU|12.3|mmol/L||N||F\r", b"31"),
]


@pytest.mark.parametrize(("number", "text", "check"), VECTORS)
def test_vectors(number: int, text: bytes, check: bytes) -> None:
    assert frame(number, text) == b"\x02%d" % (number % 8) + text + b"\x03" + check + b"\r\n"


def test_the_cut_at_240() -> None:
    record = b"R|1|^^^PLT|231|10*3/uL||N||F||" + b"X" * 230 + b"|20260101\r"
    assert len(record) == 270
    for framing in ("record", "split"):
        first, second = frames_of(record, framing)
        assert (len(first), first[-5:]) == (247, b"\x17B5\r\n")
        assert (len(second), second[-5:]) == (37, b"\x032A\r\n")
    assert len(frames_of(record, "whole")) == 1


def test_framings() -> None:
    assert [f[1:3] for f in frames_of(MESSAGE, "record")] == [b"1H", b"2P", b"3O", b"4R", b"5L"]
    assert b"".join(f[2:-5] for f in frames_of(MESSAGE * 9, "split")) == MESSAGE * 9


@pytest.mark.parametrize("profile", PROFILES)
def test_a_message_goes_through(profile: str) -> None:
    analyzer, host = Astm(3, options={"profile": profile, "every_s": "5", "count": "4"}), Host()
    said = play(analyzer, host, 100)
    assert len(host.messages) == 4
    assert analyzer.is_finished
    assert [d.status for d in analyzer.deliveries] == ["delivered"] * 4
    assert analyzer.sent == [result for message in host.messages for result in results_in(message)]
    frames = [[b"\x02"] * len(frames_of(m, analyzer.model.framing)) for m in host.messages]
    assert [what[:1] for _, what in said] == [byte for some in frames for byte in (ENQ, *some, EOT)]
    assert [round(at) for at, what in said if what == ENQ] == [1, 6, 11, 16]
    assert not analyzer.illegal
    assert not analyzer.unexpected


def test_the_formats_of_erba() -> None:
    messages = [Maker("erba_xl", seed).message("20200928131730", "20200928131732") for seed in range(200)]
    shape = re.compile(
        rb"H\|`\^&\|\|\|\|\|\|\|\|\|\|P\|E 1394-97\|20200928131732\rP\|1\|\|\|\|\|\|\|U\|\|\|\|\|\|\|\|0\|0\r"
        rb"O\|1\|\d{7}\|\|\^\^\^\w+(`\^\^\^\w+)*\|\|\|\|\|\|\|\|\|\|\|SERUM\r"
        rb"(R\|\d\|\^\^\^\w+\|(\d+(\.\d)?|NA)\|(mg/dl|U/L)\|\^DEFAULT\|A\|N\|F\|\|\|\|20200928131730\r"
        rb"C\|1\|I\|Instrument Flag A(,A,A,A)?\r)+L\|1\|N\r"
    )
    for message in messages:
        assert shape.fullmatch(message), message
    assert 0 < sum(b"|NA|" in message for message in messages) < 40


def test_real_sessions_have_the_same_shape() -> None:
    if not CAPTURES.is_dir():
        pytest.skip("the captures are not beside the checkout")
    for path in sorted(CAPTURES.glob("*.bin")):
        session = path.read_bytes()
        text = session[3:-6]
        assert session == ENQ + frame(1, text) + EOT
        (result,) = results_in(text)
        made = (Maker("erba_xl", seed).message(result.completed, "20200928131732") for seed in range(9))
        mine = next(message for message in made if message.count(b"\rR|") == 1 and b"|NA|" not in message)
        wipe = re.compile(rb"\d{7,}|(?<=\^\^\^)\w+|(?<=\|)[\d.]+(?=\|(mg|U)/)|mg/dl|U/L|,A")
        assert wipe.sub(b"", text) == wipe.sub(b"", mine), path.name


def test_the_formats_of_sysmex() -> None:
    result = re.compile(
        rb"R\|\d+\|\^\^\^\^[\w%#-]+\^1\|([ \d.]{5}|\*+\.?\*+)\|[^|]+\|\|[LHNAW]\|\|\|\|[A-Z ]{15}\|\|20240221164355"
    )
    order = re.compile(rb"O\|1\|\|\^\^[ \dQC-]{15}\^[MAB]\|(\^\^\^\^[\w%#-]+\\?){20}\|{7}[NQ]\|{14}F")
    flags = set()
    for seed in range(60):
        records = Maker("sysmex_xp", seed).message("20240221164355", "").split(b"\r")
        assert len(records) == 25
        assert order.fullmatch(records[2]), records[2]
        for record in records[3:23]:
            assert result.fullmatch(record), record
            flags.add(record.split(b"|")[6])
            assert (b"*" in record.split(b"|")[3]) == (record.split(b"|")[6] == b"A")
    assert flags == {b"L", b"H", b"N", b"A", b"W"}
    first = results_in(Maker("sysmex_xp", 0).message("20240221164355", ""))[0]
    assert first.test == "WBC"
    assert first.specimen == first.specimen.strip() != ""
    assert first.completed == "20240221164355"


def one(answers: list[bytes], **options: str) -> tuple[Astm, Host, list[tuple[float, bytes]]]:
    """One ready message to a host with these answers."""
    analyzer, host = Astm(options={"framing": "record"} | options), Host(answers)
    analyzer.load([MESSAGE])
    return analyzer, host, play(analyzer, host, 200)


def times(said: list[tuple[float, bytes]], what: bytes) -> list[int]:
    return [round(at) for at, out in said for _ in range(out.count(what))]


def test_busy_is_asked_again_after_ten_seconds() -> None:
    analyzer, host, said = one([NAK])
    assert times(said, ENQ) == [0, 10]
    assert len(host.messages) == 1
    assert analyzer.deliveries[0].attempts == 1


def test_no_answer_to_enq_is_eot_and_later_again() -> None:
    analyzer, host, said = one([b""])
    assert times(said, ENQ) == [0, 30]
    assert times(said, EOT)[0] == 15
    assert analyzer.deliveries[0].status == "delivered"
    assert analyzer.deliveries[0].attempts == 2


def test_a_message_that_comes_late_has_all_its_time() -> None:
    analyzer = Astm(options={"count": "0"})
    analyzer.wake(0.0)
    analyzer.wake(1000.0)
    analyzer.load([MESSAGE])
    assert analyzer.wake(1001.0) == ENQ
    assert analyzer.wake(1014.0) == b""
    assert analyzer.wake(1016.0) == EOT


def test_six_failures_of_one_frame_end_the_transfer() -> None:
    analyzer, host, said = one([ACK, ACK, *[NAK] * 6])
    second = frames_of(MESSAGE, "record")[1]
    assert [out for _, out in said[2:8]] == [second] * 6
    assert said[8][1] == EOT
    assert times(said, ENQ) == [0, 15]
    assert host.messages == [MESSAGE]
    assert len(analyzer.sent) == 1
    assert analyzer.aborts == 1


def test_five_failures_do_not() -> None:
    analyzer, _, said = one([ACK, *[NAK] * 5])
    assert times(said, ENQ) == [0]
    assert analyzer.aborts == 0


def test_silence_after_a_frame_ends_the_transfer() -> None:
    analyzer, host, said = one([ACK, ACK, b""])
    assert times(said, EOT)[0] == 15
    assert times(said, ENQ) == [0, 30]
    assert host.messages == [MESSAGE]


def test_a_message_can_be_given_up() -> None:
    analyzer, _, said = one([NAK if i % 7 else ACK for i in range(21)], attempts="2")
    assert analyzer.deliveries[0].status == "aborted"
    assert analyzer.is_finished
    assert not analyzer.sent
    assert len(times(said, ENQ)) == 2


@pytest.mark.parametrize(("honour", "expected"), [("no", [0]), ("yes", [0, 15])])
def test_eot_from_the_box_is_an_ack(honour: str, expected: list[int]) -> None:
    analyzer, host, said = one([ACK, EOT], honour_interrupt=honour)
    assert times(said, ENQ) == expected
    assert host.messages == [MESSAGE]
    assert analyzer.interrupts == 1


def test_contention_is_won_by_asking_again() -> None:
    analyzer, host, said = one([ENQ])
    assert times(said, ENQ) == [0, 1]
    assert host.messages == [MESSAGE]
    assert analyzer.illegal == [ENQ]


def test_anything_else_counts_as_nak() -> None:
    analyzer, host, _ = one([ACK, b"?"])
    assert host.messages == [MESSAGE]
    assert analyzer.illegal == [b"?"]


def test_a_lost_connection_repeats_the_message_whole() -> None:
    analyzer, host = Astm(options={"framing": "record"}), Host()
    analyzer.load([MESSAGE])
    analyzer.disconnected(0)
    assert analyzer.wake(50) == b""
    assert analyzer.wake_at is None
    analyzer.connected(50)
    assert analyzer.wake(50) == ENQ
    assert analyzer.receive(ACK, 50.1)
    analyzer.disconnected(50.2)
    assert analyzer.deliveries[0].status == "aborted"
    analyzer.connected(60)
    play(analyzer, host, 100, now=60)
    assert host.messages == [MESSAGE]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("fault", sorted(Astm.FAULTS))
def test_each_fault_is_survived(fault: str, profile: str) -> None:
    count, rate = {"horiba_yumizen": (20, "0.005"), "genexpert": (20, "0.04")}.get(profile, (60, "0.2"))
    rate = "0.5" if fault == "two_in_one" else rate
    options = {"model": profile, "count": str(count), "every_s": "2", "framing": "split", "fault_rate": rate}
    analyzer, host = Astm(7, frozenset({fault}), options), Host()
    play(analyzer, host, 20_000)
    assert analyzer.injected[fault] > 5
    assert set(analyzer.injected) == {fault}
    assert analyzer.is_finished
    assert [d.status for d in analyzer.deliveries] == ["delivered"] * count
    assert {d.message for d in analyzer.deliveries} <= set(host.messages)
    assert set(host.messages) <= {d.message for d in analyzer.deliveries}
    assert not analyzer.illegal
    if fault in ("flipped_bit", "bad_checksum"):
        assert host.naks


def test_two_copies_wait_for_two_answers() -> None:
    analyzer = Astm(0, frozenset({"duplicate"}), {"framing": "record", "fault_rate": "1"})
    analyzer.load([MESSAGE])
    first, second = frames_of(MESSAGE, "record")[:2]
    assert analyzer.wake(0) == ENQ
    assert analyzer.receive(ACK, 0.1) == first + first
    assert analyzer.receive(ACK, 0.2) == b""
    assert analyzer.receive(ACK, 0.3) == second + second


@given(st.lists(st.binary(max_size=6), max_size=40), st.integers(0, 3))
def test_any_answers_are_survived(answers: list[bytes], seed: int) -> None:
    analyzer = Astm(seed, frozenset(Astm.FAULTS), {"fault_rate": "0.3", "every_s": "1"})
    for index, answer in enumerate(answers):
        analyzer.receive(answer, index * 0.7)
    assert analyzer.wake_at is not None


def test_wrong_options_are_refused() -> None:
    wrong = ("profile", "abbott"), ("model", "abbott"), ("habits", "late"), ("framing", "big"), ("count", "many")
    for options in ({name: text} for name, text in (*wrong, ("colour", "red"))):
        with pytest.raises(ValueError, match="astm"):
            Astm(options=options)
