"""What may be sent: every command the driver can form is in the list, none that writes is, none is left over."""

import re
from typing import Any

import pytest

from drivers import catalog
from drivers.profile import Profile
from tests.contract.play import is_allowed, rules
from tests.drivers.servo_cie.device import Bench, Ventilator, binary, play, text

CIE = catalog.profile("servo_cie", "servo_i")
SCI = catalog.profile("servo_sci", "servo_u")
NEVER = ("ADMP", "DISP", "STTX", "ST", "SSMP", "CS", "STOU", "CT", "PING")
ARGUMENTS = ("", "0", "1", "020", "0202F", "20261125153000", "200", "200201", "A", "x" * 20)


def _batches(low: int, high: int, size: int) -> list[tuple[str, ...]]:
    codes = [f"{code:03}" for code in range(low, high + 1)]
    return [tuple(codes[at : at + size]) for at in range(0, len(codes), size)]


def _emitted(profile: Profile, options: dict[str, Any], device: Ventilator, seconds: float = 15.0) -> set[bytes]:
    bench = Bench(profile, options)
    play(bench, device, bench.now + seconds, delay=0.0)
    bench.stop()
    return {data for _t, data in bench.sent}


class Willing(Ventilator):
    """Has every channel, and streams at once or not at all."""

    def _usual(self, command: str) -> bytes:
        if command[:4] == "RCCO":
            return text(f"020;{command[4:]},+1000E-003,+0000E+000,20,X,FFFF;")
        if command[:4] == "RADC":
            return binary("80 00 01" * len(self.tables["C"]))
        return super()._usual(command)


def _everything(profile: Profile) -> set[bytes]:
    """All commands of a driver: every channel of every class, every version, every refusal."""
    made: Any = catalog.create(profile)
    ranges, most, fixed = made.Options.RANGES, made.Options.MOST, made.Options.FIXED
    names = {"B": "breath", "S": "settings", "L": "limits", "A": "alarms", "C": "curves"}
    found: set[bytes] = set()
    name = "Servo-i0" if profile is CIE else "SERVO-U0"
    digits = 3 if profile is CIE else 4
    small: dict[str, Any] = {"breath": ("299", "298", "297"), "alarms": ("998",) if profile is SCI else ("499",)}
    small["settings"] = ("410", "411") if profile is SCI else ("310", "300")
    for letter, (low, high) in ranges.items():
        for batch in _batches(low, high, most[letter]):
            codes = tuple(code for code in batch if int(code) not in fixed)
            options = {**small, names[letter]: codes, "interval_us": 20_000}
            if codes:
                found |= _emitted(profile, options, Willing(name, "1".zfill(digits)))
    for version in (*range(21), *range(21, 1000, 11)):
        found |= _emitted(profile, small, Willing(name, f"{version:0{digits}}"), 1.0)
    for refusal in range(9, 22):
        for verb in ("HO", "RPTY", "RCTY", "RCFG", "RHVE", "SPVE", "RSEN", "RTIM", "RCCO", "SDAD", "RADA", "RADC"):
            one = Willing(name, "1".zfill(digits))
            one.said[verb] = text(f"ER{refusal:02}")
            found |= _emitted(profile, {**small, "curves": "000" if profile is SCI else "100", "interval_us": 9}, one)
    return found


@pytest.mark.parametrize("profile", [CIE, SCI], ids=["cie", "sci"])
def test_all_that_can_be_sent_is_allowed_and_all_that_is_allowed_can_be_sent(profile: Profile) -> None:
    found = _everything(profile)
    one = re.compile(rules(profile), re.DOTALL)
    assert all(is_allowed(profile, data) for data in found)
    frames = {frame for data in found for frame in one.findall(data)}
    for rule in profile.allowed:
        assert any(re.fullmatch(rule.regex(), frame, re.DOTALL) for frame in frames), rule.name
    verbs = {frame.lstrip(b"\x1b")[:4].rstrip(b"\x04") for frame in frames}
    read_only = {b"", b"HO", b"RCTY", b"RHVE", b"SPVE", b"RSEN", b"RTIM", b"RCCO", b"SDAD", b"RADA", b"RADC"}
    assert verbs <= read_only | ({b"RPTY", b"RCFG"} if profile is SCI else set())


@pytest.mark.parametrize("profile", [CIE, SCI], ids=["cie", "sci"])
@pytest.mark.parametrize("verb", NEVER)
def test_never(profile: Profile, verb: str) -> None:
    for argument in ARGUMENTS:
        frame = text(verb + argument)
        for before in (b"", b"\x1b", text("RADAB")):
            assert not is_allowed(profile, before + frame)
            assert not is_allowed(profile, before + verb.encode() + argument.encode() + b"\x04")


@pytest.mark.parametrize(
    "data",
    [
        text("RCCO"),
        text("RCCO400"),
        text("SPVE006"),
        text("SPVE05"),
        text("SDADE400"),
        text("SDADB"),
        text("SDADB20"),
        text("SDADC100101102103113"),
        text("RADAE"),
        text("RADAT"),
        b"HO\x04",
        b"RADAB55\x04",
        b"\x04",
    ],
)
def test_near_misses(data: bytes) -> None:
    assert not is_allowed(CIE, data)


@pytest.mark.parametrize("name", ["servo_i", "servo_s"])
def test_the_identification_question_is_allowed(name: str) -> None:
    profile = catalog.profile("servo_cie", name)
    question = bytes.fromhex(profile.identification.question)
    assert is_allowed(profile, question)
    assert re.fullmatch(profile.identification.answer, {"servo_i": "Servo-i0", "servo_s": "Servo-s0"}[name])
    assert profile.line == "9600 8E1"
