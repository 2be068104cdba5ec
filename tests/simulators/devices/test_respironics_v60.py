"""The V60 simulator: the shape of its reports, and dialogues with the clock turned by hand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices.respironics_v60 import LAYOUTS, RespironicsV60, report

SNDA, VRPT = b"SNDA\r", b"VRPT\r"


def ask(device: RespironicsV60, command: bytes, now: float) -> bytes:
    return device.receive(command, now) + device.wake(now + 0.3)


def fields(whole: bytes) -> list[str]:
    """The fields of a report, from the first data field; its sizes are checked."""
    parts = re.fullmatch(rb"([A-Z]+),(\d+),(\d+) *,\x02(.*)\x03\r", whole, re.DOTALL)
    assert parts
    body = parts[4].decode()
    assert int(parts[2]) == len(body)
    if parts[1] == b"VRPT":
        assert body.startswith(",")
        body = body[1:]
    assert body.endswith(",")
    out = body[:-1].split(",")
    assert len(out) == int(parts[3])
    return out


@pytest.mark.parametrize(
    ("command", "head", "count"), [(SNDA, b"MISCA,706,97 ,\x02", 97), (VRPT, b"VRPT,988,133,\x02,", 133)]
)
def test_the_shape_of_a_report(command: bytes, head: bytes, count: int) -> None:
    device = RespironicsV60(1)
    device.wake(0.0)
    whole = ask(device, command, 1.0)
    assert whole.startswith(head)
    assert len(whole) == len(b"MISCA,706,97 ," if command == SNDA else b"VRPT,988,133,") + 3 + int(
        head.split(b",")[1]
    )
    texts = fields(whole)
    assert len(texts) == count
    assert {len(text) for index, text in enumerate(texts) if index != 1} == {6}
    assert all(text == text.strip().ljust(len(text)) for text in texts)


@pytest.mark.parametrize("text", ["56 52 50 54 0D", "53 4E 44 41 0D"])
def test_command_vectors(text: str) -> None:
    device = RespironicsV60()
    device.wake(0.0)
    assert ask(device, bytes.fromhex(text), 1.0)
    assert not device.illegal


@pytest.mark.parametrize(
    ("command", "numeric"),
    [(SNDA, {6, 9, 11, 22, 30, 31, 32, 34, 81, 82}), (VRPT, {55, 56, 57, 64, 73, 77, 79, 81, 85, 87})],
)
def test_the_known_fields_and_no_others(command: bytes, numeric: set[int]) -> None:
    device = RespironicsV60(1, options={"alarm_every_s": "0"})
    device.wake(0.0)
    texts = dict(enumerate(fields(ask(device, command, 60.0)), 1))
    layout = LAYOUTS[command[:4].decode()]
    filled = {number for number, text in texts.items() if text.strip()}
    assert filled == numeric | {1, 5 if command == SNDA else 53} | set(layout.alarms)
    assert texts[1] == "08:01 "
    assert all(re.fullmatch(r"\d+(\.\d+)? *", texts[number]) for number in numeric)
    assert {texts[number] for number in layout.alarms} == {"NORMAL"}
    kept = device.history[-1]
    assert dict(kept.values) == {number: text.strip() for number, text in texts.items() if text.strip()}
    assert float(texts[31 if command == SNDA else 77]) < 2  # litres


def test_standby_blanks_what_is_measured() -> None:
    device = RespironicsV60(1, options={"standby": "yes"})
    device.wake(0.0)
    texts = dict(enumerate(fields(ask(device, VRPT, 1.0)), 1))
    assert texts[85] == texts[87] == " " * 6
    assert texts[55] == "12    "


def test_alarms_come_stay_as_reset_and_go() -> None:
    device = RespironicsV60(3)
    device.wake(0.0)
    seen = []
    for second in range(0, 180, 5):
        texts = fields(ask(device, VRPT, 1.0 + second))
        seen.append({texts[number - 1] for number in LAYOUTS["VRPT"].alarms})
    assert seen[0] == {"NORMAL"}
    assert {"NORMAL", "ALARM "} in seen
    assert {"NORMAL", "RESET "} in seen


def test_the_last_question_counts() -> None:
    device = RespironicsV60()
    device.wake(0.0)
    assert ask(device, SNDA + VRPT, 1.0).startswith(b"VRPT")
    assert device.cancelled == 1


@pytest.mark.parametrize("bad", [b"RSET\r", b"VCVS\r", b"\r", b"vrpt\r", b"SNDA\n\r", b"x" * 70])
def test_what_a_box_may_not_say_is_kept(bad: bytes) -> None:
    device = RespironicsV60()
    device.wake(0.0)
    assert ask(device, bad, 1.0) == b""
    assert device.illegal


@pytest.mark.parametrize("fault", sorted(RespironicsV60.FAULTS))
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    device = RespironicsV60(1, frozenset({fault}), {"fault_rate": "0.2", "silence_s": "4"})
    device.wake(0.0)
    said = b""
    for second in range(0, 1200, 2):
        said += ask(device, SNDA, 1.0 + second) + device.wake(2.9 + second)
    sound = len(re.findall(rb"MISCA,706,97 ,\x02[^\x03]{706}\x03\r", said))
    assert device.injected[fault] > 5
    assert set(device.injected) == {fault}
    assert device.sent > 100
    assert not device.illegal
    if fault != "flipped_bit":  # without a checksum a flipped bit may leave a report whole
        assert abs(sound - device.sent) <= (device.injected[fault] if fault == "duplicate" else 1)


@pytest.mark.parametrize("fault", ["wrong_count", "short_field"])
def test_reports_that_contradict_themselves(fault: str) -> None:
    device = RespironicsV60(1, frozenset({fault}), {"fault_rate": "1"})
    device.wake(0.0)
    whole = ask(device, SNDA, 1.0)
    declared = int(whole.split(b",")[1])
    assert declared != whole.index(b"\x03") - whole.index(b"\x02") - 1
    assert not device.history


@given(st.dictionaries(st.integers(3, 97), st.text("0123456789.", max_size=6)))
def test_any_values_fit(values: dict[int, str]) -> None:
    texts = fields(report(LAYOUTS["SNDA"], values))
    assert all(texts[number - 1].strip() == text for number, text in values.items())


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(noise: bytes) -> None:
    device = RespironicsV60()
    device.wake(0.0)
    device.receive(noise, 1.0)
    device.wake(2.0)
    ask(device, b"\r", 3.0)
    assert ask(device, SNDA, 5.0)


def test_a_day_and_the_same_seed() -> None:
    def run(seed: int) -> bytes:
        device = RespironicsV60(seed)
        device.wake(0.0)
        return ask(device, SNDA, 10.0) + ask(device, VRPT, 86_400.0)

    assert run(4) == run(4)
    assert run(4) != run(5)


@pytest.mark.parametrize(
    ("faults", "options"), [({"bad_checksum"}, {}), (set(), {"standby": "on"}), (set(), {"started": "x"})]
)
def test_wrong_names_are_refused(faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="respironics_v60"):
        RespironicsV60(0, frozenset(faults), options)
