"""The GE / Datex-Ohmeda monitor: the page's requests byte for byte, records read by hand."""

import struct
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import dri_frames as wire
from simulators.devices.ge_dri import GeDri
from simulators.devices.reporter import CLOCK_STEPS_S

DISPLAYED = bytes.fromhex(
    "7e 31 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff 00 00 00 00 00 00 00 00 00 00 00"
    " 00 00 00 00 00 00 00 01 0a 00 0e 00 00 00 00 00 49 7e"
)
STOPPED = DISPLAYED[:41] + bytes.fromhex("01 00 00 00 00 00 00 00 00 31 7e")


class Said(NamedTuple):
    main_type: int
    number: int
    level: int
    time: int
    subrecords: list[tuple[int, bytes]]


def ask_values(kind: int, interval: int, classes: int = 0) -> bytes:
    return ask(0, struct.pack("<BhIh", kind, interval, classes, 0))


def ask_waves(command: int, *types: int) -> bytes:
    kinds = bytes(types) + (b"\xff" if len(types) < 8 else b"")
    return ask(1, struct.pack("<hh", command, 0) + kinds.ljust(8, b"\0") + bytes(20))


def ask_alarms(command: int) -> bytes:
    return ask(4, struct.pack("<h", command) + bytes(8))


def ask(main_type: int, body: bytes, descriptors: bytes = b"\0\0\0\0\0\xff") -> bytes:
    record = struct.pack("<H12xh", 40 + len(body), main_type) + descriptors.ljust(24, b"\0") + body
    return wire.framed(record)


def read(heard: bytes) -> list[Said]:
    """Records of undamaged frames, taken apart without the simulator's own code."""
    out = []
    for inside in heard.split(b"\x7e"):
        plain = inside.replace(b"\x7d\x5e", b"\x7e").replace(b"\x7d\x5d", b"\x7d")
        if len(plain) < 41 or sum(plain[:-1]) % 256 != plain[-1]:
            continue
        record = plain[:-1]
        length, number, level, _, time = struct.unpack_from("<HBBHI", record)
        assert length == len(record)
        offsets, kinds = [], []
        for place in range(8):
            offset, kind = struct.unpack_from("<hB", record, 16 + 3 * place)
            if kind == 0xFF:
                break
            offsets.append(offset)
            kinds.append(kind)
        ends = [*offsets[1:], length - 40]
        parts = [record[40 + start : 40 + end] for start, end in zip(offsets, ends, strict=True)]
        (main_type,) = struct.unpack_from("<h", record, 14)
        out.append(Said(main_type, number, level, time, list(zip(kinds, parts, strict=True))))
    return out


def up(seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> GeDri:
    device = GeDri(seed, faults, options)
    device.wake(100.0)
    return device


def listen(device: GeDri, start: float, end: float, step: float = 1.0) -> list[Said]:
    heard = b""
    while start < end:
        start += step
        heard += device.wake(start)
    return read(heard)


def raw(body: bytes, offset: int) -> int:
    return int.from_bytes(body[4 + offset : 6 + offset], "little", signed=True)


def test_the_requests_of_the_document() -> None:
    assert ask_values(1, 10, 0xE) == DISPLAYED
    assert ask_values(1, 0) == STOPPED
    curve = ask_waves(0, 9)
    assert curve.startswith(b"\x7e\x48\x00")
    assert curve[45:47] == b"\x09\xff"
    assert curve.endswith(b"\x00\x50\x7e")
    assert len(curve) == 72 + 3
    inside = wire.record_of(DISPLAYED[1:-1])
    assert inside is not None
    assert wire.request_of(inside) == wire.Request("values", 1, 10, 0xE)


def test_the_basic_class_is_270_bytes() -> None:
    assert max(start for start, _ in wire.GROUPS.values()) + 22 == 200
    offsets = {field.code: field.offset for field in wire.FIELDS}
    assert offsets["ecg.hr"] == 6
    assert offsets["nibp.sys"] == 78
    assert offsets["spo2.spo2"] == 124
    assert offsets["co2.amb_press"] == 144
    assert offsets["flow_vol.mv_exp"] == 198
    assert len(set(offsets.values())) == len(offsets)


@given(st.binary(min_size=1, max_size=200))
def test_stuffing_is_undone(record: bytes) -> None:
    frame = wire.framed(record)
    assert frame.count(b"\x7e") == 2
    assert wire.record_of(frame[1:-1]) == record


def test_a_checksum_that_is_a_flag_is_stuffed() -> None:
    assert wire.framed(b"\x7e") == b"\x7e\x7d\x5e\x7d\x5e\x7e"
    assert wire.framed(b"\x7d") == b"\x7e\x7d\x5d\x7d\x5d\x7e"
    assert wire.record_of(b"\x41\x7d") is None


def test_displayed_values_go_on_by_themselves() -> None:
    device = up()
    device.receive(DISPLAYED, 100.0)
    said = listen(device, 100.0, 145.0)
    assert len(said) == 5
    assert [record.number for record in said] == [1, 2, 3, 4, 5]
    assert said[1].time - said[0].time == 10
    record = said[-1]
    assert record.main_type == 0
    assert record.level == 10
    assert [kind for kind, _ in record.subrecords] == [1, 1, 1, 1]
    assert [len(data) for _, data in record.subrecords] == [278] * 4
    classes = [int.from_bytes(data[-2:], "little") >> 8 & 0xF for _, data in record.subrecords]
    assert classes == [0, 1, 2, 3]
    body = record.subrecords[0][1]
    assert int.from_bytes(body[:4], "little") == record.time
    told = device.history[-1].values
    assert 60 <= raw(body, 6) == int(told["ecg.hr"]) <= 85
    assert 9300 <= raw(body, 124) == int(told["spo2.spo2"]) <= 10000
    assert 3600 <= raw(body, 92) <= 3760
    assert raw(body, 16 + 6) > raw(body, 16 + 10) > raw(body, 16 + 8)  # systolic, mean, diastolic
    assert body[4] >> 3 & 0xF == 1  # the rate comes from ECG 1
    assert not device.illegal
    device.receive(STOPPED, 146.0)
    assert not listen(device, 146.0, 200.0)


def test_carbon_dioxide_in_percent_and_in_mmhg() -> None:
    device = up(absent_rate="0")
    device.receive(ask_values(1, -1), 100.0)
    body = listen(device, 100.0, 103.0)[0].subrecords[0][1]
    mmhg = raw(body, 138) / 10000 * raw(body, 144) / 10
    assert 34 < mmhg < 42


def test_once_is_once() -> None:
    device = up()
    device.receive(ask_values(1, -1, 0b0011), 100.0)
    said = listen(device, 100.0, 130.0)
    assert len(said) == 1
    assert len(said[0].subrecords) == 1  # the basic class was denied
    assert said[0].subrecords[0][1][-1] & 0xF == 1
    assert not any(said[0].subrecords[0][1][4:-4])


def test_a_repeated_request_is_ignored() -> None:
    device = up()
    device.receive(ask_values(1, 10), 100.0)
    device.receive(ask_values(1, 5), 103.0)
    assert device.ignored == {"repeated": 1}
    assert len(listen(device, 103.0, 125.0)) == 2
    device.receive(ask_values(1, 5), 126.0)
    assert len(listen(device, 126.0, 146.0)) == 4


def test_trends_need_displayed_values_and_a_case() -> None:
    device = up()
    device.receive(ask_values(2, 10), 100.0)
    assert device.ignored == {"no_displayed": 1}
    device.receive(ask_values(1, 60) + ask_values(2, 10) + ask_values(3, 60), 101.0)
    said = listen(device, 101.0, 222.0)
    kinds = [record.subrecords[0][0] for record in said]
    assert (kinds.count(1), kinds.count(2), kinds.count(3)) == (3, 13, 3)
    device = up(case_started="no")
    device.receive(ask_values(1, 60) + ask_values(2, 10), 101.0)
    assert device.ignored == {"no_case": 1}
    assert not device.illegal


def test_the_cuff_is_old_after_a_minute() -> None:
    device = up(cuff_every_s="200")
    device.receive(ask_values(1, 5), 100.0)
    bodies = [record.subrecords[0][1] for record in listen(device, 100.0, 320.0)]
    pairs = [(raw(body, 78), int.from_bytes(body[4 + 76 : 4 + 78], "little")) for body in bodies]
    assert pairs[0] == (-32767, 0)
    old = [bool(label & 0x100) for value, label in pairs if value > 0]
    assert old.count(False) in (12, 13, 24, 25)
    assert old.count(True) > 20


def test_the_oximeter_is_silent_while_its_probe_is_off() -> None:
    device = up()
    device.receive(ask_values(1, 5) + ask_alarms(2), 100.0)
    listen(device, 100.0, 500.0)
    values = [reading.values for reading in device.history if reading.kind == "displayed"]
    gone = [texts for texts in values if texts["spo2.spo2"] == "-32767"]
    assert gone
    assert all(texts["spo2.pr"] == "-32767" for texts in gone)


def test_special_numbers() -> None:
    device = up(absent_as="mixed", absent_rate="1")
    device.receive(ask_values(1, 5), 100.0)
    listen(device, 100.0, 300.0)
    seen = {reading.values["t2.temp"] for reading in device.history}
    assert seen == {"-32767", "-32766", "-32765", "-32764", "-32763", "-32762"}


@pytest.mark.parametrize(
    ("options", "first_class", "low_byte"),
    [({"class_order": "falling"}, 3, 0), ({"class_word": "full"}, 0, 0xF1), ({"class_order": "rising"}, 0, 0)],
)
def test_the_class_stands_in_its_bits(options: dict[str, str], first_class: int, low_byte: int) -> None:
    device = GeDri(1, options=options)
    device.receive(DISPLAYED, 100.0)
    word = listen(device, 100.0, 102.0)[0].subrecords[0][1][-2:]
    assert (word[1] & 0xF, word[0]) == (first_class, low_byte)


@pytest.mark.parametrize(("source", "number"), [("bp", 2), ("pleth", 6)])
def test_where_the_rate_comes_from(source: str, number: int) -> None:
    device = up(hr_source=source)
    device.receive(DISPLAYED, 100.0)
    assert listen(device, 100.0, 102.0)[0].subrecords[0][1][4] >> 3 & 0xF == number


def test_curves() -> None:
    device = up(absent_rate="0")
    device.receive(ask_waves(0, 1, 8, 9), 100.0)
    said = listen(device, 100.0, 105.0)
    assert len(said) == 5
    assert said[0].main_type == 1
    assert [kind for kind, _ in said[0].subrecords] == [1, 8, 9]
    assert [struct.unpack_from("<hHH", data) for _, data in said[0].subrecords] == [
        (300, 0, 0),
        (100, 0, 0),
        (25, 0, 0),
    ]
    texts = device.history[-1].values
    assert struct.unpack("<25h", said[-1].subrecords[2][1][6:]) == tuple(int(text) for text in texts["9"].split())
    assert 1100 < max(int(text) for text in device.history[0].values["1"].split()) < 1300
    device.receive(ask_waves(1, 1), 106.0)
    assert [kind for kind, _ in listen(device, 106.0, 108.0)[-1].subrecords] == [8, 9]
    device.receive(ask_waves(1), 109.0)
    assert not device.waves


@pytest.mark.parametrize(
    ("types", "budget", "comes"),
    [((1, 2), "600", True), ((1, 2, 9), "600", False), ((1, 2, 9), "0", True), ((22,), "600", False)],
)
def test_the_budget_of_curves(types: tuple[int, ...], budget: str, comes: bool) -> None:
    device = up(budget=budget)
    device.receive(ask_waves(0, *types), 100.0)
    assert bool(listen(device, 100.0, 103.0)) is comes
    assert not device.illegal


def test_a_gap_is_marked_after_a_freeze() -> None:
    device = up(silence_s="4")
    device.receive(ask_waves(0, 8), 100.0)
    listen(device, 100.0, 103.0)
    device._freeze(103.0)
    said = listen(device, 103.0, 112.0)
    states = [struct.unpack_from("<hH", record.subrecords[0][1])[1] for record in said]
    assert states[:2] == [1, 0]


def test_alarms_are_told_when_they_change() -> None:
    device = up(language="fr")
    device.receive(ask_alarms(2), 100.0)
    said = listen(device, 100.0, 500.0)
    assert said[0].main_type == 4
    assert all(len(data) == 500 for record in said for _, data in record.subrecords)
    lines = [data[place : place + 80] for r in said for _, data in r.subrecords for place in range(10, 500, 98)]
    texts = {line.rstrip(b"\0").decode("latin-1") for line in lines}
    assert {"", "SpO2 élevée", "Capteur SpO2 débranché"} <= texts
    for record in said:
        data = record.subrecords[0][1]
        changed, colour, _ = struct.unpack_from("<hhh", data, 90)
        assert (colour == 0) == (data[10] == 0)
        assert not (changed and colour == 0)
    assert len(said) == len(device.history)
    device.receive(ask_alarms(3), 501.0)
    assert not listen(device, 501.0, 700.0)


def test_an_alarm_status_is_told_once_and_not_by_an_s5() -> None:
    device = up()
    device.receive(ask_alarms(0), 100.0)
    assert len(listen(device, 100.0, 200.0)) == 1
    device = up(model="s5")
    device.receive(ask_alarms(2), 100.0)
    assert not listen(device, 100.0, 200.0)
    assert device.ignored == {"alarms": 1}


@pytest.mark.parametrize(
    "bad",
    [
        b"x",
        DISPLAYED[:-2] + b"\x4a\x7e",
        ask_values(1, 4),
        ask_values(1, -2),
        ask_values(4, 10),
        ask_values(1, 10, 0x10),
        ask_waves(2, 9),
        ask_alarms(1),
        ask(5, bytes(9)),
        ask(8, bytes(9)),
        ask(0, bytes(10)),
        ask(0, struct.pack("<BhIh", 1, 10, 0, 0), b"\0\0\1\0\0\xff"),
        ask(0, struct.pack("<BhIh", 1, 10, 0, 0), b"\0\0\0\0\0\0"),
        b"\x7e\x7d\x31\x7e",
        b"\x7e" + b"0" * 3000,
    ],
)
def test_what_a_box_may_not_say_is_kept(bad: bytes) -> None:
    device = up()
    assert device.receive(bad, 100.0) == b""
    assert device.illegal
    device.receive(b"\x7e\x7e" + DISPLAYED, 101.0)
    assert listen(device, 101.0, 103.0)


def test_flags_that_are_shared_are_noticed() -> None:
    device = up()
    device.receive(DISPLAYED + ask_waves(0, 8)[1:], 100.0)
    assert device.illegal


def test_bytes_one_by_one() -> None:
    device = up()
    for place, byte in enumerate(DISPLAYED + b"\x7e\x7e" + ask_waves(0, 8)):
        device.receive(bytes([byte]), 100.0 + place / 1000)
    assert device.requests == {"displayed": 1, "waves": 1}
    assert not device.illegal


@pytest.mark.parametrize("fault", sorted(GeDri.FAULTS))
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    device = up(1, frozenset({fault}), silence_s="2", fault_rate="0.1")
    heard = b""
    now = 100.0
    for _ in range(300):
        heard += device.receive(ask_values(1, 5) + ask_waves(0, 8), now)
        for step in range(6):
            heard += device.wake(now + 1 + step)
        now += 7.0
    assert device.injected[fault] > 5
    assert set(device.injected) == {fault}
    good = read(heard)
    assert device.sent > 150
    doubles = device.injected["duplicate"]
    # A restart also takes what had not left the line; noise may look like an empty frame.
    lost = 2 * device.injected["garbage"] + device.injected["reboot"] + 1
    assert abs(len(good) - device.sent - doubles) <= lost
    assert not device.illegal
    if fault == "empty_frame":
        assert b"\x7e\x7e\x7e" in heard


def test_a_monitor_that_was_held_must_be_asked_again() -> None:
    device = up()
    device.receive(ask_values(1, 5), 100.0)
    device.faults, device._rate = frozenset({"cts_stop"}), 1.0
    assert not listen(device, 100.0, 120.0)
    assert device.wake_at is None
    device.faults = frozenset()
    device.receive(ask_values(1, 5), 120.0)
    assert listen(device, 120.0, 122.0)


def test_a_wrong_checksum_is_wrong_in_nothing_else() -> None:
    device = up(1, frozenset({"bad_checksum"}), fault_rate="1")
    device.receive(DISPLAYED, 100.0)
    heard = device.wake(101.0)
    assert heard[0] == heard[-1] == 0x7E
    plain = wire.unstuffed(heard[1:-1])
    assert plain is not None
    assert (plain[-1] - sum(plain[:-1])) % 256 == 1
    assert not device.history


def test_its_clock_steps() -> None:
    device = up(1, frozenset({"clock_step"}), fault_rate="0.4", alarm_every_s="0")
    device.receive(ask_values(1, 5), 1.0)
    times = [said.time for said in listen(device, 2.0, 1_000.0)]
    steps = {after - before - 5 for before, after in zip(times, times[1:], strict=False)}
    # Its seconds are whole: one more or less between two records is no step.
    allowed = {0, *CLOCK_STEPS_S}
    assert {step for step in allowed if steps & {step - 1, step, step + 1}} == allowed
    assert steps <= {step + more for step in allowed for more in (-1, 0, 1)}
    assert device.injected["clock_step"] > 50


def test_a_day_passes() -> None:
    device = up()
    device.receive(DISPLAYED + ask_waves(0, 1, 8) + ask_alarms(2), 100.0)
    assert read(device.wake(86_500.0))
    assert len(device.history) < 400
    assert device.wake_at is not None
    assert device.wake_at > 86_499.0


@given(st.binary(max_size=300), st.integers(0, 5))
def test_any_bytes_are_survived(noise: bytes, seed: int) -> None:
    device = up(seed)
    device.receive(noise, 100.0)
    device.receive(b"\x7e\x7e" + ask_values(1, 0), 110.0)
    device.receive(DISPLAYED, 120.0)
    assert read(device.wake(121.0))


def test_the_same_seed_is_the_same_monitor() -> None:
    def run(seed: int) -> list[Said]:
        device = up(seed)
        device.receive(DISPLAYED + ask_waves(0, 1, 8) + ask_alarms(2), 100.0)
        return listen(device, 100.0, 200.0)

    assert run(4) == run(4)
    assert run(4) != run(5)


@pytest.mark.parametrize(
    ("faults", "options"), [({"wrong"}, {}), (set(), {"model": "b999"}), (set(), {"budget": "lots"})]
)
def test_wrong_names_are_refused(faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="ge_dri"):
        GeDri(0, frozenset(faults), options)
