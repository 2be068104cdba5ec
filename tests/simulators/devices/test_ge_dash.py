"""The GE Dash monitor: what was seen byte for byte, datagrams read by hand, faults of a network."""

import ast
import asyncio
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import ge_dash, ge_dash_frames
from simulators.devices import ge_dash_frames as wire
from simulators.devices.catalog import SIMULATORS
from simulators.devices.datagrams import STREAM_FAULTS
from simulators.devices.ge_dash import GeDash
from simulators.devices.reporter import CLOCK_STEPS_S
from simulators.devices.runner import udp_server

REQUEST = (bytes.fromhex("002515FC0000 0000002515E4 00CA 0060 0006 0000 0000 0029") + b"HOME|B-02").ljust(62, b"\0")
WAVES = (b"HOME ALARME:" + bytes.fromhex("00CA 0021 0006 0000 0000 000B") + b"HOME|B-02").ljust(62, b"\0")
NAME = b"ELUARD"
NEVER = float("inf")


def up(seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> GeDash:
    device = GeDash(seed, faults, options)
    device.wake(100.0)
    return device


def listen(device: GeDash, start: float, end: float, ask_s: float = 5.0) -> list[bytes]:
    """All datagrams from `start` to `end`, one request each `ask_s` (0: none)."""
    said, now, ask_at = [], start, start if ask_s else NEVER
    while now <= end:
        if now >= ask_at:
            said.append(device.receive(REQUEST, now))
            ask_at += ask_s
        said.append(device.wake(now))
        due = device.wake_at
        now = max(now, min(ask_at, NEVER if due is None else due))
    return [datagram for datagram in said if datagram]


def header(datagram: bytes) -> tuple[bytes, bytes, int, int, int, str, int]:
    """To, from, function, sub, sequence, place, length."""
    function, sub, version, sequence, response, process = struct.unpack_from(">6H", datagram, 12)
    status, length = struct.unpack_from(">HH", datagram, 56)
    assert (version, response, process, status) == (1, 0, 0, 0)
    place = datagram[24:56].rstrip(b"\0").decode("ascii")
    return datagram[:4], datagram[6:10], function, sub, sequence, place, length


def entries(datagram: bytes) -> dict[int, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Code → values and limits, at the offsets that the page gives."""
    out = {}
    assert datagram[124] == (len(datagram) - 126) / 70
    for start in range(124, len(datagram) - 70, 70):
        assert datagram[start + 2] == 1
        assert datagram[start + 4] == 0xC0
        values = struct.unpack_from(">3h", datagram, start + 6)
        out[datagram[start + 3]] = values, struct.unpack_from(">6h", datagram, start + 32)
    return out


def test_the_parameters_are_616_bytes() -> None:
    device = up(absent_rate="0", alarm_every_s="0", cuff_every_s="10")
    said = listen(device, 120.0, 140.0)
    assert {len(datagram) for datagram in said} == {616}
    ours = bytes([192, 0, 2, 33])
    assert header(said[0]) == (ours, ours, 201, 20, 0, "", 0x022C)
    assert [header(datagram[60:])[4] for datagram in said] == list(range(1, len(said) + 1))
    assert said[0][120:126] == bytes([0, 0, 0, 1, 7, 0])
    found = entries(said[-1])
    assert list(found) == [0x3A, 0x22, 0x2D, 0x18, 0x56, 0x57, 0x58]
    texts = device.history[-1].values
    for code, (values, limits) in found.items():
        for place in range(3):
            key = f"{code:02X}.{place}"
            assert (key in texts) or values[place] == -32768
            if key in texts:
                low, high = limits[2 * place : 2 * place + 2]
                assert (texts[key], texts[f"{key}.low"], texts[f"{key}.high"]) == (
                    str(values[place]), str(low), str(high),
                )  # fmt: skip
    mean, systolic, diastolic = found[0x18][0]
    assert systolic > mean > diastolic
    assert found[0x56] == ((-32768,) * 3, (-20, 20) * 3)
    assert 90 <= found[0x2D][0][0] <= 100


def test_parameters_come_each_two_seconds_while_they_are_asked_for() -> None:
    device = up(stream_s="30")
    assert device.wake(119.0) == b""
    device.receive(REQUEST, 120.0)
    listen(device, 120.0, 200.0, 0)
    times = [reading.at for reading in device.history]
    assert {round(after - before, 6) for before, after in zip(times, times[1:], strict=False)} == {2.0}
    assert 148 < times[-1] <= 150
    assert device.wake_at is None
    device.receive(REQUEST, 300.0)
    assert listen(device, 300.0, 301.0, 0)
    assert device.requests == {"parameters": 2}


def test_curves_may_be_asked_for_and_do_not_come() -> None:
    device = up()
    device.receive(WAVES, 120.0)
    assert listen(device, 120.0, 130.0, 0) == []
    assert device.requests == {"waves": 1}
    assert not device.illegal


def changed(place: int, new: bytes) -> bytes:
    return REQUEST[:place] + new + REQUEST[place + len(new) :]


@pytest.mark.parametrize(
    "bad",
    [
        REQUEST[:60],
        REQUEST + b"\0",
        changed(12, b"\0\xc9"),
        changed(14, b"\0\x23"),
        changed(16, b"\0\x01"),
        changed(18, b"\0\x01"),
        changed(20, b"\0\x01"),
        changed(22, b"\0\x0b"),
        changed(24, bytes(32)),
        changed(24, b"HOME B-02"),
        changed(24, b"HO\0E|B-02"),
        changed(24, b"HOM\xc9|B-02"),
        changed(56, b"\0\x01"),
        changed(59, b"\x01"),
        changed(61, b"\x01"),
        b"\x40" + bytes(12) + b"\xca\0\x23" + bytes(88),
        b"?",
    ],
)
def test_what_is_no_request_gets_no_answer_and_is_kept(bad: bytes) -> None:
    device = up(channel="all")
    device.receive(bad, 120.0)
    assert device.illegal == [bad]
    assert not any(len(datagram) == 616 for datagram in listen(device, 120.0, 130.0, 0))
    assert not device.requests


def test_the_addresses_in_a_request_may_be_anything() -> None:
    assert wire.request_of(b"memory rests" + REQUEST[12:]) == wire.ASK_PARAMETERS
    assert wire.request_of(WAVES) == wire.ASK_WAVES


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", {"SPO2 HIGH", "HR HIGH", "RR LOW", "SPO2 PROBE"}),
        ("fr", {"SPO2 ÉLEVÉE", "FC ÉLEVÉE", "FR BASSE", "CAPTEUR SPO2"}),
    ],
)
def test_alarms(language: str, texts: set[str]) -> None:
    device = up(channel="alarms", language=language)
    said = listen(device, 100.0, 500.0, 0)
    assert {len(datagram) for datagram in said} == {84}
    assert header(said[0])[2:] == (201, 4, 0, "ICU|B-03", 24)
    assert header(said[0])[:2] == (b"\xff" * 4, bytes([192, 0, 2, 33]))
    told = [(datagram[63], datagram[66:80].split(b"\0")[0].decode("latin-1")) for datagram in said]
    assert {text for _, text in told} == texts
    assert {sensor for sensor, _ in told} == {0x2D, 0x3A, 0x22}
    assert [struct.unpack_from(">I", datagram, 80)[0] for datagram in said] == list(range(1, len(said) + 1))
    assert [dict(reading.values) for reading in device.history] == [{f"{sensor:02X}": text} for sensor, text in told]


@pytest.mark.parametrize(("repeat", "least", "most"), [("0", 4, 8), ("2", 24, 70)])
def test_how_often_an_alarm_is_told(repeat: str, least: int, most: int) -> None:
    assert least <= len(listen(up(channel="alarms", alarm_repeat_s=repeat), 100.0, 375.0, 0)) <= most


def test_the_level_of_the_alarms_stands_in_the_parameters() -> None:
    device = up()
    said = listen(device, 100.0, 500.0)
    assert {datagram[121] for datagram in said} == {0, 4, 5, 6, 7}
    assert [str(datagram[121]) for datagram in said] == [reading.values["level"] for reading in device.history]


def test_the_oximeter_has_no_values_while_its_probe_is_off() -> None:
    device = up(channel="all")
    listen(device, 100.0, 500.0)
    off = {reading.at for reading in device.history if "SPO2 PROBE" in reading.values.values()}
    near = [r for r in device.history if r.kind == "parameters" and any(0 < r.at - at < 2 for at in off)]
    assert near
    assert all(reading.values["2D.0"] == reading.values["2D.1"] == "-32768" for reading in near[:3])


def test_discovery() -> None:
    device = up(channel="discovery")
    said = listen(device, 100.0, 161.0, 0)
    assert [len(datagram) for datagram in said] == [88] * 6
    first = said[0]
    assert first[:8] == bytes([1, 4, 0, 0, 192, 0, 2, 33])
    clocks = [struct.unpack_from(">I", datagram, 8)[0] for datagram in said]
    assert [after - clocks[0] for after in clocks] == [0, 10, 20, 30, 40, 50]
    assert first[12:28].rstrip(b"\0") == b"ICU|B-03"
    assert first[28:43].rstrip(b"\0") == b"ELUARD,PAUL"
    assert first[43] == 7
    assert first[44:48] == bytes.fromhex("0003 07D0")


def test_only_discovery_has_the_name_of_the_patient() -> None:
    said = listen(up(channel="all"), 100.0, 400.0)
    assert {len(datagram) for datagram in said} == {84, 88, 616}
    assert {len(datagram) for datagram in said if NAME in datagram} == {88}


@pytest.mark.parametrize("channel", ["alarms", "discovery"])
def test_what_does_not_come_to_the_box_is_not_sent(channel: str) -> None:
    device = up(channel=channel)
    assert not any(len(datagram) == 616 for datagram in listen(device, 100.0, 200.0))
    assert device.requests["parameters"] == 21


def test_more_sensors() -> None:
    said = listen(up(more="yes"), 100.0, 110.0)
    assert {len(datagram) for datagram in said} == {756}
    assert list(entries(said[0]))[-2:] == [0x23, 0x7F]


def test_special_numbers() -> None:
    device = up(absent_as="mixed", absent_rate="1", cuff_every_s="0")
    seen = {value for datagram in listen(device, 100.0, 300.0) for value in entries(datagram)[0x18][0]}
    assert seen == set(range(-32768, -32760))


def test_its_clock_steps() -> None:
    device = up(1, frozenset({"clock_step"}), channel="discovery", fault_rate="0.4")
    clocks = [struct.unpack_from(">I", datagram, 8)[0] for datagram in listen(device, 100.0, 2_000.0, 0)]
    steps = {after - before - 10 for before, after in zip(clocks, clocks[1:], strict=False)}
    assert steps == {0, *CLOCK_STEPS_S}


@pytest.mark.parametrize("fault", sorted(GeDash.FAULTS))
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    device = up(1, frozenset({fault}), channel="all", silence_s="3", fault_rate="0.1")
    said = listen(device, 100.0, 1_000.0)
    assert device.injected[fault] > 5
    assert set(device.injected) == {fault}
    assert device.sent == len(device.history) > 200
    assert {88, 84, 616} <= {len(datagram) for datagram in said}
    assert not device.illegal


def test_faults_of_a_byte_stream_are_left_out() -> None:
    assert not GeDash.FAULTS.keys() & STREAM_FAULTS


def struck(fault: str, count: int) -> list[bytes]:
    device = up()
    device.receive(REQUEST, 100.0)
    device.faults, device._rate = frozenset({fault}), 1.0
    said = listen(device, 100.0, 100.5 + 2 * count, 0)
    assert device.injected[fault] >= 1
    return said


def test_what_a_network_does() -> None:
    plain = listen(up(), 100.0, 104.5, 99)
    assert struck("duplicate", 2)[:4] == [plain[0], plain[0], plain[1], plain[1]]
    assert struck("half_frame", 2)[:2] == [plain[0][:308], plain[1][:308]]
    assert struck("lost_reply", 2) == []
    # The second would overtake the first, but nothing waits two seconds: it comes alone, and late.
    assert struck("swapped", 2)[:2] == plain[:2]


def test_a_datagram_overtakes_another() -> None:
    device = up(1, frozenset({"swapped"}), channel="all", alarm_repeat_s="1", fault_rate="0.5")
    said = [datagram for datagram in listen(device, 100.0, 300.0, 0) if len(datagram) == 84]
    counts = [struct.unpack_from(">I", datagram, 80)[0] for datagram in said]
    assert counts != sorted(counts)
    assert sorted(counts) == list(range(1, len(counts) + 1))


def test_a_restarted_monitor_has_forgotten_the_box() -> None:
    device = up(silence_s="1")
    device.receive(REQUEST, 100.0)
    device.faults, device._rate = frozenset({"reboot"}), 1.0
    assert listen(device, 100.0, 103.0, 0) == []
    device.faults = frozenset()
    assert listen(device, 103.0, 120.0, 0) == []
    said = listen(device, 120.0, 123.0)
    assert header(said[0][60:])[4] == 1


def test_each_call_gives_one_datagram() -> None:
    device = up(channel="all")
    device.receive(REQUEST, 100.0)
    lengths = []
    while (at := device.wake_at) is not None and at <= 190.0:
        lengths.append(len(device.wake(190.0)))
    assert set(lengths) <= {0, 84, 88, 616}


def test_over_a_socket() -> None:
    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as box:
            box.bind(("127.0.0.1", 0))
            box.setblocking(False)
            async with asyncio.timeout(30), udp_server(GeDash(), "127.0.0.1") as running:
                await loop.sock_sendto(box, REQUEST, ("127.0.0.1", running.port))
                return await loop.sock_recv(box, 2_000)

    assert len(asyncio.run(main())) == 616


def test_a_day_passes() -> None:
    device = up(channel="all")
    device.receive(REQUEST, 100.0)
    device.wake(86_500.0)
    for _ in range(20):
        device.wake(86_500.0)
    assert device.wake_at is not None
    assert device.wake_at > 86_500.0


@given(st.binary(min_size=1, max_size=120), st.integers(0, 5))
def test_any_datagram_is_survived(noise: bytes, seed: int) -> None:
    device = up(seed)
    device.receive(noise, 101.0)
    device.receive(REQUEST[: len(noise)] + noise, 101.5)
    assert listen(device, 102.0, 105.0)
    assert len(device.illegal) <= 2


@given(st.integers(0, 61), st.integers(1, 255))
def test_a_request_with_a_wrong_byte_is_none(place: int, flip: int) -> None:
    ask = bytearray(REQUEST)
    ask[place] ^= flip
    is_free = place < 12 or 24 <= place < 56
    assert is_free or wire.request_of(bytes(ask)) is None


def test_the_same_seed_is_the_same_monitor() -> None:
    def run(seed: int) -> list[bytes]:
        return listen(up(seed, frozenset({"flipped_bit"}), channel="all"), 100.0, 200.0)

    assert run(4) == run(4)
    assert run(4) != run(5)


@pytest.mark.parametrize(
    ("faults", "options"),
    [({"two_in_one"}, {}), (set(), {"channel": "waves"}), (set(), {"address": "dash"}), (set(), {"language": "de"})],
)
def test_wrong_names_are_refused(faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="ge_dash"):
        GeDash(0, frozenset(faults), options)


def test_it_is_in_the_catalogue() -> None:
    assert SIMULATORS["ge_dash"] is GeDash


@pytest.mark.parametrize("module", [ge_dash, ge_dash_frames])
def test_it_knows_nothing_of_drivers(module: object) -> None:
    tree = ast.parse(Path(str(getattr(module, "__file__", ""))).read_text(encoding="utf-8"))
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    assert not [name for name in names if name.startswith(("drivers", "gateway"))]
