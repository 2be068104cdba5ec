"""The pump rack: vectors of the BCC pages, and dialogues with the clock turned by hand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices.bbraun_bcc import BbraunBcc, Pump, frame, stuffed, unstuffed

ALIVE = frame("1", "ADMIN:ALIVE")
GET = frame("SpaceCOM", "MEM:GET")
ACK, NAK = b"\x06", b"\x15"
QUAD_VECTOR = (
    "300,50111,GNMODEL,688K030006\x1e300,50111,INRT,5.00\x1e300,50111,INVI,12.5\x1e300,50111,INM3,1"
    "\x1e300,50111,INA3,0\x1e300,50111,INSOL,_NV"
)


def up(seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> tuple[BbraunBcc, float]:
    """A rack that knows the box, and the time."""
    device = BbraunBcc(seed, faults, options)
    device.wake(100.0)
    request = stuffed(ALIVE) if options.get("stuffing") == "yes" else ALIVE
    answer = ask(device, request, 100.1)
    assert b",50100,GNACK,0\x03" in answer or options.get("stuffing") == "yes"
    device.receive(ACK, 100.4)
    return device, 101.0


def ask(device: BbraunBcc, request: bytes, now: float) -> bytes:
    return device.receive(request, now) + device.wake(now + 0.1)


def collect(device: BbraunBcc, now: float) -> list[bytes]:
    """A whole MEM:GET with its ACKs."""
    blocks = [ask(device, GET, now)]
    while blocks[-1][-7:-6] == b"\x17":
        now += 0.25
        blocks.append(ask(device, ACK, now))
    device.receive(ACK, now + 0.25)
    return blocks


def quads(block: bytes) -> dict[str, str]:
    whole = re.fullmatch(rb"\x01(\d{5})\x02SpaceCOM/1/1>(.+)[\x03\x17](\d{5})\x04", block, re.DOTALL)
    assert whole
    assert int(whole[1]) == len(block)
    assert int(whole[3]) == sum(block[:-6]) % 256
    out = {}
    for quad in whole[2].decode("utf-8").split("\x1e"):
        _, address, name, value = quad.split(",")
        out["address"], out[name] = address, value
    return out


@pytest.mark.parametrize(
    ("bed", "information", "length", "check"),
    [
        ("1", "ADMIN:ALIVE", b"00031", b"00061"),
        ("SpaceCOM", "ADMIN:VERSION", b"00040", b"00140"),
        ("SpaceCOM", "207,50100,V3.30", b"00042", b"00198"),
        ("SpaceCOM", "MEM:GET", b"00034", b"00191"),
        ("SpaceCOM", "206,50100,GNACK,0", b"00044", b"00109"),
        ("SpaceCOM", "MEM:GETSLOT#13", b"00041", b"00134"),
        ("SpaceCOM", "624,50100,GNACK,0", b"00044", b"00113"),
        ("SpaceCOM", "626,50100,V3.30", b"00042", b"00203"),
        ("SpaceCOM", QUAD_VECTOR, b"00149", b"00228"),
    ],
)
def test_vectors(bed: str, information: str, length: bytes, check: bytes) -> None:
    whole = frame(bed, information)
    assert whole[1:6] == length
    assert len(whole) == int(length)
    assert whole[-6:] == check + b"\x04"


def test_stuffing_vectors() -> None:
    assert b"1/1/1>AEXMIN:ALIVEE\x03" in stuffed(ALIVE)
    vector = stuffed(frame("SpaceCOM", QUAD_VECTOR))
    assert vector[7:].startswith(b"SpaceeCOM/1/1>")
    assert b"GNMOEXEEL" in vector
    assert unstuffed(b"EEX") == b"EX"
    assert unstuffed(b"E") is unstuffed(b"EA") is unstuffed(b"D") is None


@given(st.binary(max_size=60))
def test_stuffing_is_undone(data: bytes) -> None:
    assert unstuffed(stuffed(data)) == data
    assert not set(stuffed(data)) & set(b"Dd")


def test_alive_comes_first_and_gives_the_bed() -> None:
    device = BbraunBcc(options={"bed_id": "Bed7"})
    device.wake(0.0)
    assert b"50100,GNERR," in ask(device, frame("Bed7", "MEM:GET"), 1.0)
    assert device.premature == 1
    assert ask(device, ALIVE, 206.0) == frame("Bed7", "206,50100,GNACK,0")
    assert ask(device, frame("Bed7", "ADMIN:VERSION"), 207.0) == frame("Bed7", "207,50100,V3.30")
    assert not device.illegal
    assert b"GNERR" in ask(device, GET, 208.0)
    assert device.illegal == [GET]


def test_one_block_for_each_pump() -> None:
    device, now = up(pumps="24")
    blocks = collect(device, now)
    assert len(blocks) == 24
    assert [block[-7] for block in blocks] == [0x17] * 23 + [0x03]
    addresses = [quads(block)["address"] for block in blocks]
    assert addresses == [f"5011{slot}" for slot in "123456789ABCDEFGHIJKLMNO"]
    assert [kept.address for kept in device.history] == addresses
    assert dict(device.history[4].values) | {"address": "50115"} == quads(blocks[4])
    assert device.sent == 24
    assert not device.hasty
    assert not device.unexpected


def test_a_pump_says_what_the_page_lists() -> None:
    device, now = up(pumps="1")
    values = quads(collect(device, now)[0])
    assert values["GNMODEL"] == "688K030006"
    assert values["DSSTATUS"] == "00051"
    assert values["INM3"] == "1"
    assert values["RUNSTATE"] == "2"
    assert values["INDORT"] == "_NV"
    assert float(values["INRT"]) > 0
    assert "PATID" not in values
    device, now = up(pumps="1", version="3.36", patient="yes")
    values = quads(collect(device, now)[0])
    assert values["INDORT"] == "_NA"
    assert values["PATID"]


def test_a_block_waits_for_its_ack() -> None:
    device, now = up()
    first = ask(device, GET, now)
    assert device.wake(now + 60) == b""
    assert ask(device, NAK, now + 61) == first
    assert ask(device, NAK, now + 62) == first
    second = ask(device, ACK, now + 63)
    assert quads(second)["address"] == "50112"
    assert quads(ask(device, GET, now + 64))["address"] == "50111"  # no ACK: again from the first pump
    assert (device.resends, device.restarts) == (2, 1)
    assert len(collect(device, now + 65)) == 3
    device.receive(ACK, now + 70)
    assert device.unexpected == 1
    assert not device.illegal


def test_getslot() -> None:
    device, now = up(pumps="14")
    block = ask(device, frame("SpaceCOM", "MEM:GETSLOT#1D"), now)
    assert quads(block)["address"] == "5011D"
    assert block[-7] == 0x03
    device.receive(ACK, now + 0.3)
    assert b"GNERR" in ask(device, frame("SpaceCOM", "MEM:GETSLOT#1O"), now + 1)
    assert not device.illegal


@pytest.mark.parametrize(("wait", "is_hasty"), [(0.05, True), (0.2, False)])
def test_an_early_ack_is_noticed(wait: float, is_hasty: bool) -> None:
    device, now = up()
    assert device.receive(GET, now) == b""
    left = device.wake_at
    assert left is not None
    assert device.wake(left)
    device.receive(ACK, left + wait)
    assert bool(device.hasty) is is_hasty


def test_an_early_mem_get_is_noticed() -> None:
    device, now = up(pumps="1")
    collect(device, now)
    device.receive(GET, now + 0.4)
    assert device.hasty == [GET]
    device.receive(GET, now + 2)
    assert device.hasty == [GET]


@pytest.mark.parametrize("stuffing", ["yes", "no"])
def test_both_directions_are_stuffed(stuffing: str) -> None:
    device, now = up(stuffing=stuffing, pumps="2")
    request = frame("SpaceCOM", "MEM:GET")
    said = ask(device, stuffed(request) if stuffing == "yes" else request, now)
    whole = unstuffed(said) if stuffing == "yes" else said
    assert whole is not None
    assert quads(whole)["GNMODEL"] == "688K030006"
    assert (b"GNMOEXEEL" in said) == (stuffing == "yes")
    assert not device.illegal
    ask(device, request if stuffing == "yes" else stuffed(request), now + 2)
    assert device.illegal


@pytest.mark.parametrize(
    "bad",
    [
        b"x",
        GET[:-3] + b"0\x04",
        GET.replace(b"00034", b"00035"),
        frame("SpaceCOM", "MEM:SET"),
        frame("SpaceCOM", "MEM:GETSLOT#4Z"),
        frame("Other", "MEM:GET"),
        frame("SpaceCOM", "ADMIN:ALIVE"),
        frame("SpaceCOM", "MEM:GET", is_last=False),
        b"\x01" + b"0" * 300,
        b"\x0100034" + GET,
    ],
)
def test_what_a_box_may_not_say_is_kept(bad: bytes) -> None:
    device, now = up()
    device.receive(bad, now)
    assert device.illegal


def test_an_infusion_takes_its_course() -> None:
    device, now = up(pumps="1", cycle_s="600")
    seen = set()
    volumes = []
    for tick in range(0, 2400, 5):
        device.receive(GET, now + tick)
        device.wake(now + tick + 0.2)
        device.receive(ACK, now + tick + 0.4)
        values = device.history[-1].values
        volumes.append(float(values["INVI"]) if values["INVI"] != "_NV" else None)
        seen |= {name for name, value in values.items() if value == "1"}
        seen |= {f"RUNSTATE {values['RUNSTATE']}", f"DSSTATUS {values['DSSTATUS']}"}
        assert int(values["INRMT"]) <= 65535 if values["INRMT"] != "_NV" else True
        if values["INM3"] == "0" and values["DSSTATUS"] == "00050":
            assert values["INRT"] == "_NV"
    assert {"INM1", "INM3", "INM6", "INM8", "INM10", "INA7", "INA12", "INA16", "DSSTATUS 00050"} <= seen
    assert seen & {"INA3", "INA15", "INA14", "INA9", "INA1"}
    assert {"RUNSTATE 2", "RUNSTATE 1", "RUNSTATE 5", "RUNSTATE 10", "RUNSTATE 34"} <= seen
    rises = [b - a for a, b in zip(volumes, volumes[1:], strict=False) if a is not None and b is not None]
    assert sum(rise < 0 for rise in rises) <= 4  # only a new syringe begins at zero
    assert device.sent == 480


def test_the_volume_never_falls_within_a_syringe() -> None:
    pump = Pump(3, 0, 0.0, 600.0)
    last = 0.0
    for tick in range(0, 5100):
        state = pump.at(tick / 10)
        assert state.infused_ml >= last - 1e-9
        last = state.infused_ml


def test_a_pump_may_leave_the_rack() -> None:
    device, now = up(pumps="4", unplug_every_s="60")
    counts = []
    for minute in range(1, 10):
        counts += [len(collect(device, now + minute * 60)), len(collect(device, now + minute * 60 + 40))]
    assert counts == [3, 4] * 9


def test_a_new_connection_needs_alive_again() -> None:
    device, now = up()
    device.disconnected(now)
    device.connected(now + 1)
    assert b"GNERR" in ask(device, GET, now + 2)
    assert device.premature == 1


@pytest.mark.parametrize("fault", sorted(BbraunBcc.FAULTS))
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    device, now = up(pumps="3", silence_s="4")
    device.faults = frozenset({fault})
    device._rate = 0.2
    heard = bytearray()
    for second in range(3000):
        at = now + second * 2.0
        said = device.receive(GET, at) + device.wake(at + 0.5)
        for step in range(2):
            if said[-7:-6] == b"\x17":
                said = device.receive(ACK, at + 0.7 + step / 2) + device.wake(at + 1.1 + step / 2)
            heard += said
        if b"GNERR" in said:
            device.receive(ALIVE, at + 1.9)
    assert device.injected[fault] > 5
    assert set(device.injected) == {fault}
    assert device.sent > 200
    assert len(device.history) == min(device.sent, 10_000)
    assert not device.illegal


@pytest.mark.parametrize(("fault", "sound"), [("bad_checksum", False), ("flipped_bit", False), ("duplicate", True)])
def test_a_struck_block_is_told_from_a_good_one(fault: str, sound: bool) -> None:
    device, now = up(pumps="1", fault_rate="1")
    device.faults = frozenset({fault})
    said = ask(device, GET, now)
    assert bool(device.history) is sound
    if fault == "bad_checksum":
        assert sum(said[:-6]) % 256 != int(said[-6:-1])
        assert re.fullmatch(rb"\d{5}", said[-6:-1])


def test_a_restarted_comdevice_has_forgotten_the_box() -> None:
    device, now = up(fault_rate="1", silence_s="4")
    device.faults = frozenset({"reboot"})
    assert ask(device, GET, now) == b""
    device.faults = frozenset()
    assert b"GNERR" in ask(device, GET, now + 10)
    answer = re.search(rb">(\d+),50100,GNACK", ask(device, ALIVE, now + 10.5))
    assert answer
    assert int(answer[1]) == 10  # its clock began again


def test_a_day_passes() -> None:
    device, now = up(unplug_every_s="100")
    assert len(collect(device, now + 86_450)) == 3
    assert len(device.history) == 3
    assert device.wake_at is None


@given(st.binary(max_size=300), st.integers(0, 5))
def test_any_bytes_are_survived(noise: bytes, seed: int) -> None:
    device, now = up(seed)
    device.receive(noise, now)
    device.wake(now + 10)
    assert len(collect(device, now + 20)) == 3


def test_the_same_seed_is_the_same_device() -> None:
    def run(seed: int) -> bytes:
        device, now = up(seed)
        return b"".join(b"".join(collect(device, now + minute * 60)) for minute in range(10))

    assert run(4) == run(4)
    assert run(4) != run(5)


@pytest.mark.parametrize(
    ("faults", "options"),
    [
        ({"wrong"}, {}),
        (set(), {"pumps": "25"}),
        (set(), {"pumps": "0"}),
        (set(), {"stuffing": "on"}),
        (set(), {"bed_id": "a/b"}),
        (set(), {"version": "new"}),
    ],
)
def test_wrong_names_are_refused(faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="bbraun_bcc"):
        BbraunBcc(0, frozenset(faults), options)
