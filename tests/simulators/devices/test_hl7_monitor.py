"""The HL7 gateway simulator: MLLP blocks, three dialects, acknowledgements, each bad habit, the clock by hand."""

import re

import pytest

from simulators.devices.hl7_monitor import Hl7Monitor, wrapped
from tests.simulators.devices.monitor_talk import ack

KEYS = ["HR", "SpO2", "PR", "RR", "T", "NBPs", "NBPd", "NBPm"]
CODES = ["147842", "150456", "149530", "151562", "150344", "150021", "150022", "150023"]


def on(faults: frozenset[str] = frozenset(), **options: str) -> Hl7Monitor:
    device = Hl7Monitor(1, faults, {"episode": "steady", "heartbeat_s": "0"} | options)
    device.wake(0.0)
    return device


def listen(device: Hl7Monitor, start: int, end: int, is_acked: bool = True) -> bytes:
    said = b""
    for second in range(start, end):
        heard = device.wake(float(second))
        said += heard + (device.receive(ack(heard), float(second)) if is_acked and heard else b"")
    return said


def messages(said: bytes, end: str = "\r", encoding: str = "utf-8") -> list[list[list[str]]]:
    """Message → segment → field."""
    blocks = re.findall(rb"\x0b([^\x0b\x1c]*)\x1c\r", said)
    assert b"".join(b"\x0b" + block + b"\x1c\r" for block in blocks) == said
    return [[segment.split("|") for segment in block.decode(encoding).split(end) if segment] for block in blocks]


def results(message: list[list[str]]) -> dict[str, list[str]]:
    """Key → OBX."""
    return {segment[3].split("^")[0]: segment for segment in message if segment[0] == "OBX"}


def test_a_block_has_its_marks() -> None:
    assert wrapped("MSH|^~\\&|\r") == b"\x0bMSH|^~\\&|\r\x1c\r"
    assert wrapped("é", "latin-1") == b"\x0b\xe9\x1c\r"


def test_the_english_dialect() -> None:
    device = on()
    message = messages(listen(device, 0, 3))[0]
    assert [segment[0] for segment in message] == ["MSH", "PID", "PV1", "OBR"] + ["OBX"] * 8
    head = message[0]
    assert head[:2] == ["MSH", "^~\\&"]
    assert (head[6], head[8], head[10], head[11], head[17]) == (
        "20261124143016", "ORU^R01", "P", "2.4", "UNICODE UTF-8",
    )  # fmt: skip
    found = results(message)
    assert list(found) == KEYS
    assert {key: obx[5] for key, obx in found.items()} == dict(device.history[0].values)
    assert [obx[6] for obx in found.values()] == ["/min", "%", "/min", "/min", "Cel", "mmHg", "mmHg", "mmHg"]
    assert {(obx[2], obx[11]) for obx in found.values()} == {("NM", "F")}
    assert device.history[0].kind == head[9]


def test_the_mdc_dialect() -> None:
    message = messages(listen(on(dialect="mdc"), 0, 3))[0]
    found = results(message)
    assert message[0][11] == "2.6"
    assert list(found) == CODES
    assert found["150456"][3] == "150456^MDC_PULS_OXIM_SAT_O2^MDC"
    assert found["150456"][6] == "262688^MDC_DIM_PERCENT^MDC"
    assert {obx[11] for obx in found.values()} == {"R"}
    assert all(obx[14].endswith("+0100") for obx in found.values())


@pytest.mark.parametrize(
    ("charset", "encoding", "said"),
    [("utf-8", "utf-8", "UNICODE UTF-8"), ("latin-1", "latin-1", "8859/1"), ("unsaid", "latin-1", "")],
)
def test_the_french_dialect(charset: str, encoding: str, said: str) -> None:
    message = messages(listen(on(dialect="french", charset=charset), 0, 3), encoding=encoding)[0]
    found = results(message)
    assert (message[0] + [""] * 6)[17] == said
    assert found["HR"][3] == "HR^Fréquence cardiaque^99GATE"
    assert found["T"][6] == "°C"
    assert found["T"][2] == "ST"
    assert re.fullmatch(r"3\d,\d", found["T"][5])
    assert "\\T\\" in message[1][5]


@pytest.mark.parametrize(
    ("dialect", "text", "status", "kind"),
    [("english", "---", "F", "ST"), ("mdc", "", "X", "NM"), ("french", '""', "X", "NM")],
)
def test_absence_has_three_faces(dialect: str, text: str, status: str, kind: str) -> None:
    found = results(messages(listen(on(dialect=dialect, episode="sensor_off"), 0, 3))[0])
    for number in (1, 2):
        obx = list(found.values())[number]
        assert (obx[5], obx[11], obx[2]) == (text, status, kind)
    assert list(found.values())[0][5].isdigit()


@pytest.mark.parametrize(
    ("dialect", "episode", "key", "flag", "text"),
    [
        ("english", "desaturation", "SpO2", "L", "** SpO2 LOW"),
        ("english", "fast_pulse", "HR", "H", "** PULSE HIGH"),
        ("english", "sensor_off", "SpO2", "", "SpO2 SENSOR OFF"),
        ("french", "slow_pulse", "PR", "L", "** Pouls bas"),
        ("french", "no_sensor", "SpO2", "", "Pas de capteur SpO2 \\T\\ câble"),
        ("mdc", "desaturation", "150456", "L", ""),
    ],
)
def test_alarms(dialect: str, episode: str, key: str, flag: str, text: str) -> None:
    found = results(messages(listen(on(dialect=dialect, episode=episode), 0, 3))[0])
    assert found[key][8] == flag
    alarm = found.get("ALARM") or found.get("ALARME")
    assert (alarm[5] if alarm else "") == text


@pytest.mark.parametrize(("name", "end"), [("cr", "\r"), ("lf", "\n"), ("crlf", "\r\n")])
@pytest.mark.parametrize("last", ["yes", "no"])
def test_line_ends(name: str, end: str, last: str) -> None:
    said = listen(on(line_end=name, last_end=last), 0, 3)
    assert len(messages(said, end)[0]) == 12
    body = said[1:-2].decode("utf-8")
    assert body.count("\r") == body.count(end) * end.count("\r")
    assert body.endswith(end) == (last == "yes")


def test_several_messages_in_a_write() -> None:
    device = on(batch="4")
    first = device.wake(1.0)
    said = messages(first)
    assert len(said) == 4
    assert len({message[0][9] for message in said}) == 4
    assert [message[2][3] for message in said] == [f"ICU^^BED {number}" for number in (1, 2, 3, 4)]
    device.receive(ack(first), 1.1)
    assert device.acks == 4
    assert len(messages(device.wake(6.0))) == 4


def test_nothing_new_is_said_before_all_is_acknowledged() -> None:
    device = on(batch="2", ack_s="20")
    first = device.wake(1.0)
    device.receive(ack(first)[: len(ack(first)) // 2], 1.5)
    assert device.acks == 1
    assert listen(device, 2, 20) == b""
    assert device.waited == 3
    assert device.wake(21.0) == first
    device.receive(ack(first), 21.5)
    assert len(messages(device.wake(26.0))) == 2
    assert device.resends == 1


def test_it_gives_up_after_three_tries() -> None:
    device = on(ack_s="3")
    said = messages(listen(device, 0, 16, is_acked=False))
    ids = [message[0][9] for message in said]
    assert ids == [ids[0]] * 3 + [ids[3]] * 2
    assert device.given_up == 1


def test_it_may_not_wait_at_all() -> None:
    assert len(messages(listen(on(ack_s="0"), 0, 60, is_acked=False))) == 12


def test_a_new_connection_hears_again_what_was_not_acknowledged() -> None:
    device = on()
    first = device.wake(1.0)
    device.disconnected(1.5)
    assert listen(device, 2, 5) == b""
    device.connected(5.0)
    assert device.wake(5.2) == first
    device.receive(ack(first), 5.3)
    assert device.acks == 1


def test_heartbeats_carry_no_result() -> None:
    device = on(heartbeat_s="7", period_s="100")
    said = messages(listen(device, 0, 50))
    assert sum(len(message) == 1 for message in said) == 7 == device.heartbeats
    assert device.sent == 1


def test_the_cuff_repeats_its_last_measurement_with_its_time() -> None:
    said = messages(listen(on(), 0, 650))
    times = [results(message)["NBPs"][14] for message in said]
    assert sorted(set(times)) == ["20261124143015", "20261124143515", "20261124144015"]
    assert results(said[10])["HR"][14] == "20261124143106"


@pytest.mark.parametrize("code", ["AE", "AR", "CE"])
def test_a_refusal_is_counted(code: str) -> None:
    device = on()
    said = device.wake(1.0)
    device.receive(ack(said).replace(b"MSA|AA", b"MSA|" + code.encode()), 1.1)
    assert (device.acks, device.refused, device.illegal) == (0, 1, [])


@pytest.mark.parametrize(
    "bad",
    [
        b"hello",
        wrapped("MSH|^~\\&|BOX||||||QRY^R02|1203|P|2.3.1\r"),
        wrapped("MSH|^~\\&|BOX||||||ORU^R01|106|P|2.3.1|\r"),
        wrapped("MSH|^~\\&|BOX||||||ACK^R01|A1|P|2.4\rMSA|AA|9999\r"),
        wrapped("MSH|^~\\&|BOX||||||ACK^R01|A1|P|2.4\rMSA|XX|0010000001\r"),
        wrapped("MSH|^~\\&|BOX||||||ACK^R01|A1|P|2.4\r"),
        b"\x0b" + b"x" * 5000,
    ],
)
def test_anything_but_an_acknowledgement_is_kept(bad: bytes) -> None:
    device = on()
    first = device.wake(1.0)
    assert messages(first)[0][0][9] == "0010000001"
    device.receive(bad, 1.1)
    assert len(device.illegal) == 1
    device.receive(ack(first), 1.2)
    assert device.acks == 1


def test_an_acknowledgement_in_pieces() -> None:
    device = on()
    for byte in ack(device.wake(1.0)):
        device.receive(bytes([byte]), 1.1)
    assert (device.acks, device.illegal) == (1, [])


def test_after_a_fault_an_unknown_id_is_only_counted() -> None:
    device = on(frozenset({"flipped_bit"}), fault_rate="1")
    device.wake(1.0)
    device.receive(wrapped("MSH|^~\\&|BOX||||||ACK^R01|A1|P|2.4\rMSA|AE|1010000001\r"), 1.1)
    assert (device.unknown_acks, device.illegal) == (1, [])


def test_clock_steps() -> None:
    device = on(frozenset({"clock_step"}), fault_rate="0.2")
    days = {message[0][6][:8] for message in messages(listen(device, 0, 300))}
    assert len(days) > 1


@pytest.mark.parametrize("batch", ["0", "21"])
def test_wrong_options(batch: str) -> None:
    with pytest.raises(ValueError, match="batch"):
        on(batch=batch)
