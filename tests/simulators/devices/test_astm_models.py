"""The ten models of the analyzer simulator: what each writes, how it frames, its bad habits, and its questions."""

import re

import pytest

from simulators.devices.analyzer_messages import HABITS, MODELS, Maker, is_whole, results_in
from simulators.devices.astm import Astm, frames_of
from simulators.devices.astm_frames import Style, frame, renumbered, with_bad_checksum
from simulators.devices.lab_results import Result
from tests.simulators.devices.astm_talk import ACK, ENQ, EOT, NAK, Host, play

NOW = ("20240627135407", "20240627135410")
EMPTY = [b"H|\\^&|||host^1|||||cobas-e411|TSDWN^REPLY|P|1\r", b"L|1|N\r"]
SHAPES = {
    "sysmex_xn_l": r"R\|1\|\^\^\^\^WBC\^1\|\d+\.\d\d\|10\*3/uL\|\|[NLH]\|\|F\|\|\|\|20240627135407",
    "horiba_pentra": r"R\|1\|\^\^\^WBC\^804-5\^1\|\d+\.\d\|1\|\|[LH]?\|\|[FW]\|\|NNE NNEMT\|\|20240627135407",
    "horiba_yumizen": r"R\|1\|\^\^\^MCV\^787-2\|\d+\.\d\|um3\|76\.0 - 100\.0\^REFERENCE_RANGE\|[NLH]\|\|[FW]\|\|MATYL"
    r"\^\^USER\|20240627135407\|\|",
    "genexpert": r"R\|1\|\^MTB-RIF\^\^Xpert\^Xpert MTB-RIF Ultra\^4\^MTB\^\|[A-Z ]+\^\|\|\|\|\|F\|\|A\. OPERATOR"
    r"\|20240627135407\|20240627135407\|Cepheid-.*",
    "cobas_c111": r"R\|1\|\^\^\^\d+\|\d+\.\d\|U/L\|\|[NLH]\|\|F\|\|LABO\|\|20240627135407",
    "cobas_c311": r"R\|1\|\^\^\^685/\|\d+\.\d\|U/l\|\|[NLHA]\|\|F\|\|\|\|\|P1",
    "cobas_e411": r"R\|1\|\^\^\^10/1/not\|(-1\^0\.\d{3}|<2\.00|\d+\.\d\d)\|(COI|IU/l)\|\|(N|LL)\|\|F\|\|ADMIN\|{3}E1",
    "vitros": r"R\|1\|\^\^\^1\.0000\+301\+1\.0\|\d+\|g/L\|\|\^[0-9]\^[^|]*\|\|V\|\|34001637\|20240627135407"
    r"\|20240627135407\|34001637",
}


def messages(model: str, habits: str, count: int = 300) -> tuple[set[str], list[Result], list[bytes]]:
    """Kinds, results and messages of one analyzer."""
    maker = Maker(model, 1, frozenset(HABITS) if habits == "all" else frozenset({habits}))
    written = [maker.write(*NOW) for _ in range(count)]
    return (
        {one.kind for one in written},
        [r for one in written for r in results_in(one.data)],
        [w.data for w in written],
    )


@pytest.mark.parametrize("model", SHAPES)
def test_the_shape_of_a_result(model: str) -> None:
    for seed in range(30):
        records = Maker(model, seed).message(*NOW).decode("latin-1").split("\r")
        first = next(record for record in records if record[0] == "R")
        assert re.fullmatch(SHAPES[model], first), first
        assert records[0][0] == "H"
        assert records[-2:] == ["L|1|N", ""]


def test_what_only_one_model_has() -> None:
    xn = Maker("sysmex_xn_l", 1).message(*NOW)
    assert re.search(rb"R\|\d+\|\^\^\^\^Left_Shift\?\|\d+\|\|\|\|\|F", xn)
    assert b"|PNG&R&20240627&R&2024_06_27_13_54_07_RBC.PNG|" in xn
    assert re.search(rb"O\|1\|\|\^\^ {12}\d{10}\^[MAB]\|", xn)
    xpert = Maker("genexpert", 1).message(*NOW)
    assert xpert.startswith(b"H|@^\\|URM-")
    assert 60 < xpert.count(b"\rR|") < 95
    assert {result.status for result in results_in(xpert)} == {"F", ""}
    pentra = b"".join(Maker("horiba_pentra", seed).message(*NOW) for seed in range(20))
    assert re.search(rb"\|-----\|1\|\|[LH]?\|\|X\|", pentra)
    assert b"\rC|2|I|LARGE IMMATURE CELL^NRBCs|I\r" in pentra
    assert b"RBC^789-9" in pentra
    matrix = max(Maker("horiba_yumizen", 1).message(*NOW).split(b"\r"), key=len)
    assert matrix.startswith(b"M|2|MATRIX|LMNE|")
    assert 18_000 < len(matrix) < 27_000
    vitros = b"".join(Maker("vitros", seed).message(*NOW) for seed in range(20))
    assert b"^0^FRMN\\^0^NR" in vitros
    assert re.search(rb"R\|1\|\^\^\^1.0000\+301\+1.0.*\rR\|2\|\^\^\^1.0000\+301\+1.0", vitros)
    assert re.search(rb"O\|1\|\|T\d+\^\^2\|\|R\|{6}N\|", Maker("cobas_c111", 1).message(*NOW))
    assert re.search(rb"O\|1\|\d+\^CL-\d+ +\^1\^\^004\|R1\|", Maker("cobas_c311", 1).message(*NOW))


@pytest.mark.parametrize("model", MODELS)
def test_the_ledger_finds_specimen_and_test(model: str) -> None:
    for result in results_in(Maker(model, 2).message(*NOW)):
        assert re.fullmatch(r"(T|PR)?\d{5,10}", result.specimen)
        assert result.test
        assert "|" not in result.test_field
        assert result.specimen in result.specimen_field


@pytest.mark.parametrize("model", MODELS)
def test_how_each_frames(model: str) -> None:
    message = Maker(model, 1).message(*NOW)
    frames = frames_of(message, MODELS[model].framing)
    ends = [whole[-5:-4] for whole in frames]
    assert b"".join(whole[2:-5] for whole in frames) == message
    assert [int(whole[1:2]) for whole in frames] == [number % 8 for number in range(1, len(frames) + 1)]
    match MODELS[model].framing:
        case "whole":
            assert ends == [b"\x03"]
        case "record_etb":
            assert ends == [b"\x17"] * (len(frames) - 1) + [b"\x03"]
            assert all(whole[-6:-5] == b"\r" for whole in frames)
        case "split":
            assert ends == [b"\x17"] * (len(frames) - 1) + [b"\x03"]
            assert {len(whole) for whole in frames[:-1]} == {247}
        case _:
            assert all((whole[-6:-5] == b"\r") == (whole[-5:-4] == b"\x03") for whole in frames)
            assert max(len(whole) for whole in frames) <= 247
    (long,) = frames_of(message, "whole")
    assert len(long) == len(message) + 7
    assert len(frames_of(message, "record_long")) == message.count(b"\r")


def test_other_ends_and_checksums() -> None:
    assert frame(1, b"L|1|N\r", True, Style("lower", "crlf")) == b"\x021L|1|N\r\x0304\r\n"
    assert frame(3, b"P|1\r", True, Style("lower", "lf")) == b"\x023P|1\r\x0340\n"
    assert frame(2, b"C|1|I|x|G\r", True, Style("lower")).endswith(b"\x03ae\r\n")
    assert frame(1, b"L|1|N\r", False, Style("none", "none")) == b"\x021L|1|N\r\x17"
    assert with_bad_checksum(b"\x027C|1|I|x|G\r\x03b3\r\n")[-5:] == b"\x03b4\r\n"
    assert with_bad_checksum(b"\x021L|1|N\r\x03") == b"\x021L|1|N\r\x03"
    assert renumbered(frame(7, b"L|1|N\r"), 1) == frame(8, b"L|1|N\r")


# -- habits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("habit", [habit for habit in HABITS if habit not in ("query", "resent", "partial")])
def test_each_habit_is_seen(habit: str, model: str) -> None:
    kinds, results, said = messages(model, habit)
    new = results_in(Maker(model, 1).message(*NOW))
    missing = MODELS[model].missing
    seen = {
        "rerun": "rerun" in kinds and len({result.specimen for result in results}) < len(said),
        "repeated": any(result.status == "R" for result in results),
        "corrected": any(result.status == "C" for result in results),
        "qc": "qc" in kinds and any(result.purpose == "control" for result in results),
        "unread": any(re.fullmatch(r"@\d+", result.specimen) for result in results),
        "missing": any(result.value == missing and result.unit for result in results),
        "doubtful": any(result.status == "W" for result in results),
        "cannot": any(result.status == "X" and result.value == missing for result in results),
        "outside": any(re.match(r"[<>] ?\d", result.value) for result in results),
        "comma": any("," in result.value for result in results),
        "empty": any(result.specimen == "" for result in results),
        "eight_bit": any(result.unit in ("10³/mm³", "µm³") for result in results),
        "seven_bit": any(result.unit in ("10)/mm)", "5m)") for result in results),
    }[habit]
    if habit not in MODELS[model].habits:
        assert kinds == {"new"}
        assert said[0] == Maker(model, 1).message(*NOW)
    else:
        assert seen
        assert {result.test for result in new}


@pytest.mark.parametrize("model", MODELS)
def test_a_message_again_is_the_same_bytes(model: str) -> None:
    kinds, _, said = messages(model, "resent", 60)
    assert kinds == {"new", "resent"}
    assert len(set(said)) < len(said)


@pytest.mark.parametrize("model", MODELS)
def test_a_broken_off_message_is_not_whole(model: str) -> None:
    maker = Maker(model, 1, frozenset({"partial"}))
    written = [maker.write(*NOW) for _ in range(60)]
    assert [is_whole(one.data) for one in written] == [one.kind == "new" for one in written]
    ends = {one.data.split(b"\r")[-2] for one in written if one.kind == "partial"}
    assert b"L|1|T" in ends
    assert len(ends) > 1


@pytest.mark.parametrize("model", MODELS)
def test_habits_change_no_new_message(model: str) -> None:
    habits = {"resent", "repeated", "corrected", "query"} & MODELS[model].habits
    maker, plain = Maker(model, 4, frozenset(habits)), Maker(model, 4)
    new = [one.data for one in (maker.write(*NOW) for _ in range(80)) if one.kind == "new"]
    assert 30 < len(new) < 80
    assert new == [plain.message(*NOW) for _ in new]


@pytest.mark.parametrize("model", MODELS)
def test_all_habits_go_through_the_link(model: str) -> None:
    analyzer, host = Astm(3, options={"model": model, "every_s": "2", "count": "120", "habits": "all"}), Host()
    host.is_patient = True
    play(analyzer, host, 4000)
    whole = [one for one in analyzer.deliveries if one.is_whole]
    assert analyzer.is_finished
    assert host.messages == [one.message for one in analyzer.deliveries]
    assert analyzer.sent == [result for one in whole for result in one.results]
    assert [told.results for told in analyzer.history] == [one.results for one in analyzer.deliveries]
    assert [told.is_whole for told in analyzer.history] == [one.is_whole for one in analyzer.deliveries]
    assert {one.kind for one in analyzer.deliveries} >= {"new", "rerun", "resent", "qc", "partial"}
    assert not analyzer.illegal


# -- the link --------------------------------------------------------------------------------------------------------


def test_a_number_that_skips_one_is_said_again() -> None:
    analyzer, host = Astm(0, frozenset({"frame_gap"}), {"model": "vitros", "count": "9", "fault_rate": "0.3"}), Host()
    play(analyzer, host, 4000)
    assert analyzer.injected["frame_gap"] == host.naks > 5
    assert host.messages == [one.message for one in analyzer.deliveries]


def test_a_transfer_may_end_without_eot() -> None:
    analyzer = Astm(0, options={"model": "vitros", "count": "2", "every_s": "1", "eot": "no"})
    host = Host()
    said = play(analyzer, host, 60)
    assert not [out for _, out in said if EOT in out]
    assert [one.status for one in analyzer.deliveries] == ["delivered"] * 2


@pytest.mark.parametrize("options", [{"checksum": "lower"}, {"framing": "record_long"}, {"framing": "split"}])
def test_other_framings_go_through(options: dict[str, str]) -> None:
    analyzer, host = Astm(0, options={"model": "horiba_yumizen", "count": "3", **options}), Host()
    play(analyzer, host, 100)
    assert host.messages == [one.message for one in analyzer.deliveries]


def test_a_reboot_in_mid_transfer_begins_again() -> None:
    analyzer = Astm(0, frozenset({"enq_mid_transfer"}), {"model": "horiba_pentra", "count": "1", "fault_rate": "1"})
    analyzer.wake(0.0)
    assert analyzer.wake(1.0) == ENQ
    first = analyzer.receive(ACK, 1.1)
    assert first[:3] == b"\x021H"
    assert analyzer.receive(ACK, 1.2) == ENQ
    assert analyzer.receive(ACK, 1.3) == first


@pytest.mark.parametrize("model", MODELS)
def test_a_day_passes(model: str) -> None:
    analyzer = Astm(1, options={"model": model, "habits": "all", "every_s": "600"})
    for hour in range(25):
        out = analyzer.wake(hour * 3600.0)
        while out[:1] in (ENQ, b"\x02"):
            out = analyzer.receive(ACK, hour * 3600.0)
    assert analyzer.wake(40 * 86_400.0)
    assert analyzer.wake_at is not None
    assert analyzer.wake_at > 40 * 86_400.0


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_is_the_same_analyzer(model: str) -> None:
    def run(seed: int) -> list[tuple[float, bytes]]:
        options = {"model": model, "habits": "all", "every_s": "2", "count": "30", "fault_rate": "0.1"}
        return play(Astm(seed, frozenset({"garbage", "duplicate"}), options), Host(), 400)

    assert run(4) == run(4)
    assert run(4) != run(5)


# -- questions -------------------------------------------------------------------------------------------------------


def asked(model: str = "cobas_e411", **options: str) -> tuple[Astm, float, bytes]:
    """An analyzer that has just asked, the time, and its question."""
    given = {"model": model, "habits": "query", "every_s": "5", "framing": "whole"} | options
    analyzer = Astm(2, options=given)
    now, text = 0.0, b""
    while not any(told.message == "query" for told in analyzer.history):
        now = max(now, analyzer.wake_at or 0.0)
        out = analyzer.wake(now)
        while out[:1] in (ENQ, b"\x02"):
            text = out
            out = analyzer.receive(ACK, now)
    return analyzer, now, text


def test_the_question_of_the_e411_and_its_withdrawal() -> None:
    analyzer, now, question = asked(query_wait_s="20", every_s="1000")
    assert re.search(rb"\|TSREQ\^REAL\|P\|1\rQ\|1\|\^\^\d+\^\d+\^0\^5\^\^S1\^SC\|\|ALL\|{8}O\rL\|1\|N\r", question)
    host = Host()
    play(analyzer, host, now + 30, now)
    assert host.messages[-1] == question[2:-5].replace(b"|O\r", b"|A\r")
    assert analyzer.deliveries[-1].kind == "cancel"
    assert not analyzer.illegal


def test_the_question_of_the_erba() -> None:
    _, _, question = asked("erba_xl")
    assert re.search(rb"Q\|1\|\^\d{7}`\d{7}\|\|\|S\|{7}O\r", question)


def test_an_answer_without_tests_is_legal() -> None:
    analyzer, now, _ = asked()
    assert analyzer.receive(ENQ, now) == ACK
    for number, record in enumerate(EMPTY, 1):
        assert analyzer.receive(frame(number, record), now) == ACK
        assert analyzer.receive(frame(number, record), now) == ACK
    assert analyzer.receive(EOT, now) == b""
    assert analyzer.answers == [b"".join(EMPTY)]
    assert not analyzer.illegal
    assert "cancel" not in {one.kind for one in analyzer.deliveries}


def test_an_order_is_illegal() -> None:
    analyzer, now, _ = asked()
    order = b"H|\\^&\rP|1\rO|1|S1||^^^10^|R\rL|1|N\r"
    assert analyzer.receive(ENQ + frame(1, order) + EOT, now) == ACK + ACK
    assert analyzer.illegal == [order]
    assert not analyzer.answers


@pytest.mark.parametrize("damage", [with_bad_checksum, lambda whole: renumbered(whole, 1)])
def test_a_damaged_answer_is_refused(damage: object) -> None:
    analyzer, now, _ = asked()
    assert callable(damage)
    assert analyzer.receive(ENQ + damage(frame(1, EMPTY[0])), now) == ACK + NAK


def test_nobody_may_ask_an_analyzer_that_has_not_asked() -> None:
    analyzer = Astm(options={"model": "cobas_e411", "every_s": "1000"})
    analyzer.wake(0.0)
    assert analyzer.receive(ENQ, 0.1) == b""
    assert analyzer.illegal == [ENQ]


def test_the_instrument_goes_first_when_both_want_to_speak() -> None:
    analyzer, now, _ = asked(query_wait_s="60", every_s="3")
    while analyzer.wake(now) != ENQ:
        now += 0.5
    assert analyzer.receive(ENQ, now) == b""
    assert analyzer.wake(now + 0.9) == b""
    assert analyzer.wake(now + 1.0) == ENQ
    assert not analyzer.illegal


def test_a_host_that_stops_in_its_answer_is_left() -> None:
    analyzer, now, _ = asked(query_wait_s="100", every_s="1000")
    analyzer.receive(ENQ + frame(1, EMPTY[0]), now)
    assert analyzer.wake(now + 29) == b""
    analyzer.wake(now + 31)
    assert analyzer.receive(ENQ, now + 32) == ACK
