"""The G5 simulator: the layouts of the block protocol, and dialogues with the clock turned by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices.hamilton_g5 import KNOWN, MEASURED, SETTINGS, HamiltonG5, waveform_bytes

ERROR = bytes.fromhex("02 52 45 52 52 4F 52 03 0D")


def request(identifier: int) -> bytes:
    return bytes([2, identifier, 3, 13])


def ask(device: HamiltonG5, identifier: int, now: float) -> bytes:
    return device.receive(request(identifier), now) + device.wake(now + 0.036)


def on(**options: str) -> HamiltonG5:
    device = HamiltonG5(1, options=options)
    device.wake(0.0)
    return device


@pytest.mark.parametrize("identifier", sorted(set(SETTINGS) | set(MEASURED) | {88, 102, 80, 123}))
def test_most_parameters_have_five_characters(identifier: int) -> None:
    device = on()
    said = ask(device, identifier, 1.0)
    assert len(said) == 9
    assert said[:2] == bytes([2, identifier])
    assert said[-2:] == b"\x03\r"
    text = said[2:7].decode()
    assert text == text.strip().rjust(5)
    assert device.history[-1][1:] == (identifier, text)
    assert not device.illegal


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        (86, b"\x02AB1234\x03\r"),
        (124, b"\x02\x7c10210\x03\r"),
        (125, b"\x02\x7d10210\x03\r"),
        (38, ERROR),
        (31, ERROR),
    ],
)
def test_other_layouts(identifier: int, expected: bytes) -> None:
    device = on()
    assert ask(device, identifier, 1.0) == expected
    assert len(expected) == 9
    assert not device.illegal


def test_the_ventilator_number_may_have_one_letter() -> None:
    said = ask(on(number_letters="1"), 86, 1.0)
    assert said == b"\x02B1234\x03\r"
    assert len(said) == 8


@pytest.mark.parametrize("identifier", [34, 120])
def test_waveforms_are_answered_but_not_allowed(identifier: int) -> None:
    device = on()
    said = ask(device, identifier, 1.0)
    assert len(said) == 13
    assert said[1] == identifier
    assert device.illegal == [request(identifier)]


def test_a_waveform_byte_may_look_like_an_end() -> None:
    assert waveform_bytes(3705 - 2048) == b"\x39\x39"
    assert waveform_bytes(-2048 + 3 + 13 * 64) == b"\x03\x0d"
    device = on()
    assert any(3 in ask(device, 34, 1.0 + tick / 10)[3:11] for tick in range(400))


def test_it_is_deaf_while_busy() -> None:
    device = on()
    device.receive(request(66), 1.0)
    device.receive(request(67), 1.02)
    said = device.wake(1.1)
    assert said[1] == 66
    assert len(said) == 9
    assert device.hasty == 1


@pytest.mark.parametrize(
    "bad", [b"x", request(3), request(13), request(200), b"\x02\x42\x0d\x03", request(0x52)[:-1] + b"\x02"]
)
def test_what_a_box_may_not_say_is_kept(bad: bytes) -> None:
    device = on()
    device.receive(bad, 1.0)
    assert device.illegal == [bad]


def test_values_change() -> None:
    device = on()
    assert len({ask(device, 61, 1.0 + second) for second in range(60)}) > 10


@pytest.mark.parametrize("fault", sorted(HamiltonG5.FAULTS))
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    device = HamiltonG5(1, frozenset({fault}), {"fault_rate": "0.2", "silence_s": "4"})
    device.wake(0.0)
    sound = 0
    for tick in range(1200):
        said = ask(device, 43, 1.0 + tick / 2) + device.wake(1.45 + tick / 2)
        sound += said.count(b"\x02\x2b  480\x03\r")
    assert device.injected[fault] > 5
    assert set(device.injected) == {fault}
    assert device.sent > 100
    assert not device.illegal
    assert abs(sound - device.sent) <= (device.injected[fault] if fault == "duplicate" else 1)


@given(st.binary(max_size=100))
def test_any_bytes_are_survived(noise: bytes) -> None:
    device = on()
    device.receive(noise, 1.0)
    device.wake(2.0)
    device.receive(b"\x00\x00\x00", 3.0)  # ends a question that was begun
    device.wake(4.0)
    assert len(ask(device, 43, 5.0)) == 9


def test_a_day_and_the_same_seed() -> None:
    def run(seed: int) -> bytes:
        device = HamiltonG5(seed)
        device.wake(0.0)
        return b"".join(ask(device, identifier, 1.0 + identifier) for identifier in sorted(KNOWN)) + ask(
            device, 61, 86_400
        )

    assert run(4) == run(4)
    assert run(4) != run(5)


@pytest.mark.parametrize(("faults", "options"), [({"bad_checksum"}, {}), (set(), {"number_letters": "3"})])
def test_wrong_names_are_refused(faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="hamilton_g5"):
        HamiltonG5(0, frozenset(faults), options)
