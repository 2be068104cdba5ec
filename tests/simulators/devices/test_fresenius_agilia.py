"""The Agilia simulator: vectors of the page, and dialogues with the clock turned by hand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices.fresenius_agilia import FreseniusAgilia, check, frame

ACK, DC4 = b"\x06", b"\x14"


def ask(device: FreseniusAgilia, text: str, now: float) -> bytes:
    """One command and its answer, acknowledged; without the ACK of the pump."""
    said = device.receive(frame(text), now) + device.wake(now + 0.1)
    device.receive(ACK, now + 0.15)
    assert said.startswith(ACK)
    return said[1:]


def up(seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> tuple[FreseniusAgilia, float]:
    device = FreseniusAgilia(seed, faults, {"enq_every_s": "0"} | options)
    device.wake(0.0)
    for index, address in enumerate(["0", "1", "2"] if device.options["modules"] != "0" else [""]):
        assert ask(device, f"{address}DC", 0.2 + index / 4) == frame(f"{address}C")
    return device, 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DC", "02 44 43 37 38 03"),
        ("1DC", "02 31 44 43 34 37 03"),
        ("1LE;dr", "02 31 4C 45 3B 64 72 32 43 03"),
    ],
)
def test_vectors(text: str, expected: str) -> None:
    assert frame(text) == bytes.fromhex(expected)


@pytest.mark.parametrize(
    ("text", "expected"), [("1C;d0032;r00001388", b"E6"), ("1LP", b"32"), ("1LF;b", b"9F"), ("FC", b"76")]
)
def test_checks(text: str, expected: bytes) -> None:
    assert check(text.encode()) == expected


def test_rate_and_volume() -> None:
    device, now = up()
    said = ask(device, "1LE;dr", now)
    parts = re.fullmatch(rb"\x021C;d([0-9A-F]{4});r([0-9A-F]{8})(..)\x03", said)
    assert parts
    assert check(said[1:-3]) == parts[3]
    assert said in (frame(f"1C;d{parts[1].decode()};r{parts[2].decode()}"),)
    later = re.search(rb";r([0-9A-F]{8})", ask(device, "1LE;dr", now + 300))
    assert later
    given_l = (int(later[1], 16) - int(parts[2], 16)) / 1_000_000
    assert abs(given_l - int(parts[1], 16) / 10 * 300 / 3600 / 1000) < 1e-4
    kept = device.history[0]
    assert (kept.address, kept.kind) == ("1", "C")
    assert dict(kept.values) == {"d": parts[1].decode(), "r": parts[2].decode()}
    assert device.sent == 2


def test_the_base_and_its_modules() -> None:
    device, now = up(modules="3")
    assert ask(device, "0LE;b", now) == frame("0C;b0007")
    assert ask(device, "0LE;i", now + 1) == frame("0C;i0003")
    assert ask(device, "1LP", now + 2) == frame("1C;PROPOFOL")
    assert ask(device, "1LF;b", now + 3) == frame("1C;b0001")
    assert ask(device, "4DC", now + 4)[:3] == b"\x024I"
    assert ask(device, "3LE;d", now + 5)[:3] == b"\x023I"  # no session
    assert device.premature == 1
    assert not device.illegal


def test_a_pump_alone_has_no_address() -> None:
    device, now = up(modules="0")
    assert ask(device, "LE;d", now).startswith(b"\x02C;d")
    assert ask(device, "FC", now + 1) == frame("C")
    assert ask(device, "1DC", now + 2)[:3] == b"\x021I"


NEVER = "1MO 1PR;d0032 1PO 1PB 1PF 1PV 1PP 1PS 1RV 1RZ 1OF 1SI 1EP 1AP 1EN 1XX"


@pytest.mark.parametrize("command", NEVER.split())
def test_what_must_never_be_sent(command: str) -> None:
    device, now = up()
    assert ask(device, command, now)[:3] == b"\x021I"
    assert device.illegal == [frame(command)]


@pytest.mark.parametrize(
    "bad", [b"x", frame("1DC")[:-2] + b"0\x03", b"\x02\x03", b"\x02abc" + frame("1DC"), b"\x02" + b"1" * 200]
)
def test_what_a_box_may_not_say_is_kept(bad: bytes) -> None:
    device, now = up()
    device.receive(bad, now)
    assert device.illegal


def test_a_bad_frame_is_refused_and_nak_repeats() -> None:
    device, now = up()
    assert device.receive(b"\x021DC00\x03", now)[:1] == b"\x15"
    device.receive(frame("1LE;d"), now + 1)
    said = device.wake(now + 1.1)
    device.receive(b"\x151", now + 1.2)
    assert device.wake(now + 1.3) == said
    device.receive(ACK, now + 1.4)
    assert device.unacked == 0
    device.receive(ACK, now + 1.5)
    assert device.unexpected == 1


def test_a_frame_without_ack_is_counted() -> None:
    device, now = up()
    device.receive(frame("1LE;d"), now)
    device.wake(now + 0.1)
    device.receive(frame("1LE;d"), now + 1)
    device.wake(now + 1.1)
    assert device.unacked == 1


def test_spontaneous_frames_tell_what_changed() -> None:
    device, now = up()
    assert ask(device, "1DE;dr", now) == frame("1C")
    said = device.wake(now + 1.05)
    assert re.fullmatch(rb"\x021E;d[0-9A-F]{4};r[0-9A-F]{8}..\x03", said)
    device.receive(ACK + frame("1E"), now + 1.2)
    said = device.wake(now + 2.05)
    assert re.fullmatch(rb"\x021E;r[0-9A-F]{8}..\x03", said)
    device.wake(now + 3.05)
    assert device.unechoed == 1
    assert device.unacked == 1
    device.receive(ACK, now + 3.1)
    assert ask(device, "1AE", now + 3.2) == frame("1C")
    assert device.wake(now + 10) == b""
    assert device.history[-1].kind == "E"


def test_it_asks_whether_the_box_is_there() -> None:
    device, now = up(enq_every_s="2")
    for second in range(20):
        if b"\x05" in device.wake(now + second):
            device.receive(DC4, now + second + 0.1)
    assert device.lost_sessions == 0
    said = device.wake(now + 40)
    assert said.count(b"\x05") == 3
    assert device.lost_sessions == 3
    assert not device.sessions
    assert device.wake_at is None


def test_fc_ends_a_session_in_order() -> None:
    device, now = up(enq_every_s="2")
    for index, address in enumerate("120"):
        assert ask(device, f"{address}FC", now + index / 4) == frame(f"{address}C")
    assert device.wake(now + 60) == b""
    assert device.lost_sessions == 0


@pytest.mark.parametrize("fault", sorted(FreseniusAgilia.FAULTS))
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    device, now = up(silence_s="4")
    device.faults = frozenset({fault})
    device._rate = 0.2
    sound = 0
    for second in range(1200):
        at = now + second
        command = "1DC" if second % 5 == 0 else "1LE;d"
        said = device.receive(frame(command), at) + device.wake(at + 0.4)
        device.receive(ACK, at + 0.5)
        said += device.wake(at + 0.9)
        sound += len(re.findall(rb"\x021C;d[0-9A-F]{4}..\x03", said))
    assert device.injected[fault] > 5
    assert set(device.injected) == {fault}
    assert device.sent > 100
    assert not device.illegal
    if fault not in ("bad_checksum", "flipped_bit"):
        assert abs(sound - device.sent) <= (device.injected[fault] if fault == "duplicate" else 1)


def test_a_bad_checksum_does_not_fit() -> None:
    device, now = up()
    device.faults, device._rate = frozenset({"bad_checksum"}), 1.0
    said = ask(device, "1LE;d", now)
    assert check(said[1:-3]) != said[-3:-1]
    assert not device.history


@given(st.binary(max_size=200), st.integers(0, 3))
def test_any_bytes_are_survived(noise: bytes, seed: int) -> None:
    device, now = up(seed)
    device.receive(noise, now)
    device.wake(now + 5)
    device.receive(b"\x03", now + 6)
    assert b"\x02" in device.receive(frame("1LP"), now + 7) + device.wake(now + 8)


def test_a_day_passes() -> None:
    device, now = up()
    ask(device, "1DE;dr", now)
    for hour in range(1, 25):
        assert device.wake(now + hour * 3600.0)
    assert device.sent > 80_000


def test_the_same_seed_is_the_same_device() -> None:
    def run(seed: int) -> bytes:
        device, now = up(seed)
        return b"".join(ask(device, "1LE;drm", now + second) for second in range(20))

    assert run(4) == run(4)
    assert run(4) != run(5)


@pytest.mark.parametrize(
    ("faults", "options"), [({"wrong"}, {}), (set(), {"modules": "9"}), (set(), {"modules": "two"})]
)
def test_wrong_names_are_refused(faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="fresenius_agilia"):
        FreseniusAgilia(0, frozenset(faults), options)
