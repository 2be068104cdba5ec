"""Contec CMS50: what both formats become, what is never published, and the two commands that may be sent."""

import random
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contec_cms50.frames import Frame5, Frames, Packet7
from drivers.contract import NOISE, Fault, StreamDriver
from drivers.observation import Numeric, Waveform
from tests.drivers.masimo_ascii.port import Port, alerts, devices, is_allowed, port, values

START, KEEP_ALIVE = bytes.fromhex("7D 81 A1 80 80 80 80 80 80"), bytes.fromhex("7D 81 AF 80 80 80 80 80 80")
VECTOR = bytes.fromhex("E3 30 05 41 61")
"""The document's: strength 3, beep, SpO2 dropping, pulse 65, SpO2 97."""
PACKET = bytes.fromhex("01 E0 85 B3 96 C1 E1 FF FF")
PROFILES = catalog.profiles("contec_cms50")
FRAMES = {False: VECTOR, True: PACKET}


def frame(pr: int = 65, spo2: int = 97, first: int = 0x83, third: int = 0x05, pleth: int = 48) -> bytes:
    """One frame of five bytes."""
    return bytes((first, pleth, third | (pr & 0x80) >> 1, pr & 0x7F, spo2))


def reading(data: bytes) -> list[tuple[str, str, str]]:
    """What a second of the same frame says of the two quantities."""
    return [v for v in values(port("contec_cms50", "cms50_v5").rx(data * 10)) if v[0] != "STRENGTH"]


# -- Frames ---------------------------------------------------------------------------------------------------------


def test_the_frame_of_the_document() -> None:
    read = Frame5.from_bytes(VECTOR)
    assert isinstance(read, Frame5)
    assert (read.strength, read.pleth, read.pulse, read.spo2, read.state) == (3, 0x30, 65, 97, (0x20, 0))
    assert read.to_bytes() == VECTOR


@pytest.mark.parametrize("pr", [0, 65, 127, 128, 200, 254, 255])
def test_bit_7_of_the_rate_stands_in_the_third_byte(pr: int) -> None:
    read = Frame5.from_bytes(frame(pr))
    assert isinstance(read, Frame5)
    assert read.pulse == pr
    assert pr != 200 or frame(pr)[2:4] == bytes((0x45, 0x48))


@given(payload=st.binary(min_size=7, max_size=7))
def test_seven_bits_and_a_carrier(payload: bytes) -> None:
    data = Packet7(payload).to_bytes()
    assert len(data) == 9
    assert [byte >> 7 for byte in data] == [0, *[1] * 8]
    assert Packet7.from_bytes(data) == Packet7(payload)


def test_the_carrier_by_hand() -> None:
    """Bit n of byte 1 is bit 7 of byte n + 2."""
    assert Packet7.from_bytes(PACKET) == Packet7(bytes.fromhex("05 33 16 41 61 FF FF"))
    assert Packet7.from_bytes(bytes.fromhex("01 81 80 80 80 80 80 80 80")) == Packet7(b"\x80" + bytes(6))


@pytest.mark.parametrize("data", [b"", VECTOR[1:], b"\x03" + VECTOR[1:], VECTOR[:4] + b"\xe1", VECTOR + b"\x00"])
def test_what_is_no_frame(data: bytes) -> None:
    for found in (Frame5.from_bytes(data), Packet7.from_bytes(data)):
        assert isinstance(found, Fault)
        assert found.rejected


@pytest.mark.parametrize("is_v7", [False, True])
def test_two_frames_lock_and_the_third_is_read(is_v7: bool) -> None:
    one = FRAMES[is_v7]
    framer = Frames(is_v7)
    assert [len(framer.feed(one)) for _n in range(4)] == [0, 0, 1, 1]
    found = framer.feed(one[:-1] + one * 4)
    assert [i.reason + "!" * i.rejected if isinstance(i, Fault) else "ok" for i in found] == ["framing!", "ok", "ok"]
    assert [i.reason for i in Frames(is_v7).feed(b"\x00\x41\x00" + one) if isinstance(i, Fault)] == [NOISE]


@pytest.mark.parametrize("is_v7", [False, True])
@given(seed=st.integers(0, 2**32 - 1))
def test_any_split(is_v7: bool, seed: int) -> None:
    chance = random.Random(seed)
    good = FRAMES[is_v7]
    data = b"".join(
        chance.choice([good * 4, good, good[: chance.randint(0, 8)], chance.randbytes(3)]) for _n in range(12)
    )
    whole, split, at = Frames(is_v7), Frames(is_v7), 0
    expected = [i for i in whole.feed(data) if not isinstance(i, Fault) or i.rejected]
    found: list[object] = []
    while at < len(data):
        size = chance.randint(1, 30)
        found += [i for i in split.feed(data[at : at + size]) if not isinstance(i, Fault) or i.rejected]
        at += size
    assert found == expected


# -- Values of the five-byte format ---------------------------------------------------------------------------------


def test_values_with_unit_and_name() -> None:
    seen = port("contec_cms50", "cms50_v5").rx(frame(200) * 60)
    numbers = [o for o in seen if isinstance(o, Numeric) and o.value is not None]
    assert [(o.metric, str(o.value), o.unit, o.validity) for o in numbers] == [
        ("MDC_PULS_OXIM_SAT_O2", "97", "%", "valid"),
        ("MDC_PULS_OXIM_PULS_RATE", "200", "/min", "valid"),
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (frame(first=0x93), ("sensor_off", "sensor_off")),
        (frame(third=0x15), ("probe_error", "probe_error")),
        (frame(third=0x25), ("searching", "searching")),
        (frame(first=0x93, third=0x25), ("sensor_off", "sensor_off")),
        (frame(127, 127), ("missing", "missing")),
        (frame(255, 127), ("missing", "missing")),
        (frame(0, 0), ("missing", "missing")),
        (frame(127, 0), ("missing", "missing")),
        (frame(255, 97), ("valid", "missing")),
        (frame(0, 97), ("valid", "missing")),
        (frame(65, 127), ("missing", "valid")),
        (frame(127, 97), ("valid", "valid")),
        (frame(first=0xA3), ("valid", "valid")),
    ],
)
def test_absent_also_though_digits_are_sent(data: bytes, expected: tuple[str, str]) -> None:
    told = reading(data)
    assert [why for _c, _v, why in told] == list(expected)
    assert all((value == "") == (why != "valid") for _c, value, why in told)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(first=0x93), "FINGER"),
        (frame(first=0xA3), "DROP"),
        (frame(third=0x15), "PROBE"),
        (frame(third=0x25), "SEARCH"),
    ],
)
def test_each_condition_goes_on_once_and_off_once(data: bytes, code: str) -> None:
    made = port("contec_cms50", "cms50_v5")
    made.rx(frame() * 60)
    assert alerts(made.rx(data * 60, 1.0)) == [(code, "on")]
    assert alerts(made.rx(data * 60, 1.0)) == []
    assert alerts(made.rx(frame() * 60, 1.0)) == [(code, "off")]


def test_the_beep_is_no_condition_and_strength_is_raw() -> None:
    made = port("contec_cms50", "cms50_v5")
    seen = made.rx((frame(first=0x80 | 4) + frame(first=0xC0 | 4)) * 30)
    assert alerts(seen) == []
    assert values(seen)[-1] == ("STRENGTH", "", "unit_unknown")
    assert len(values(made.rx(frame(first=0x84) * 60, 1.0))) == 2
    assert len(values(made.rx(frame(first=0x85) * 60, 1.0))) == 3


def test_one_metric_once_a_second() -> None:
    """Sixty frames a second come in pieces, with jitter: each quantity is said once."""
    made = port("contec_cms50", "cms50_v5")
    times: list[float] = []
    for n in range(600):
        made.until(100.0 + n * 0.1 + 0.03 * (n % 3))
        if values(made.rx(frame() * 6)):
            times.append(made.now)
    assert 59 <= len(times) <= 61
    assert all(b - a > 0.8 for a, b in zip(times, times[1:], strict=False))


def test_three_frames_in_a_row_must_agree() -> None:
    made = port("contec_cms50", "cms50_v5")
    turning = b"".join(frame(60 + n % 3) for n in range(60))
    assert values(made.rx(turning)) == []
    assert values(made.rx(frame(77) * 2, 1.0)) == []
    assert ("PR", "77", "valid") in values(made.rx(frame(77)))


def test_every_flipped_bit_is_no_valid_number() -> None:
    wire = frame() * 10
    for bit in range(len(wire) * 8):
        damaged = bytearray(wire)
        damaged[bit // 8] ^= 1 << bit % 8
        seen = {v for v in values(port("contec_cms50", "cms50_v5").rx(bytes(damaged))) if v[2] == "valid"}
        assert seen <= {("SpO2", "97", "valid"), ("PR", "65", "valid")}


def test_every_cut() -> None:
    wire = frame() * 8
    for end in range(len(wire)):
        made = port("contec_cms50", "cms50_v5")
        first = values(made.rx(wire[:end]))
        assert bool(first) == (end >= 25)
        assert [v for v in first + values(made.rx(wire[end:])) if v[0] == "PR"] == [("PR", "65", "valid")]


def test_the_curve() -> None:
    made = port("contec_cms50", "cms50_v5", curves="PLETH")
    made.rx(b"".join(frame(pleth=n) for n in range(63)))
    made.rx(frame(pleth=1)[:3] + frame(pleth=2) * 5, 0.5)
    made.rx(frame(first=0x93, pleth=3) * 60, 1.0)
    made.take(made.driver.stop(made.now))
    waves = [o for o in made.seen if isinstance(o, Waveform)]
    assert [(w.start, len(w.samples)) for w in waves] == [(2, 3), (5, 58), (66, 6), (72, 57)]
    assert waves[0].samples == (2, 3, 4)
    assert waves[2].samples == (2, 2, 2, None, None, None)
    assert (waves[3].validity, waves[3].reason) == ("not_available", "sensor_off")
    assert (waves[0].interval_us, str(waves[0].scale), waves[0].unit) == (16_667, "1", "1")
    assert not [o for o in port("contec_cms50", "cms50_v5").rx(frame() * 200) if isinstance(o, Waveform)]
    made.take(made.driver.start(made.now))
    made.rx(frame() * 70)
    assert {len(o.samples) for o in made.seen if isinstance(o, Waveform)} >= {60}


def test_standby_silence_and_stop() -> None:
    made = port("contec_cms50", "cms50_v5")
    made.rx(frame() * 60)
    assert devices(made.seen)[-1] == ("connected", "in_use", "")
    assert devices(made.rx(frame(third=0x25) * 60, 1.0)) == []
    assert devices(made.rx(frame(first=0x93) * 60, 1.0)) == [("connected", "standby", "")]
    made.until(made.now + 600.0)
    assert devices(made.seen)[-1] == ("stale", "unknown", "silence")
    made.take(made.driver.stop(made.now))
    assert devices(made.seen)[-1][0] == "disconnected"
    assert made.rx(frame() * 60, 1.0) == []


# -- What is sent ---------------------------------------------------------------------------------------------------


class Line(Port):
    """A port that keeps what was sent, with the time of each."""

    def __init__(self, profile: str = "cms50_v7", **options: Any) -> None:
        super().__init__(cast(StreamDriver, catalog.create(PROFILES[profile], options)))
        self.times: list[tuple[float, bytes]] = []
        self.step(self.driver.start(self.now).send)

    def step(self, send: bytes) -> None:
        """Note one."""
        if send:
            self.times.append((self.now, send))

    def run(self, seconds: float, data: bytes = b"", every: float = 0.5) -> None:
        """Let time go on, woken often, with the same bytes again and again."""
        end = self.now + seconds
        while self.now < end:
            self.now += every
            self.step(self.driver.wake(self.now).send)
            output = self.driver.receive(data, self.now)
            self.faults += output.faults
            self.seen += output.observations
            self.step(output.send)

    def busiest(self) -> int:
        """The most frames within a minute."""
        times = [t for t, _data in self.times]
        return max(sum(t <= u < t + 59.999 for u in times) for t in times)


def test_the_start_once_and_then_the_keep_alive() -> None:
    made = Line()
    made.run(60.0, PACKET * 30)
    assert [data for _t, data in made.times[:3]] == [START, KEEP_ALIVE, KEEP_ALIVE]
    assert {data for _t, data in made.times[1:]} == {KEEP_ALIVE}
    assert {round(b[0] - a[0], 3) for a, b in zip(made.times[1:], made.times[2:], strict=False)} == {5.0}
    assert made.faults == []
    assert values(made.seen) == [("01", "", "unknown_code")]


def test_packets_are_raw_once_a_second_and_when_they_change() -> None:
    made = Line()
    for n in range(30):
        made.run(0.5, PACKET[:3] + bytes((0x80 | n,)) + PACKET[4:] + PACKET * 29)
    assert len(values(made.seen)) <= 16
    assert {why for _c, _v, why in values(made.seen)} == {"unknown_code"}


def test_silence_is_asked_ever_later() -> None:
    made = Line()
    made.run(300.0)
    assert {data for _t, data in made.times} == {START}
    gaps = [round(b[0] - a[0]) for a, b in zip(made.times, made.times[1:], strict=False)]
    assert gaps[:5] == [2, 5, 2, 12, 2]
    made.run(100.0, PACKET * 3)
    assert made.times[-1][1] == KEEP_ALIVE


@pytest.mark.parametrize(
    "storm", [b"", b"\x0c\x80" * 20, b"\x15", VECTOR * 9, PACKET[:7], PACKET * 3 + b"\x00", START]
)
@pytest.mark.parametrize("keep_alive_s", [5.0, 7.0, 60.0])
def test_an_hour_of_storm_never_raises_the_rate(storm: bytes, keep_alive_s: float) -> None:
    made = Line(keep_alive_s=keep_alive_s)
    made.run(3600.0, storm, 1.3)
    assert made.busiest() <= 60 // keep_alive_s + 2
    assert made.busiest() <= PROFILES["cms50_v7"].protocol.max_send_per_minute
    assert {data for _t, data in made.times} <= {START, KEEP_ALIVE}


def test_all_that_can_be_sent_is_the_allow_list() -> None:
    sent: set[bytes] = set()
    for keep_alive_s in (5.0, 60.0):
        for data in (b"", PACKET * 3, b"\xff", PACKET[:5], VECTOR * 5):
            made = Line(keep_alive_s=keep_alive_s)
            made.run(70.0, data)
            made.run(70.0, PACKET * 3)
            made.step(made.driver.stop(made.now).send)
            made.run(70.0, PACKET * 3)
            sent |= {frame_ for _t, frame_ in made.times}
    assert sent == {START, KEEP_ALIVE}
    assert sent == {bytes.fromhex(rule.hex) for rule in PROFILES["cms50_v7"].allowed}
    assert PROFILES["cms50_v5"].allowed == ()


def test_nothing_is_sent_after_stop_and_no_goodbye() -> None:
    made = Line()
    made.run(6.0, PACKET * 3)
    before = len(made.times)
    made.step(made.driver.stop(made.now + 30.0).send)
    made.run(60.0, PACKET * 3)
    assert len(made.times) == before


@given(data=st.binary(max_size=200))
def test_the_five_byte_format_is_only_listened_to(data: bytes) -> None:
    made = Line("cms50_v5")
    made.run(30.0, data + VECTOR * 5)
    made.step(made.driver.stop(made.now).send)
    assert made.times == []


@pytest.mark.parametrize(
    "command",
    [
        *(bytes((0x7D, 0x81, code, *[0x80] * 6)) for code in range(0x80, 0x100) if code not in (0xA1, 0xAF)),
        START[:-1],
        START + b"\x80",
        bytes.fromhex("7D 81 A1 81 80 80 80 80 80"),
        b"\xf5\xf5",
        b"\xf6\xf6\xf6",
        b"",
    ],
)
def test_no_other_command_passes(command: bytes) -> None:
    """Stop is not confirmed, A6 downloads the storage, others delete it."""
    assert not is_allowed("contec_cms50", command)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cms50_v5", {"curves": "BAR"}),
        ("cms50_v7", {"curves": "PLETH"}),
        ("cms50_v7", {"keep_alive_s": 4}),
        ("cms50_v7", {"stop": True}),
    ],
)
def test_options_that_are_refused(name: str, options: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        catalog.create(PROFILES[name], options)
