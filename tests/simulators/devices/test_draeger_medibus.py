"""The ventilator simulator: vectors of the MEDIBUS pages, and dialogues with the clock turned by hand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import medibus_frames as wire
from simulators.devices.draeger_medibus import ALLOWED, DraegerMedibus

ICC_ECHO = bytes.fromhex("01 51 35 32 0D")
MY_NAME = wire.response(0x52, b"0161'JISR'01.00:04.03")
SETTINGS = b"01  40 02  60 040.48005  1.309  15 0B  5.012  10 13  35 16  35 29  3.02E 0.20"
QUIET = {"embed_rate": "0", "alarm_every_s": "0"}


def up(seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> tuple[DraegerMedibus, float]:
    """A device whose link is up and that knows the box, and the time."""
    device = DraegerMedibus(seed, faults, QUIET | options)
    assert device.wake(100.0) == bytes.fromhex("1B 51 36 43 0D")
    device.receive(ICC_ECHO, 100.1)
    assert device.wake(100.6) == bytes.fromhex("1B 52 36 44 0D")
    device.receive(MY_NAME, 100.7)
    assert device.is_identified
    return device, 101.0


def ask(device: DraegerMedibus, code: int, now: float, argument: bytes = b"") -> bytes:
    device.receive(wire.command(code, argument), now)
    return device.wake(now + 0.1)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (wire.command(0x30), "1B 30 34 42 0D"),
        (wire.response(0x30), "01 30 33 31 0D"),
        (wire.command(0x51), "1B 51 36 43 0D"),
        (wire.response(0x51), "01 51 35 32 0D"),
        (wire.command(0x55), "1B 55 37 30 0D"),
        (wire.response(0x55), "01 55 35 36 0D"),
        (wire.command(0x24), "1B 24 33 46 0D"),
        (wire.command(0x2E), "1B 2E 34 39 0D"),
        (wire.command(0x6A, b"2"), "1B 6A 32 42 37 0D"),
        (wire.response(0x49), "01 49 34 41 0D"),
        (wire.command(0x4A, b"$EB"), "1B 4A 24 45 42 31 30 0D"),
        (wire.command(0x54, b"00020603")[-3:], "46 41 0D"),
        (wire.response(0x24, b"EB 98 E1 70 "), "01 24 45 42 20 39 38 20 45 31 20 37 30 20 37 41 0D"),
        (wire.response(0x52, b"8240'Evita 4'04.00:04.00")[-3:], "44 41 0D"),
        (wire.response(0x53, b"00   16000-  10  10037006   16000-  20  100460")[-3:], "33 42 0D"),
        (wire.response(0x2A, b"019Mode IPPV\x03")[-4:], "03 41 43 0D"),
        (wire.sample((81, 205)), "D3 91 81 8D 83"),
        (wire.sample((None, 205), 1), "D2 C6 C1 8D 83"),
    ],
)
def test_vectors(frame: bytes, expected: str) -> None:
    assert frame == bytes.fromhex(expected)


def test_it_calls_every_three_seconds_until_answered() -> None:
    device = DraegerMedibus(options=QUIET)
    icc = wire.command(0x51)
    assert [device.wake(t) for t in (0.0, 2.9, 3.0, 6.0, 6.1)] == [icc, b"", icc, icc, b""]
    device.receive(ICC_ECHO, 6.2)
    assert device.link == "up"


def test_its_answer_to_an_icc_has_its_own_question_inside() -> None:
    for seed in range(20):
        device = DraegerMedibus(seed, options=QUIET)
        device.wake(0.0)
        said = ask(device, 0x51, 0.5)
        inner = wire.command(0x52)
        at = said.index(inner)
        assert 0 < at < len(said) - len(inner)
        assert said.replace(inner, b"") == ICC_ECHO


@pytest.mark.parametrize("identity", [None, wire.response(0x52)])
def test_a_box_without_a_name_is_dropped_after_half_a_minute(identity: bytes | None) -> None:
    device = DraegerMedibus(options=QUIET)
    device.wake(0.0)
    device.receive(ICC_ECHO, 0.1)
    for tenth in range(1, 320):
        said = device.receive(wire.command(0x30) if tenth % 20 == 0 else b"", tenth / 10)
        if identity and wire.command(0x52) in said:
            device.receive(identity, tenth / 10)
    assert device.comm_errors == 1
    assert not device.illegal


def test_silence_raises_the_message_and_stop_does_not() -> None:
    device, now = up()
    device.wake(now + 2.0)
    assert device.comm_errors == 0
    device.wake(now + 4.0)
    assert device.comm_error
    assert device.link == "calling"

    device, now = up()
    assert ask(device, 0x55, now) == bytes.fromhex("01 55 35 36 0D")
    assert device.wake(now + 60) == b""
    assert device.wake_at is None
    assert not device.comm_errors
    assert ask(device, 0x51, now + 61)
    assert device.link == "up"


def test_it_says_nop_and_wants_it_echoed() -> None:
    device, now = up()
    assert ask(device, 0x24, now)
    said = device.wake(now + 2.2)
    assert said == wire.command(0x30)
    device.receive(wire.response(0x30), now + 2.3)
    assert not device.unexpected
    for tenth in range(24, 424):  # from now on the box talks but leaves the device's NOP unanswered
        device.receive(b"\x1b" if tenth % 20 == 0 else b"", now + tenth / 10)
    assert device.comm_errors == 1


def test_measured_data_breathe() -> None:
    device, now = up()
    seen = set()
    for second in range(120):
        said = ask(device, 0x24, now + second)
        frame = said[said.index(b"\x01$") :]
        assert wire.checksum(frame[:-3]) == frame[-3:-1]
        records = [frame[i : i + 6].decode() for i in range(2, len(frame) - 3, 6)]
        codes = [record[:2] for record in records]
        assert codes == sorted(set(codes))
        for pair in ({"82", "88"}, {"B8", "B9"}, {"7A", "B7"}, {"06", "07"}, {"08", "0B"}):
            assert len(pair & set(codes)) <= 1
        assert {"78", "D6", "B9", "88"} <= set(codes)
        for record in records:
            assert re.fullmatch(r" *\d+(\.\d+)? *", record[2:]), record
        seen.add(tuple(records))
        for question in re.findall(rb"\x1b([\x30\x52])", said):
            device.receive(wire.response(question[0]), now + second + 0.2)
    assert len(seen) > 60
    assert len({records[0] for records in seen}) > 5
    assert any(not any(record.startswith("E6") for record in records) for records in seen)
    assert device.sent == 120
    assert not device.illegal


def test_the_other_questions() -> None:
    device, now = up()
    answers = {code: ask(device, code, now + index / 10) for index, code in enumerate(sorted(ALLOWED - {0x51, 0x55}))}
    for code in (0x28, 0x2B, 0x2C, 0x2D, 0x27, 0x2E, 0x6A, 0x56):  # unsupported, or nothing active
        assert answers[code] == wire.response(code)
    assert answers[0x25] == wire.response(0x25, b"B9 4.0E6 30 ")
    assert answers[0x29].startswith(b"\x01)01  40 ")
    assert b"04" + b"0.480" in answers[0x29]
    assert b"078SIMV/ASB\x03" in answers[0x2A]
    assert b"00   16000-  10  100370" in answers[0x53]
    assert answers[0x52] == wire.response(0x52, b"8240'Evita 4'04.00:04.00")


def test_alarms_come_and_go() -> None:
    device, now = up(alarm_every_s="60")
    for second in range(400):
        device.receive(wire.command(0x30), now + second)
        for code, at in ((0x27, 0.3), (0x2E, 0.6)):
            said = ask(device, code, now + second + at)
            frame = said[said.index(bytes([1, code])) :]
            assert (len(frame) - 5) % 15 == 0
    phrases = [answer.data for answer in device.history if answer.code in (0x27, 0x2E) and answer.data]
    assert 30 < len(phrases) < 250
    assert all(1 <= data[0] - 0x30 <= 31 for data in phrases)

    standby, now = up(standby="yes")
    assert ask(standby, 0x24, now) == wire.response(0x24)
    assert ask(standby, 0x2E, now + 0.5) == wire.response(0x2E, b"O95STANDBY     ")


def test_one_command_at_a_time() -> None:
    device, now = up()
    device.receive(wire.command(0x24) + wire.command(0x29), now)
    said = device.wake(now + 0.2)
    assert said.startswith(b"\x01)")
    assert device.cancelled == 1
    assert device.sent == 1


@pytest.mark.parametrize(
    "bad",
    [
        b"\x1b$3E\r",
        b"x",
        wire.command(0x3C),
        wire.command(0x24, b"1"),
        wire.response(0x52, b"9999'x'1:2"),
        wire.command(0x4A, b"$E"),
        wire.command(0x54, b"000"),
        wire.command(0x24, b"\x07"),
        bytes.fromhex("91 81"),
        bytes.fromhex("D0 C7 C0"),
        b"\x1b" * 5 + b"$3F\r",
    ],
)
def test_what_a_box_may_not_say_is_kept(bad: bytes) -> None:
    device, now = up()
    device._asked = None
    device._ask(0x52, now)
    device.receive(bad, now + 0.01)
    device.wake(now + 0.2)
    assert device.illegal


def test_a_wrong_checksum_is_answered_with_nak() -> None:
    device, now = up()
    device.receive(b"\x1b$3E\r", now)
    assert device.wake(now + 0.1) == bytes.fromhex("01 15 31 36 0D")


def test_configuration_limits_the_report_and_is_forgotten() -> None:
    device, now = up()
    assert ask(device, 0x4A, now, b"$78D6") == bytes.fromhex("01 4A 34 42 0D")
    assert re.fullmatch(rb"\x01\$78.{4}D6.{4}..\r", ask(device, 0x24, now + 0.5))
    ask(device, 0x51, now + 1)
    device.receive(MY_NAME, now + 1.2)
    ask(device, 0x4A, now + 1.25, b"$78D6")  # too early: within 200 ms of the identification
    assert device.premature == 1
    assert len(ask(device, 0x24, now + 1.6)) > 60


def test_curves() -> None:
    device, now = up()
    assert ask(device, 0x54, now, b"00010602") == wire.response(0x54)
    device.receive(bytes.fromhex("D0 C1 C3 C0 C0"), now + 0.2)
    out = bytearray()
    for hundredth in range(21, 1000):
        at = now + hundredth / 100
        out += device.receive(wire.response(0x30) if hundredth % 100 == 0 else b"", at)
    fast = bytes(byte for byte in out if byte & 0x80)
    marks = re.findall(rb"\xc6([\xc0\xc1])", fast)
    assert len(marks) in (4, 5)
    assert marks[0] != marks[1]
    groups = re.findall(rb"[\xd0-\xdf](?:\xc6[\xc0\xc1])?(?:[\x80-\xbf]{2})*", fast)
    assert b"".join(groups) == fast
    assert 590 < len(groups) < 625
    for group in groups:
        assert (group[0] & 0x0F).bit_count() * 2 == len(group.replace(b"\xc6\xc0", b"").replace(b"\xc6\xc1", b"")) - 1
    assert {group[0] for group in groups} == {0xD1, 0xD3}

    ask(device, 0x51, now + 11)
    assert all(byte < 0x80 for byte in device.wake(now + 11.5))


def test_fast_bytes_do_not_keep_the_link_alive_and_stand_inside_answers() -> None:
    device, now = up()
    ask(device, 0x54, now, b"0001")
    device.receive(bytes.fromhex("D0 C1 C1 C0 C0"), now + 0.2)
    inside = 0
    for tenth in range(3, 30):
        said = ask(device, 0x29, now + tenth / 10)
        answer = said[said.index(1) : said.rindex(b"\r")]
        inside += any(byte & 0x80 for byte in answer)
    assert inside > 20
    device.receive(bytes.fromhex("D0 C1 C1 C0 C0"), now + 5.5)
    device.wake(now + 6.2)
    assert device.comm_errors == 1


def test_embedded_commands_are_outside_the_checksum() -> None:
    device, now = up(embed_rate="1")
    said = ask(device, 0x29, now)
    inner = wire.command(0x30)
    assert said.count(inner) == 1
    frame = said.replace(inner, b"")
    assert wire.checksum(frame[:-3]) == frame[-3:-1]


def test_dc1_suspends_and_dc3_resumes() -> None:
    device, now = up()
    device.receive(b"\x11" + wire.command(0x24), now)
    assert device.wake(now + 1) == b""
    assert device.receive(b"\x13", now + 1.5).startswith(b"\x01$")
    device.receive(b"\x11", now + 2)
    device.wake(now + 5.1)
    assert device.comm_errors == 1


def test_it_may_suspend_the_box() -> None:
    device, now = up(suspend_every_s="2")
    said = b""
    for tenth in range(40):
        said += device.receive(b"\x1b" if tenth % 25 == 24 else b"", now + tenth / 10)
    assert b"\x11" in said
    assert b"\x13" in said
    device.receive(b"", now + 4)
    device._box_held_at = now + 4
    device.receive(b"\x1b", now + 4.5)
    assert device.illegal


@pytest.mark.parametrize("fault", sorted(DraegerMedibus.FAULTS))
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    device, now = up()
    device.faults = frozenset({fault})
    device._rate = 0.2
    heard = bytearray()
    for tenth in range(9000):
        at = now + tenth / 10
        said = device.receive(wire.command(0x29) if tenth % 10 == 0 and device.link == "up" else b"", at)
        heard += said
        for question in re.findall(rb"\x1b([\x30\x51\x52])(?:4B|6C|6D)\r", said):
            device.receive(MY_NAME if question == b"R" else wire.response(question[0]), at + 0.01)
    assert device.injected[fault] > 5
    assert set(device.injected) == {fault}
    assert device.sent > 20
    assert not device.illegal
    whole = wire.response(0x29, SETTINGS)
    copies = heard.count(whole) - (device.injected[fault] if fault == "duplicate" else 0)
    assert abs(copies - device.sent) <= (device.injected[fault] if fault == "duplicate" else 1)


@pytest.mark.parametrize(("fault", "said"), [("silence", b""), ("half_frame", b"\x01)01 "), ("reboot", b"")])
def test_a_frozen_device_neither_hears_nor_speaks(fault: str, said: bytes) -> None:
    device, now = up(silence_s="8", fault_rate="1")
    device.faults = frozenset({fault})
    assert ask(device, 0x29, now)[:5] == said
    device.faults = frozenset()
    assert device.wake_at is not None
    assert now + 6 <= device.wake_at <= now + 10.1
    assert ask(device, 0x29, now + 3) == b""
    assert device.commands[0x29] == 1
    assert ask(device, 0x51 if fault == "reboot" else 0x29, now + 10.2)


@given(st.binary(max_size=300), st.integers(0, 5))
def test_any_bytes_are_survived(noise: bytes, seed: int) -> None:
    device, now = up(seed)
    device.receive(noise, now)
    device.wake(now + 10)


def test_the_same_seed_is_the_same_device() -> None:
    def run(seed: int) -> bytes:
        device, now = up(seed, embed_rate="0.5", fault_rate="0")
        return b"".join(ask(device, 0x24, now + second) for second in range(30))

    assert run(4) == run(4)
    assert run(4) != run(5)


@pytest.mark.parametrize(
    ("faults", "options"), [({"enq_mid_transfer"}, {}), (set(), {"speed": "1"}), (set(), {"period_s": "soon"})]
)
def test_wrong_names_are_refused(faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="draeger_medibus"):
        DraegerMedibus(0, frozenset(faults), options)
