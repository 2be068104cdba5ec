"""The link layer alone: what is taken, what is answered, how long it waits."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import NOISE, Fault
from drivers.framing.e1381 import MAX_FRAME_BYTES, RECEIVE_TIMEOUT_S, SILENCE_S, Receiver, Taken
from tests.contract.measure import NOISE_BUDGET, cost

ENQ, EOT, ACK, NAK = b"\x05", b"\x04", b"\x06", b"\x15"


def frame(number: int, text: bytes, end: bytes = b"\x03") -> bytes:
    body = b"%d" % (number % 8) + text + end
    return b"\x02" + body + b"%02X" % (sum(body) % 256) + b"\r\n"


class Listener:
    """Keeps what it is given; refuses on demand."""

    def __init__(self) -> None:
        self.texts: list[tuple[bytes, bool]] = []
        self.discarded = 0
        self.refuses = False

    def take(self, text: bytes, *, is_last: bool) -> Taken:
        if self.refuses:
            return "refused"
        self.texts.append((text, is_last))
        return "given_out" if text.startswith(b"L") else "kept"

    def discard(self) -> None:
        self.discarded += 1


class Line:
    """A receiver and its listener, fed piece by piece at a time of one's choice."""

    def __init__(self) -> None:
        self.listener = Listener()
        self.link = Receiver(self.listener)

    def __call__(self, data: bytes, now: float = 0.0) -> bytes:
        self.link.feed(data, now)
        return self.taken()

    def taken(self) -> bytes:
        replies = bytes(self.link.replies)
        self.link.replies.clear()
        return replies

    @property
    def reasons(self) -> list[str]:
        return [fault.reason for fault in self.link.faults]

    @property
    def texts(self) -> list[bytes]:
        return [text for text, _ in self.listener.texts]


def test_a_transfer_from_enq_to_eot() -> None:
    line = Line()
    assert line(ENQ) == ACK
    assert line(frame(1, b"a", b"\x17")) == ACK
    assert line(frame(2, b"b")) == ACK
    assert line(EOT) == b""
    assert line.listener.texts == [(b"a", False), (b"b", True)]
    assert line.link.deadline is None
    assert line.link.frames == 2


def test_frame_numbers_roll_over_from_7_to_0() -> None:
    line = Line()
    line(ENQ)
    assert [line(frame(number, b"x%d" % number)) for number in range(1, 20)] == [ACK] * 19


@pytest.mark.parametrize("number", [b"2", b"0", b"7", b"8", b"9", b"A", b" ", b"\x31\x31"[:0], b"\xb1"])
def test_a_first_frame_that_is_not_1_is_refused(number: bytes) -> None:
    body = number + b"H|\x03"
    line = Line()
    line(ENQ)
    assert line(b"\x02" + body + b"%02X" % (sum(body) % 256) + b"\r\n") == NAK
    assert (line.texts, line.reasons) == ([], ["frame_number"])


def test_a_missing_frame_is_refused() -> None:
    line = Line()
    line(ENQ + frame(1, b"a"))
    assert line(frame(3, b"c")) == NAK
    assert line(frame(2, b"b")) == ACK
    assert line.texts == [b"a", b"b"]


def test_a_sender_that_goes_on_over_a_refused_frame_is_not_believed_until_it_asks_again() -> None:
    """Eight frames later the number fits again, and a message would be put together with a hole in it."""
    line = Line()
    line(ENQ + frame(1, b"a"))
    assert [line(frame(number, b"%d" % number)) for number in range(3, 20)] == [NAK] * 17
    assert (line.texts, line.listener.discarded) == ([b"a"], 1)
    assert set(line.reasons) == {"frame_number"}
    assert line(ENQ + frame(1, b"b")) == ACK * 2


def test_a_retransmission_is_acknowledged_and_not_taken_twice() -> None:
    line = Line()
    line(ENQ)
    assert [line(frame(1, b"a")) for _ in range(3)] == [ACK] * 3
    assert line.texts == [b"a"]


def test_the_last_number_with_another_text_is_no_retransmission() -> None:
    """An ACK would tell the device that the second text is safe, and it is nowhere."""
    line = Line()
    line(ENQ)
    line(frame(1, b"a"))
    assert line(frame(1, b"b")) == NAK


@pytest.mark.parametrize("tail", [b"\r\n", b"\r", b"\n", b"", b"\r\r\n\n"])
def test_line_ends_do_not_matter(tail: bytes) -> None:
    line = Line()
    line(ENQ)
    for number in (1, 2):
        assert line(frame(number, b"t")[:-2] + tail) == ACK
    assert (line.texts, line.reasons) == ([b"t", b"t"], [])


@pytest.mark.parametrize(
    "check", [b"00", b"\r\n", b"0", b"G1", b"-1", b"+1", b" 1", b"1_"], ids=lambda check: check.hex()
)
def test_a_wrong_or_absent_checksum_is_refused(check: bytes) -> None:
    line = Line()
    line(ENQ)
    assert line(b"\x021ab\x03" + check + b"\r\n") == NAK
    assert (line.texts, line.reasons) == ([], ["checksum"])


def test_a_checksum_in_lower_case_is_read() -> None:
    line = Line()
    line(ENQ)
    sent = frame(1, b"kk")
    assert sent != sent.lower()
    assert line(sent.lower()) == ACK


def test_only_the_two_digits_of_the_sum_are_taken_in_either_case() -> None:
    body = b"1kk\x03"
    assert sum(body) % 256 == 0x0A
    taken = []
    for check in (bytes((high, low)) for high in range(0x20, 0x7F) for low in range(0x20, 0x7F)):
        line = Line()
        line(ENQ)
        taken += [check] * (line(b"\x02" + body + check + b"\r\n") == ACK)
    assert taken == [b"0A", b"0a"]


def test_what_is_given_out_is_promised_at_its_own_ack() -> None:
    """Frames whose text begins with L end something here: their ACK must wait for the disk."""
    line = Line()
    line.link.feed(ENQ + frame(1, b"a") + frame(1, b"a") + frame(2, b"L") + frame(3, b"b") + frame(4, b"L"), 0.0)
    assert (line.taken(), line.link.promised_from) == (ACK * 6, 3)
    line.link.promised_from = -1
    line.link.feed(frame(5, b"c") + frame(5, b"c") + b"\x026L\x0300" + frame(4, b"L"), 0.0)
    assert (line.taken(), line.link.promised_from) == (ACK * 2 + NAK * 2, -1)
    line.listener.refuses = True
    line.link.feed(frame(6, b"L"), 0.0)
    assert (line.taken(), line.link.promised_from) == (NAK, -1)


@pytest.mark.parametrize("character", [0, 1, 6, 0x0A, *range(0x10, 0x17), 0xFF])
@pytest.mark.parametrize("step", [1, 99])
def test_an_illegal_character_in_text_is_refused(character: int, step: int) -> None:
    line = Line()
    line(ENQ)
    sent = frame(1, b"ab" + bytes((character,)) + b"cd")
    assert b"".join(line(sent[at : at + step]) for at in range(0, len(sent), step)) == NAK
    assert (line.texts, line.reasons) == ([], ["illegal_character"])


@pytest.mark.parametrize("character", [7, 8, 9, 0x0B, 0x0C, 0x0D, 0x1F, 0x7F, 0xB5, 0xE9])
def test_other_characters_are_text(character: int) -> None:
    line = Line()
    line(ENQ)
    assert line(frame(1, bytes((character,)))) == ACK


def test_an_etx_inside_the_text_ends_the_frame_and_is_refused() -> None:
    line = Line()
    line(ENQ)
    assert line(frame(1, b"ab\x03cd|ef")) == NAK
    assert line.texts == []


@pytest.mark.parametrize("step", [1, 3, 99])
def test_bytes_outside_frames_are_passed_over_and_each_stretch_is_counted(step: int) -> None:
    line = Line()
    sent = b"\x00\xff\xff\x06\r\n\x15zz" + ENQ + b"zz\x00" + frame(1, b"a") + b"\xff\x00|" + frame(2, b"b") + EOT
    assert b"".join(line(sent[at : at + step]) for at in range(0, len(sent), step)) == ACK * 3
    assert line.texts == [b"a", b"b"]
    assert line.link.faults == [Fault(NOISE)] * 3


@pytest.mark.parametrize("step", [1, 99])
@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (b"\xff\r\n\xff\r\n\xff", ["noise"]),
        (b"\r\n\r\n", []),
        (b"\xff" + EOT + b"\xff" + ENQ + b"\xff", ["noise"] * 3),
        (EOT + ENQ + ENQ + EOT + b"\r\n", []),
        (b"\xff" + frame(1, b"a") + b"\xff", ["noise", "frame_without_enq", "noise"]),
        (ENQ + b"\x00" + frame(2, b"a") + b"\x00", ["noise", "frame_number", "noise"]),
        (ENQ + frame(1, b"a") + b"\xff" + b"\x022b\x03zz\xff", ["noise", "checksum", "noise"]),
        (ENQ + frame(1, b"a")[:-2] + b"\x05\n" + frame(2, b"b"), []),
        (ENQ + frame(1, b"a")[:-2] + b"\x05\x00" + frame(2, b"b"), ["noise"]),
    ],
)
def test_noise_stands_in_its_place_among_the_faults(sent: bytes, found: list[str], step: int) -> None:
    line = Line()
    for at in range(0, len(sent), step):
        line(sent[at : at + step])
    assert line.reasons == found


@pytest.mark.parametrize("start", [ENQ, EOT], ids=["ENQ", "EOT"])
@pytest.mark.parametrize("chunk", [16, 4096])
def test_a_flood_of_short_stretches_is_cheap_and_leaves_nothing_behind(start: bytes, chunk: int) -> None:
    flood = (b"\xff" + start) * (32 * 1024)
    parts = [flood[at : at + chunk] for at in range(0, len(flood), chunk)]

    def prepare() -> Callable[[], object]:
        line = Line()

        def play() -> None:
            for part in parts:
                line(part)
                line.link.faults.clear()

        return play

    assert cost(prepare) <= NOISE_BUDGET
    line = Line()
    for part in parts:
        line(part)
        assert len(line.link.faults) == len(part) // 2
        assert all(fault is line.link.faults[0] for fault in line.link.faults), "one object, however often it is said"
        line.link.faults.clear()
    assert line.link._body == b""


def test_a_stretch_of_noise_goes_on_over_the_time_out() -> None:
    line = Line()
    line(ENQ + b"\xff", 0.0)
    line(b"\xff", RECEIVE_TIMEOUT_S + 1)
    assert line.reasons == ["noise", "timeout"]


def test_a_frame_of_the_largest_size_is_taken_and_one_byte_more_is_not() -> None:
    largest = frame(1, b"x" * (MAX_FRAME_BYTES - 7))
    assert len(largest) == MAX_FRAME_BYTES
    for step in (100_000, 1000):
        for sent, answer in ((largest, ACK), (frame(1, b"x" * (MAX_FRAME_BYTES - 6)), NAK)):
            line = Line()
            line(ENQ)
            assert b"".join(line(sent[at : at + step]) for at in range(0, len(sent), step)) == answer
            assert line.reasons == ([] if answer == ACK else ["length"])


def test_a_frame_without_end_costs_no_more_than_one_frame_of_memory() -> None:
    line = Line()
    line(ENQ + b"\x021")
    for _ in range(200):
        line(b"x" * 4096)
    assert len(line.link._body) <= MAX_FRAME_BYTES
    assert line(b"\x0300\r\n") == NAK
    assert line(frame(1, b"a")) == ACK


def test_enq_between_frames_starts_anew() -> None:
    line = Line()
    line(ENQ + frame(1, b"a"))
    assert line(ENQ) == ACK
    assert line.listener.discarded == 1
    assert line(frame(1, b"b")) == ACK


def test_enq_inside_a_frame_is_answered_after_a_second_of_silence() -> None:
    line = Line()
    line(ENQ)
    assert line(b"\x021ab" + ENQ, 5.0) == b""
    assert line.link.deadline == 5.0 + SILENCE_S
    line.link.expire(5.0 + SILENCE_S / 2)
    assert line.taken() == b""
    line.link.expire(5.0 + SILENCE_S)
    assert line.taken() == ACK
    assert line(frame(1, b"c"), 7.0) == ACK
    assert line.texts == [b"c"]
    assert line.reasons == ["truncated"]


def test_late_bytes_find_the_enq_inside_a_frame_answered() -> None:
    line = Line()
    line(ENQ + b"\x021ab" + ENQ, 5.0)
    assert line(frame(1, b"c"), 9.0) == ACK * 2


@pytest.mark.parametrize("step", [1, 2, 99])
@pytest.mark.parametrize("cut", [b"\x021ab", b"\x021ab\x03", b"\x021ab\x034"])
def test_enq_inside_a_frame_with_a_frame_after_it_starts_anew(cut: bytes, step: int) -> None:
    line = Line()
    line(ENQ)
    sent = cut + ENQ + frame(1, b"c") + EOT
    assert b"".join(line(sent[at : at + step]) for at in range(0, len(sent), step)) == ACK * 2
    assert line.texts == [b"c"]


def test_a_letter_damaged_into_an_enq_is_never_acknowledged() -> None:
    """E without its bit 6 is ENQ: an ACK in answer would be taken as the ACK of the frame."""
    for place in range(2, len(frame(1, b"EEEE|EE")) - 2):
        sent = bytearray(frame(1, b"EEEE|EE"))
        sent[place] = 0x05
        for step in (1, 99):
            line = Line()
            line(ENQ)
            answer = b"".join(line(bytes(sent[at : at + step])) for at in range(0, len(sent), step))
            assert answer == (b"" if place == len(sent) - 5 else NAK)  # in place of ETX: the frame has no end
            assert line.texts == []


@pytest.mark.parametrize("step", [1, 99])
def test_a_cr_damaged_into_an_enq_is_not_answered(step: int) -> None:
    """A second ACK would be taken for the ACK of the next frame, and that may be the last."""
    line = Line()
    line(ENQ)
    sent = frame(1, b"a")[:-2] + b"\x05\n"
    assert b"".join(line(sent[at : at + step], 1.0) for at in range(0, len(sent), step)) == ACK
    assert line.link.deadline == 1.0 + RECEIVE_TIMEOUT_S
    assert line(frame(2, b"b"), 2.0) == ACK
    assert line.texts == [b"a", b"b"]


def test_enq_right_after_a_frame_without_line_end_is_answered_after_silence() -> None:
    line = Line()
    line(ENQ)
    assert line(frame(1, b"a")[:-2] + ENQ, 1.0) == ACK
    line.link.expire(2.0)
    assert line.taken() == ACK
    assert line(frame(1, b"b")[:-2] + ENQ + frame(1, b"c")[:-2] + ENQ + EOT, 3.0) == ACK * 3
    assert line.reasons == []
    assert line.link.deadline is None


def test_enq_twice_inside_a_frame_is_one_request() -> None:
    line = Line()
    line(ENQ)
    assert line(b"\x021ab" + ENQ + ENQ) == ACK
    line(b"\x021ab" + ENQ + EOT)
    assert line.link.deadline is None


@pytest.mark.parametrize("cut", [b"\x021ab", b"\x021ab\x03", b"\x021ab\x034"])
def test_eot_inside_a_frame_ends_the_transfer(cut: bytes) -> None:
    line = Line()
    line(ENQ)
    assert line(cut + EOT) == b""
    assert line.link.deadline is None
    assert line(frame(1, b"a")) == b""
    assert line(ENQ + frame(1, b"b")) == ACK * 2
    assert line.texts == [b"b"]


@pytest.mark.parametrize("cut", [b"\x021ab", b"\x021ab\x03", b"\x021ab\x034"])
def test_stx_inside_a_frame_begins_the_frame_anew(cut: bytes) -> None:
    line = Line()
    line(ENQ)
    assert line(cut + frame(1, b"c")) == ACK
    assert (line.texts, line.reasons) == ([b"c"], ["truncated"])


@pytest.mark.parametrize("step", [1, 99])
def test_stx_twice_is_one_beginning(step: int) -> None:
    line = Line()
    line(ENQ)
    sent = b"\x02\x02\x02" + frame(1, b"a")
    assert b"".join(line(sent[at : at + step]) for at in range(0, len(sent), step)) == ACK
    assert (line.texts, line.reasons) == ([b"a"], [])


def test_a_frame_in_neutral_state_is_ignored_and_counted() -> None:
    line = Line()
    assert line(frame(1, b"a") + frame(2, b"b")) == b""
    assert (line.texts, line.reasons, line.link.frames) == ([], ["frame_without_enq"] * 2, 0)
    assert line(b"\x021ab") == b""
    assert line(b"\x021ab") == b""
    assert line.reasons == ["frame_without_enq"] * 2


def test_thirty_seconds_without_a_frame_end_the_transfer() -> None:
    line = Line()
    line(ENQ, 0.0)
    line(frame(1, b"a"), 10.0)
    line(b"noise between frames", 35.0)
    line.link.expire(10.0 + RECEIVE_TIMEOUT_S - 0.1)
    assert line.reasons == ["noise"]
    line.link.expire(10.0 + RECEIVE_TIMEOUT_S)
    assert line.reasons == ["noise", "timeout"]
    assert line.listener.discarded == 1
    assert line.link.deadline is None
    assert line(frame(2, b"b"), 41.0) == b""
    line.link.expire(100.0)
    assert line.reasons == ["noise", "timeout", "frame_without_enq"]


def test_a_long_frame_on_a_slow_line_is_not_cut_by_the_timer() -> None:
    line = Line()
    line(ENQ, 0.0)
    sent = frame(1, b"x" * 600)
    answers = [line(sent[at : at + 100], at / 5.0) for at in range(0, len(sent), 100)]
    assert b"".join(answers) == ACK


def test_late_bytes_find_the_transfer_ended() -> None:
    line = Line()
    line(ENQ, 0.0)
    assert line(frame(1, b"a"), 31.0) == b""
    assert line.reasons == ["timeout", "frame_without_enq"]


def test_half_a_frame_in_neutral_state_is_forgotten() -> None:
    line = Line()
    line(b"\x021ab", 0.0)
    line.link.expire(30.0)
    assert (line.reasons, line.link.deadline) == ([], None)


def test_what_the_reader_refuses_stays_refused_until_the_next_enq() -> None:
    line = Line()
    line(ENQ + frame(1, b"a"))
    line.listener.refuses = True
    assert line(frame(2, b"b")) == NAK
    line.listener.refuses = False
    assert line(frame(2, b"b")) == NAK
    assert line(ENQ + frame(1, b"c")) == ACK * 2
    assert line.texts == [b"a", b"c"]


def test_reset_is_neutral_and_silent() -> None:
    line = Line()
    line(ENQ + frame(1, b"a"))
    line.link.reset()
    assert line.link.deadline is None
    assert line(frame(2, b"b")) == b""


_PIECES = st.one_of(
    st.sampled_from(
        [ENQ, EOT, b"\x02", b"\x03", b"\x17", ACK, NAK, b"\n", b"\r", b"1", b"E", b"9F", b"\x00", b"\xff"]
    ),
    st.binary(max_size=4),
    st.builds(frame, st.integers(1, 9), st.binary(max_size=8)),
)


@given(st.lists(_PIECES, max_size=30).map(b"".join), st.lists(st.integers(0, 200), max_size=12))
def test_any_split_gives_the_same(stream: bytes, cuts: list[int]) -> None:
    places = sorted({0, *(cut % (len(stream) + 1) for cut in cuts), len(stream)})
    at_once, split = Line(), Line()
    replies = at_once(stream)
    assert b"".join(split(stream[a:b]) for a, b in zip(places, places[1:], strict=False)) == replies
    assert split.listener.texts == at_once.listener.texts
    assert split.reasons == at_once.reasons
    assert split.link.deadline == at_once.link.deadline
    assert set(replies) <= set(ACK + NAK)
