"""The Mindray monitor that calls the box, the gateway with several beds, the announcement, and a clock that steps."""

import asyncio
import re
from datetime import datetime

import pytest

from simulators.devices import mindray_frames as wire
from simulators.devices.mindray_pds import MindrayPds
from simulators.devices.reporter import CLOCK_STEPS_S
from simulators.devices.runner import tcp_client
from tests.simulators.devices.mindray_talk import ECHO, HEAD, QUERY, asked, bodies, framed, linked, live

BEDS = ("3232237756&0", "3232237757&0", "3232237758&0")


def gateway_query(*lines: tuple[str, str]) -> bytes:
    return framed(HEAD + "".join(f"QRF|MON||||{bed}^1^1^0^{codes}\r" for bed, codes in lines))


def pushed(device: MindrayPds, seconds: int, start: float = 100.0) -> bytes:
    """What comes to a box that says nothing."""
    return b"".join(device.wake(start + second) for second in range(1, seconds + 1))


def test_a_monitor_that_calls_is_not_asked() -> None:
    device = linked(role="client", cuff_every_s="100")
    heard = pushed(device, 60)
    assert len(bodies(heard, "103")) == 1
    assert len(bodies(heard, "204")) == len(bodies(heard, "106")) == len(bodies(heard, "54")) == 60
    assert bodies(heard, "503")
    reading = next(reading for reading in device.history if reading.kind == "204")
    assert {"101", "160", "200", "500"} <= set(reading.values)
    assert not device.is_hung_up
    assert device.timeouts == 0


def test_a_monitor_that_calls_may_be_asked_for_less() -> None:
    device = linked(role="client", alarm_every_s="0")
    device.receive(ECHO + QUERY, 100.5)
    pushed(device, 3)
    reading = [reading for reading in device.history if reading.kind == "204"][-1]
    assert list(reading.values) == ["101", "151", "160", "161", "200"]
    assert device.heard == {"106": 1, "1203": 1}
    assert not device.illegal


def test_a_monitor_that_calls_may_wait_for_a_query() -> None:
    device = linked(role="client", unasked="no")
    assert not bodies(pushed(device, 5), "204")
    device.receive(QUERY, 105.5)
    assert bodies(pushed(device, 5, 105.0), "204")
    assert not device.is_hung_up


def test_a_monitor_that_calls_ends_for_a_wrong_word_and_calls_again() -> None:
    device = linked(role="client")
    bad = framed("MSH|^~\\&|||||||ACK|204|P|2.3.1|\r")
    device.receive(bad, 101.5)
    assert device.is_hung_up
    assert device.illegal == [bad]
    device.disconnected(101.6)
    device.connected(102.0)
    assert bodies(pushed(device, 5, 102.0), "204")
    assert device.hasty == 0


def test_a_box_can_be_called_over_tcp() -> None:
    async def main() -> bytes:
        heard = asyncio.get_running_loop().create_future()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.set_result(await reader.readuntil(b"|204|"))
            writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        async with server, tcp_client(MindrayPds(1, options={"role": "client"}), *server.sockets[0].getsockname()):
            async with asyncio.timeout(30):
                return bytes(await heard)

    assert b"|103|" in asyncio.run(main())


@pytest.mark.parametrize(("unit", "low", "high"), [("celsius", 30, 45), ("fahrenheit", 86, 113)])
def test_temperatures(unit: str, low: float, high: float) -> None:
    device = linked(role="client", temperature=unit, absent_rate="0")
    pushed(device, 10)
    values = [reading.values for reading in device.history if reading.kind == "204"]
    assert values
    assert all(low < float(texts[code]) < high for texts in values for code in ("200", "201"))


def test_an_announcement() -> None:
    device = linked(language="fr")
    said = device.announcement()
    lines = said[1:-2].decode().split("\r")
    assert said[:1] + said[-2:] == b"\x0b\x1c\r"
    assert lines[0] == "MSH|^~\\&|||||||ADT^A01|101|P|2.3.1|"
    assert [line[:3] for line in lines[1:]] == ["EVN", "PID", "PV1", "OBX", "OBX", ""]
    assert lines[2].split("|")[5] == "Éluard^Paul"
    assert lines[3].split("|")[3] == "^^ICU&3&3232237756&4601&&1"
    assert "OBX||ST|2308^BedNoStr||3||||||F" in lines


def test_a_gateway_with_three_beds() -> None:
    device = linked(source="gateway", beds="3", alarm_every_s="0")
    heard = live(device, 100.0, 2)
    assert [re.search(r"PV1\|\|\|\^\^ICU&(\d+)&", text)[1] for text in bodies(heard, "103")] == ["3", "4", "5"]  # type: ignore[index]
    device.receive(gateway_query((BEDS[0], "101&160"), (BEDS[2], "151"), (BEDS[2], "170&171&172")), 102.0)
    snapshots = bodies(live(device, 102.0, 30), "2")
    places = [re.findall(r"PV1\|\|\|\^\^ICU&\d+&(\d+)&4601", text) for text in snapshots]
    assert places == [["3232237756"], ["3232237758"]] * (len(snapshots) // 2)
    assert len(snapshots) >= 58
    seen: dict[str, set[str]] = {}
    for reading in device.history:
        if reading.kind == "2":
            seen.setdefault(reading.bed, set()).update(reading.values)
    assert seen == {BEDS[0]: {"101", "160"}, BEDS[2]: {"151", "170", "171", "172"}}
    assert not device.illegal


def test_each_bed_has_its_own_patient() -> None:
    device = linked(source="gateway", beds="2", alarm_every_s="0", absent_rate="0")
    asked(device, gateway_query((BEDS[0], "101&200"), (BEDS[1], "101&200")), 60)
    own = {bed: [r.values["101"] for r in device.history if r.bed == bed] for bed in BEDS[:2]}
    assert own[BEDS[0]] != own[BEDS[1]]
    names = {text.split("|")[5] for text in bodies(live(linked(source="gateway", beds="2"), 100.0, 1), "103")}
    assert len(names) == 2


def test_a_bed_that_is_not_there_gets_nothing() -> None:
    device = linked(source="gateway", beds="2", alarm_every_s="0")
    heard = asked(device, gateway_query((BEDS[1], "101"), (BEDS[2], "101"), ("0&0", "101")), 5)
    assert device.unanswered_beds == 2
    assert {reading.bed for reading in device.history if reading.kind == "2"} == {BEDS[1]}
    assert bodies(heard, "2")


def test_several_beds_tell_no_alarms() -> None:
    """Nothing in 54 and 56 says whose they are."""
    heard = live(linked(source="gateway", beds="2"), 100.0, 200)
    assert not bodies(heard, "54")
    assert not bodies(heard, "56")
    assert bodies(live(linked(source="gateway"), 100.0, 200), "54")


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d%H%M%S")  # noqa: DTZ007 - a device's clock


def test_its_clock_steps() -> None:
    device = linked(1, frozenset({"clock_step"}), source="gateway", fault_rate="0.3", alarm_every_s="0")
    heard = asked(device, gateway_query((BEDS[0], "101")), 200)
    times = [moment(text) for text in re.findall(r"OBR\|{7}(\d{14})\|", "".join(bodies(heard, "2")))]
    steps = {(after - before).total_seconds() - 1 for before, after in zip(times, times[1:], strict=False)}
    assert steps == {0, *CLOCK_STEPS_S}
    assert device.injected["clock_step"] > 20


def test_what_was_measured_before_a_step_keeps_its_time() -> None:
    device = linked(1, frozenset({"clock_step"}), cuff_every_s="1000", cuff_repeat_s="10", fault_rate="0")
    asked(device, seconds=120)
    device._rate = 1.0
    live(device, 222.0, 60)
    told = {reading.measured for reading in device.history if reading.kind == "503"} - {wire.NO_TIME}
    assert told == {"20260101080140"}


@pytest.mark.parametrize(
    "options", [{"role": "both"}, {"beds": "2"}, {"beds": "0", "source": "gateway"}, {"temperature": "C"}]
)
def test_wrong_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="mindray_pds"):
        MindrayPds(0, frozenset(), options)


def test_the_same_seed_is_the_same_gateway() -> None:
    def run(seed: int) -> bytes:
        device = MindrayPds(seed, options={"source": "gateway", "beds": "3"})
        device.disconnected(0.0)
        device.connected(100.0)
        return asked(device, gateway_query(*((bed, "101&200") for bed in BEDS)), 30)

    assert run(4) == run(4)
    assert run(4) != run(5)
