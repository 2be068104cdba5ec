"""The dialogue with a SERVO-i: set-up, refusals, time-outs, standby, stream, goodbye."""

from typing import Any

import pytest

from drivers import catalog
from drivers.observation import Alert, Device, Numeric, Waveform
from tests.contract.play import busiest_minute
from tests.drivers.servo_cie.device import ESC_HELLO, GAINS, Bench, Ventilator, binary, play, text

PROFILE = catalog.profile("servo_cie", "servo_i")
SMALL: dict[str, Any] = {"breath": ("200", "201", "205"), "settings": ("310",), "alarms": ("400", "410")}
CURVES = {**SMALL, "curves": ("100",), "interval_us": 20_000}
ANSWERS = {"RADAB": text("015004800240"), "RADAS": text("0004"), "RADAA": text("01")}


def device(**said: bytes) -> Ventilator:
    one = Ventilator()
    one.said.update({**ANSWERS, **said})
    return one


def up(options: dict[str, Any] | None = None, **said: bytes) -> tuple[Bench, Ventilator]:
    """A bench whose set-up and first polls are over."""
    bench, one = Bench(PROFILE, options or SMALL), device(**said)
    play(bench, one, bench.now + 1.5)
    return bench, one


def frames(bench: Bench) -> list[str]:
    """What was sent, frame by frame, without checks."""
    parts = [part for _t, data in bench.sent for part in data.split(b"\x04") if part]
    return [part.decode() if part.endswith(b"HO") else part[:-2].decode() for part in parts]


def states(bench: Bench) -> list[str]:
    return [one.connection for one in bench.seen if isinstance(one, Device)]


SETUP = [
    *("\x1bHO", "RCTY", "RHVE", "SPVE005", "RSEN", "RTIM", "RCCO200", "RCCO201", "RCCO205", "RCCO310"),
    *("SDADB200201205", "SDADS310", "SDADA400410", "RADAB", "RADAS", "RADAA"),
]


def test_the_set_up_step_by_step() -> None:
    bench, _device = up()
    assert frames(bench) == SETUP
    assert bench.values == {
        "200": ("15.0", "/min"),
        "201": ("480", "mL"),
        "205": ("24.0", "cm[H2O]"),
        "310": ("PRVC", ""),
    }
    assert states(bench) == ["connected", "connected", "connected"]
    assert bench.operating == ["unknown", "unknown", "in_use"]
    assert bench.reasons == []
    last = [one for one in bench.seen if isinstance(one, Device)][-1]
    assert last.identity == {"model": "Servo-i", "protocol": "005", "serial": "12345"}


def test_polls_keep_their_periods() -> None:
    bench, one = up()
    bench.clear()
    play(bench, one, 160.0)
    sent = frames(bench)
    assert 29 <= sent.count("RADAB") <= 30
    assert 29 <= sent.count("RADAA") <= 30
    assert 5 <= sent.count("RADAS") <= 6
    assert 5 <= sent.count("RTIM") <= 6
    assert len([one for one in bench.seen if isinstance(one, Numeric)]) == 3 * sent.count("RADAB")
    assert all(one.device_time == "20261125153000" for one in bench.seen)


@pytest.mark.parametrize(
    ("said", "missing", "there"),
    [
        ({"RHVE": text("ER10")}, ["SPVE005"], ["RSEN", "RCCO200", "RADAB"]),
        ({"RHVE": text("003")}, ["SPVE005"], ["SPVE003", "RADAB"]),
        ({"RHVE": text("009")}, ["SPVE009"], ["SPVE005", "RADAB"]),
        ({"SPVE": text("ER11")}, [], ["RSEN", "RCCO200", "RADAB"]),
        ({"RSEN": text("ER10")}, [], ["RTIM", "RADAB"]),
        ({"RTIM": text("ER10")}, [], ["RADAB"]),
        (
            {"RCCO201": text("ER12"), "RADAB": text("01500240")},
            ["SDADB200201205"],
            ["SDADB200205", "RADAB", "RADAS"],
        ),
        ({"RCCO310": text("ER12")}, ["SDADS310", "RADAS"], ["RADAB", "RADAA"]),
        ({"SDADB": text("ER12")}, ["RADAB"], ["RADAS", "RADAA"]),
        ({"SDADA": text("ER12")}, ["RADAA"], ["RADAB", "RADAS"]),
    ],
)
def test_the_set_up_goes_on_without(said: dict[str, bytes], missing: list[str], there: list[str]) -> None:
    bench, _device = up(None, **said)
    sent = frames(bench)
    assert not set(missing) & set(sent)
    assert set(there) <= set(sent)


def test_a_refused_alarm_table_is_tried_with_the_summing_ones() -> None:
    bench, one = Bench(PROFILE, {**SMALL, "alarms": ("400", "410", "498", "499")}), device(RADAA=text("11"))
    one.said["SDADA400"] = text("ER12")
    play(bench, one, 102.0)
    assert [sent for sent in frames(bench) if sent.startswith("SDADA")] == ["SDADA400410498499", "SDADA498499"]
    assert [a.vendor and a.vendor.code for a in bench.seen if isinstance(a, Alert)] == ["498", "499"]


def test_an_inner_fault_is_said() -> None:
    bench, _device = up(None, RCTY=text("Servo-i1"))
    assert bench.reasons == ["inner_communication"]
    assert "RADAB" in frames(bench)


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("HO", b"900PCX\x04"),
        ("RCTY", text("*")),
        ("RHVE", text("0005")),
        ("SPVE", text("005")),
        ("RSEN", text(" ")),
        ("RTIM", text("x")),
        ("RCCO200", text("020;201,+1000E-004,+0000E+000,06,BT,FFFF;")),
        ("RCCO200", text("*")),
        ("SDADB", text("005")),
        ("RADAB", text("01500480")),
        ("RADAB", text("ER18")),
        ("RADAA", text("21x")),
        ("RADAS", text("ER16")),
        ("RCCO201", text("ER16")),
    ],
)
def test_an_answer_that_does_not_fit_is_no_answer(key: str, answer: bytes) -> None:
    bench, one = Bench(PROFILE, SMALL), device(**{key: answer})
    play(bench, one, 106.5)
    sent = frames(bench)
    asked = [frame for frame in sent if frame.replace("\x1b", "").startswith(key)]
    assert len(asked) == 2, "asked once more when the patience is over, then the rest"
    assert bench.faults


def test_silence_is_met_with_patience() -> None:
    bench = Bench(PROFILE, SMALL)
    bench.start()
    bench.until(1100.0)
    assert all(data == ESC_HELLO for _t, data in bench.sent)
    gaps = [round(b[0] - a[0]) for a, b in zip(bench.sent, bench.sent[1:], strict=False)]
    assert gaps[:9] == [4, 5, 4, 12, 4, 32, 4, 62, 4]
    assert set(gaps[9:]) == {62, 4}
    assert states(bench) == ["stale"]


def test_a_slow_answer_has_time() -> None:
    bench, one = up()
    bench.clear()
    bench.until(102.9)
    assert frames(bench)[-1] == "RADAB"
    answer = one.answer(b"RADAB54\x04")
    for byte in answer:
        bench.rx(bytes([byte]), 0.15)
    assert bench.values["200"] == ("15.0", "/min")
    assert frames(bench).count("RADAB") == 1
    assert bench.reasons == []


def test_a_late_answer_is_not_read_as_anothers() -> None:
    bench, one = up()
    bench.clear()
    bench.until(102.9)
    assert frames(bench)[-1] == "RADAB"
    bench.rx(text("0004"))
    bench.rx(text("01"))
    bench.rx(text("20261125153000"))
    assert bench.seen == []
    assert bench.reasons == ["unexpected_answer RADAB"] * 3
    bench.rx(one.answer(b"RADAB54\x04"))
    assert bench.values["201"] == ("480", "mL")
    bench.rx(text("01"))
    bench.rx(one.answer(b"RADAB54\x04"))
    assert bench.reasons[3:] in (["unsolicited"], ["unexpected_answer RADAA"], [])


def test_a_late_answer_of_the_set_up_is_nobodys() -> None:
    """`*` to SPVE after the patience is over: it must not become the serial number, nor that the clock."""
    bench, one = Bench(PROFILE, SMALL), device()
    bench.start()
    while not frames(bench)[-1].startswith("SPVE"):
        bench.rx(one.answer(bench.sent[-1][1]), 0.01)
    bench.rx(text("*"), 2.1)
    play(bench, one, bench.now + 6.0)
    identities = [seen.identity for seen in bench.seen if isinstance(seen, Device) and "serial" in seen.identity]
    assert identities
    assert {identity["serial"] for identity in identities} == {"12345"}


def test_lost_tables_are_defined_anew() -> None:
    bench, one = up()
    bench.clear()
    one.said["RADAB"] = text("ER16")
    play(bench, one, 107.0)
    assert bench.reasons[:2] == ["device_error RADAB 16", "timeout RADAB"]
    one.said["RADAB"] = ANSWERS["RADAB"]
    bench.clear()
    play(bench, one, 112.0)
    assert frames(bench)[: len(SETUP)] == SETUP
    assert bench.values["200"] == ("15.0", "/min")


def test_another_device_is_not_read() -> None:
    bench, one = up()
    one.name = "Servo-s0"
    one.said["RADAB"] = text("ER16")
    bench.clear()
    play(bench, one, 140.0)
    sent = frames(bench)
    after = sent[sent.index("RCTY") + 1 :]
    assert set(after) == {"RCTY"}
    assert 2 <= len(after) <= 4
    assert {seen for seen in bench.values.values() if seen[0] != "wrong_device"} <= {("PRVC", "")} | set()
    assert [one.reason for one in bench.seen if isinstance(one, Device)] == ["wrong_device"]


def test_wrong_device_values_are_taken_back() -> None:
    bench, one = up()
    bench.until(200.0)
    one.name = "Servo-s0"
    bench.clear()
    play(bench, one, 300.0)
    assert {reason for reason, _unit in bench.values.values()} == {"wrong_device"}
    assert set(bench.values) == {"200", "201", "205", "310"}


def test_a_device_that_takes_no_table_is_asked_again_in_a_minute() -> None:
    bench, one = Bench(PROFILE, SMALL), device(SDAD=text("ER12"))
    play(bench, one, 150.0)
    assert frames(bench).count("RHVE") == 1
    assert frames(bench).count("RCCO200") == 1
    play(bench, one, 165.0)
    assert frames(bench).count("RHVE") == 2
    assert frames(bench).count("RCCO200") == 2


def test_standby_and_back() -> None:
    bench, one = up()
    bench.clear()
    one.said.update(RADAB=text("ER17"), RADAS=text("ER17"), RADAA=text("ER17"))
    play(bench, one, 130.0)
    assert bench.operating == ["standby"]
    assert {word for word, _unit in bench.values.values()} == {"standby"}
    assert len(bench.seen) == 1 + 4, "said once, however often it is polled"
    assert not [one for one in bench.seen if isinstance(one, Alert)]
    assert bench.reasons == []
    bench.clear()
    one.said["RADAB"] = ANSWERS["RADAB"]
    play(bench, one, 135.0)
    assert bench.operating == [], "measured values alone decide nothing"
    doubted = {(one.validity, one.reason) for one in bench.seen if isinstance(one, Numeric) and one.value is not None}
    assert doubted == {("questionable", "standby")}
    one.said.update(RADAS=text("0008"), RADAA=text("00"))
    play(bench, one, 145.0)
    assert bench.operating == ["in_use"]
    assert bench.values["310"] == ("PS/CPAP", "")
    assert [a.presence for a in bench.seen if isinstance(a, Alert)] == ["off"]


def test_alarms_go_on_and_off_once() -> None:
    bench, one = up()
    play(bench, one, 130.0)
    one.said["RADAA"] = text("10")
    play(bench, one, 135.0)
    one.said["RADAA"] = text("20")
    play(bench, one, 140.0)
    said = [(a.vendor and (a.vendor.code, a.vendor.text), a.presence) for a in bench.seen if isinstance(a, Alert)]
    assert said == [(("410", "1"), "on"), (("410", "1"), "off"), (("400", "1"), "on"), (("400", "2"), "on")]


def test_goodbye() -> None:
    bench, _device = up()
    assert bench.stop() == b"\x1b"
    assert states(bench)[-1] == "disconnected"
    bench.clear()
    assert bench.wake_at is None
    assert bench.rx(text("015004800240")) == b""
    assert bench.take(bench.driver.wake(500.0)) == b""
    assert states(bench) == []


def test_no_goodbye_to_whom_nothing_was_said() -> None:
    bench = Bench(PROFILE, SMALL)
    assert bench.stop() == b""


def test_started_anew() -> None:
    bench, one = up()
    bench.stop()
    bench.clear()
    bench.now = 300.0
    bench.start()
    for _turn in range(len(SETUP)):
        bench.rx(one.answer(bench.sent[-1][1]))
    assert frames(bench)[: len(SETUP)] == SETUP
    assert [one.connection for one in bench.seen if isinstance(one, Device)][0] == "connected"


# The stream.

FLOW = binary("81 10 80 32 10 FA 09 F7 00")
BREATH = binary("42 00 96 01 E0 00 F0")


def streaming(**said: bytes) -> tuple[Bench, Ventilator]:
    bench, one = up(CURVES, RADC=FLOW, **said)
    assert frames(bench)[-2:] == ["RADAA", "RADC"]
    bench.clear()
    return bench, one


def test_breath_values_come_after_the_curve_so_far() -> None:
    bench, _device = streaming()
    bench.rx(BREATH, 0.2)
    kinds = [type(one).__name__ for one in bench.seen]
    assert kinds == ["Waveform", "Numeric", "Numeric", "Numeric"]
    assert bench.values["205"] == ("24.0", "cm[H2O]")
    assert all(one.device_time == "" for one in bench.seen)


def test_nothing_is_asked_while_the_stream_runs() -> None:
    bench, _device = streaming()
    for _second in range(60):
        bench.rx(FLOW, 1.0)
    assert bench.sent == []
    assert bench.stop() == b"\x1b"
    assert isinstance(bench.seen[-2], Waveform)


def test_a_curve_waits_no_longer_than_two_seconds() -> None:
    bench, _device = streaming()
    bench.until(bench.now + 2.1)
    assert [type(one) for one in bench.seen] == [Waveform]


def test_a_damaged_block_leaves_a_hole() -> None:
    bench, _device = streaming()
    bench.rx(FLOW[:-1] + b"\x00" + BREATH, 0.2)
    bench.rx(FLOW + BREATH, 0.2)
    waves = [one for one in bench.seen if isinstance(one, Waveform)]
    assert [(wave.start, len(wave.samples)) for wave in waves] == [(0, 5), (10, 5)]
    assert bench.reasons == ["checksum curves"]


def test_blocks_of_settings_alarms_and_trends() -> None:
    bench, _device = streaming()
    bench.rx(binary("53 00 08") + binary("41 FF 00") + binary("45 00 02") + binary("54 00 01"), 0.2)
    assert bench.values["310"] == ("PS/CPAP", "")
    said = [(a.vendor and (a.vendor.code, a.vendor.text), a.presence) for a in bench.seen if isinstance(a, Alert)]
    assert said == [(("410", "1"), "off"), (("400", "1"), "on"), (("400", "1"), "off"), (("410", "2"), "on")]
    assert bench.reasons == []


def test_a_block_of_another_length_is_refused() -> None:
    bench, _device = streaming()
    bench.rx(binary("42 00 96 01 E0") + binary("41 FF") + binary("4C 00 01"), 0.2)
    assert bench.reasons == ["layout B", "layout A", "layout L"]
    assert all(fault.rejected for fault in bench.faults)
    assert not bench.values


@pytest.mark.parametrize("between", [b"\xaa\xaa", BREATH, binary("41 00 00"), binary("54 00 01")])
def test_what_stands_between_two_blocks_interrupts_the_curve(between: bytes) -> None:
    bench, _device = streaming()
    bench.rx(between + binary("81 30 01 80 10 00") + BREATH, 0.2)
    waves = [one for one in bench.seen if isinstance(one, Waveform)]
    assert waves[-1].samples[-2:] == (None, 0x1000)


@pytest.mark.parametrize("said", [binary("E0 11"), text("ER17")])
def test_standby_ends_the_stream(said: bytes) -> None:
    bench, one = streaming()
    one.said.update(RADAB=text("ER17"), RADAS=text("ER17"), RADAA=text("ER17"), RADC=said)
    bench.rx(said, 0.2)
    assert bench.operating == ["standby"]
    assert {word for word, _unit in bench.values.values()} == {"standby"}
    already = len(bench.seen)
    bench.sent.clear()
    play_on(bench, one, bench.now + 20)
    assert 3 <= frames(bench).count("RADC") <= 5
    assert len(bench.seen) == already
    one.said.update({**ANSWERS, "RADC": FLOW})
    play_on(bench, one, bench.now + 12)
    assert bench.operating[-1] == "in_use"


def play_on(bench: Bench, one: Ventilator, until: float) -> None:
    """The device answers from now on, what was sent before is past."""
    bench.take(bench.driver.wake(bench.now))
    for _t, frame in list(bench.sent):
        bench.rx(one.answer(frame), 0.05)
    play(bench, one, until)


def test_a_full_buffer_ends_the_stream_and_it_is_asked_for_again() -> None:
    bench, one = streaming()
    bench.rx(binary("E0 13"), 0.2)
    assert bench.reasons == ["device_error stream 19"]
    play_on(bench, one, bench.now + 6)
    assert frames(bench).count("RADC") == 1


def test_tables_lost_in_the_stream() -> None:
    bench, _device = streaming()
    assert bench.rx(binary("E0 10"), 0.2) == b""
    assert bench.until(bench.now + 3.1) == [ESC_HELLO], "after a rest"


def test_a_silent_stream_is_lost() -> None:
    bench, one = streaming()
    assert bench.until(bench.now + 6) == [b"\x1b"]
    assert bench.until(bench.now + 3) == [ESC_HELLO]
    assert "timeout stream" in bench.reasons
    play_on(bench, one, bench.now + 5)
    assert frames(bench)[-1] == "RADC"


def test_a_curve_without_a_scale_is_not_streamed() -> None:
    bench, _device = up(CURVES, RCCO100=text("020;100,----,----,--,C,FFFF;"))
    assert "curve_unavailable 100" in bench.reasons
    assert not [sent for sent in frames(bench) if sent.startswith(("SDADC", "RADC"))]


def test_curves_by_default_are_not_asked_for() -> None:
    bench, one = Bench(PROFILE), Ventilator(gains=GAINS)
    play(bench, one, 120.0)
    assert not [sent for sent in frames(bench) if sent.startswith(("SDADC", "RADC"))]


# Storms.


def _calm() -> int:
    bench, one = Bench(PROFILE), device()
    one.gains = {code: GAINS["201"] for code in map(str, range(100, 400))}
    one.said.update(RADAB=text("0150" * 31), RADAS=text("0004" * 28), RADAA=text("0" * 33))
    play(bench, one, 100.0 + 600)
    assert bench.values["200"][0] == "150"
    return busiest_minute(PROFILE, bench.sent)


STORMS: dict[str, dict[str, bytes]] = {
    "everything refused": {"": text("ER10")},
    "everything out of range": {**{key: text("ER12") for key in ("RHVE", "RSEN", "RTIM", "RCCO", "SDAD", "RADA")}},
    "not configured": {"RADA": text("ER16")},
    "bad check": {"RADA": b"01500000\x04"},
    "our check is wrong": {"": text("ER18")},
    "standby": {"RADA": text("ER17"), "RCCO": text("ER17")},
    "tables refused": {"SDAD": text("ER12")},
    "garbage": {"": b"\xff\x00\x04\x7f\x80" * 20},
}


@pytest.mark.parametrize("storm", STORMS)
@pytest.mark.parametrize("delay", [0.0, 0.05])
def test_an_hour_of_storm_is_no_busier_than_calm(storm: str, delay: float) -> None:
    bench, one = Bench(PROFILE), Ventilator()
    one.gains = {code: GAINS["201"] for code in map(str, range(100, 400))}
    one.said.update(STORMS[storm])
    play(bench, one, 100.0 + 3600, delay)
    assert busiest_minute(PROFILE, bench.sent) <= _calm()
    assert len(bench.sent) >= 30, "and it is never given up"
