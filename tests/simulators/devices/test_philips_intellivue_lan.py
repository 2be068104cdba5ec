"""The IntelliVue monitor on a network: one message a datagram, its beacon, requests taken apart, its clock."""

import struct
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import intellivue_frames as wire
from simulators.devices.datagrams import STREAM_FAULTS
from simulators.devices.philips_intellivue import PhilipsIntellivue
from simulators.devices.reporter import CLOCK_STEPS_S
from tests.simulators.devices import intellivue_talk as talk
from tests.simulators.devices.intellivue_talk import Box, known, one, poll, reply

STREAM_ONLY = sorted(STREAM_FAULTS | {"aborted_frame"})
DATAGRAM = sorted(PhilipsIntellivue.FAULTS.keys() - set(STREAM_ONLY))
WITH_OBJECTS = bytes.fromhex(
    "80000000 40000000 00000000 80000000 20000000 0000 0000 0002 0064 0001 0028 80000000 00000FA0 000005B0 000005B0"
    "FFFFFFFF 60000000 0001 000C F001 0008 8E000000 00000000 0102 0034 0006 0030 0001002100000001 00010006000000C9"
    "000100090000003C 0001000500000010 0001002A00000001 0001003600000001"
)
"""User data of a client that also says how many objects it takes."""


class Network:
    """Datagrams to and from a monitor, the clock by hand."""

    def __init__(self, seed: int = 1, faults: frozenset[str] = frozenset(), **options: str) -> None:
        self.device = PhilipsIntellivue(seed, faults, {"transport": "lan"} | options)
        self.now = 100.0
        self.device.wake(self.now)

    def say(self, payload: bytes, wait_s: float = 0.5) -> list[bytes]:
        """Datagrams that come within `wait_s`."""
        return [data for data in (self.device.receive(payload, self.now), *self.listen(wait_s)) if data]

    def listen(self, wait_s: float) -> list[bytes]:
        """Let time pass; a call gives at most one datagram and says when the next is due."""
        out = []
        end = self.now + wait_s
        while (at := self.device.wake_at) is not None and at <= end:
            self.now = max(self.now, at)
            out.append(self.device.wake(self.now))
        self.now = end
        return [data for data in out if data]

    def associate(self, ask: bytes = b"") -> list[bytes]:
        said = self.say(ask or talk.request())
        for data in said:
            if data[24:26] == b"\x0d\x06" and len(data) > 28:
                self.say(talk.confirm(data))
        return said


def with_user(user: bytes) -> bytes:
    """A request with other user data, its length in the long form."""
    body = talk.REQUEST_HEAD + b"\x82" + len(user).to_bytes(2, "big") + user + bytes(16)
    inside = bytes.fromhex("05 08 13 01 00 16 01 02 80 00 14 02 00 02 C1 FF") + len(body).to_bytes(2, "big") + body
    return b"\x0d\xff" + len(inside).to_bytes(2, "big") + inside


def test_a_dialogue() -> None:
    network = Network()
    accepted, created = network.associate()
    assert accepted[0] == 0x0E
    assert created[:4] == wire.SESSION
    assert network.device.is_known
    network.say(poll(talk.NUMERICS, 600))
    network.say(poll(talk.CURVES, 600))
    said = [reply(data) for data in network.listen(4.0)]
    assert {part.kind for part in said} == {talk.NUMERICS, talk.CURVES}
    assert len(said) > 15
    assert network.say(talk.RELEASE) and network.device.terms is None  # noqa: PT018 - one thing
    assert not network.device.illegal


def test_no_frame_is_understood_on_a_network() -> None:
    network = Network()
    assert network.say(talk.frame(talk.request())) == []
    assert network.device.illegal == [talk.frame(talk.request())]


def test_linked_results_are_datagrams_too() -> None:
    network = Network(linked="always")
    network.associate()
    said = [reply(data).link for data in network.say(poll(talk.NUMERICS))]
    assert said[0] == (1, 1)
    assert said[-2:] == [(3, len(said) - 1), None]


def test_what_comes_over_a_line_comes_over_a_network() -> None:
    network, box = Network(4), known(4)
    network.associate()
    for kind in (talk.NUMERICS, talk.ENUMERATIONS, talk.ALARMS, talk.MDS, talk.PATIENT):
        ours, theirs = reply(network.say(poll(kind))[0]), one(box, kind)
        assert ours.objects.keys() == theirs.objects.keys()


@pytest.mark.parametrize("after", ["asked", "silence"])
def test_one_master_at_a_time(after: str) -> None:
    network = Network()
    network.associate()
    if after == "silence":
        assert network.listen(11.0) == [wire.ABORTION]
    assert (network.associate()[0] == wire.REFUSAL) is (after == "asked")
    assert network.device.refused == (after == "asked")
    assert network.device.is_known


@pytest.mark.parametrize(
    "ask",
    [
        talk.request(0x9C4, 2500, 0x8C000000),
        talk.request(0xFA0, 1456, 0x88000000),
        with_user(WITH_OBJECTS),
        with_user(WITH_OBJECTS.replace(bytes.fromhex("20000000"), bytes.fromhex("80000000"), 1)),
    ],
)
def test_requests_of_known_clients_are_accepted(ask: bytes) -> None:
    network = Network()
    assert network.associate(ask)[0][0] == 0x0E
    assert not network.device.illegal


def changed(old: str, new: str, ask: bytes = with_user(WITH_OBJECTS)) -> bytes:
    """The request with the last place of something changed."""
    head, found, tail = ask.rpartition(bytes.fromhex(old))
    assert found
    return head + bytes.fromhex(new) + tail


BAD_REQUESTS = {
    "session": changed("05 08 13", "05 08 14"),
    "length": changed("0D FF", "0D FE"),
    "presentation": changed("52 01 00 01", "52 01 00 02"),
    "trailer": talk.request()[:-1] + b"\x01",
    "short": talk.request()[:-1],
    "long": talk.request() + b"\0",
    "version": changed("8000000040000000", "4000000040000000"),
    "nomenclature": changed("8000000040000000", "8000000080000000"),
    "units": changed("00000000800000002000", "00000001800000002000"),
    "system": changed("8000000020000000", "0080000020000000"),
    "start": changed("8000000020000000", "8000000010000000"),
    "count": changed("0000 0000 0002 0064", "0000 0000 0003 0064"),
    "size": changed("0002 0064", "0002 0065"),
    "option": changed("0000 0000 0002 0064", "0001 0000 0002 0064"),
    "profile": changed("0001 0028 80000000", "0003 0028 80000000"),
    "revision": changed("0028 80000000", "0028 40000000"),
    "mtu": changed("000005B0 000005B0", "00000000 000005B0"),
    "bits": changed("60000000", "20000000"),
    "package": changed("0001 000C F001", "0001 000C F002"),
    "extension": changed("8E000000 00000000", "8E000000 00000001"),
    "objects": changed("0006 0030", "0005 0030"),
    "object size": changed("0102 0034 0006 0030", "0102 0034 0006 0031"),
}


@pytest.mark.parametrize("field", BAD_REQUESTS)
def test_each_malformed_field_is_refused_and_noticed(field: str) -> None:
    network = Network()
    assert network.say(BAD_REQUESTS[field]) == [wire.REFUSAL]
    assert network.device.illegal == [BAD_REQUESTS[field]]
    assert network.device.terms is None
    assert network.associate()[0][0] == 0x0E


def test_the_terms_are_those_that_were_asked_for() -> None:
    network = Network(profile="8C000000", min_poll_ticks="8000")
    network.associate(with_user(WITH_OBJECTS))
    assert network.device.terms == wire.Terms(8000, 1364, 1364, 0x8C000000)


def test_the_beacon() -> None:
    network = Network(7, language="fr", address="198.51.100.9", bed="Réa 2")
    said = network.device.beacon(network.now)
    # As a captured one begins: nomenclature 1.0, an event report of the single bed, and 0D17.
    assert said[:8] == bytes.fromhex("00000100 0001") + (len(said) - 8).to_bytes(2, "big")
    assert said[8:14] == bytes.fromhex("0000 0000") + (len(said) - 14).to_bytes(2, "big")
    assert said[14:20] == bytes.fromhex("0023 0000 0000")
    assert said[20:24] == (1000 * 8000).to_bytes(4, "big")
    assert said[24:28] == b"\x0d\x17" + (len(said) - 28).to_bytes(2, "big")
    count, size = struct.unpack_from(">HH", said, 28)
    assert size == len(said) - 32
    found = talk.attributes(said[32:], count)
    assert found[0x0986] == bytes.fromhex("0001 114D")
    assert found[0x0937] == bytes.fromhex("06080608 0003 000B")
    assert found[0xF135].decode("utf-16-be").rstrip("\0") == "Réa 2"
    assert found[0xF100][6:] == bytes([198, 51, 100, 9, 255, 255, 255, 0])
    assert found[0xF101] == bytes.fromhex(
        "0005 0028 0001 0003 5DC0 0000 0002 0003 5DC0 0000 0001 0001 5E29 0000 0005 0001 5E29 00000008 0001 8235 0000"
    )
    assert found[0x0928] == b"\0\x08Philips\0\0\x08M8005A\0\0"
    assert b"DE00000007" in found[0x092D]


@pytest.mark.parametrize("fault", DATAGRAM)
def test_each_fault_strikes_and_is_survived(fault: str) -> None:
    rate = "0.2" if fault in ("refuse", "swapped") else "0.05"
    network = Network(1, frozenset({fault}), silence_s="2", fault_rate=rate, linked="always")
    for turn in range(250):
        if network.device.terms is None:
            network.associate()
        elif turn % 2 and fault == "refuse":
            network.say(talk.RELEASE)
        elif not network.device.is_known:
            network.say(wire.ABORTION)
        network.say(poll(talk.NUMERICS, 600), 4.0)
    assert network.device.injected[fault] > 5
    assert set(network.device.injected) == {fault}
    assert network.device.sent > 150
    assert network.device.refused == network.device.injected["refuse"]
    assert not network.device.illegal


@pytest.mark.parametrize("fault", STREAM_ONLY)
def test_faults_of_a_byte_stream_do_not_strike_a_datagram(fault: str) -> None:
    network = Network(1, frozenset({fault}), fault_rate="1")
    assert network.associate()[0][0] == 0x0E
    assert not network.device.injected


def struck(fault: str) -> tuple[Network, list[bytes]]:
    """What comes of two polls whose answers the fault strikes, all else sound."""
    network = Network()
    network.associate()
    network.device.faults, network.device._rate = frozenset({fault}), 1.0
    return network, network.say(poll(talk.NUMERICS), 0.0) + network.say(poll(talk.MDS), 3.0)


def test_datagrams_change_places() -> None:
    assert [reply(data).kind for data in struck("swapped")[1]] == [talk.MDS, talk.NUMERICS]
    network = Network()
    network.associate()
    network.device.faults, network.device._rate = frozenset({"swapped"}), 1.0
    assert [reply(data).kind for data in network.say(poll(talk.NUMERICS), 3.0)] == [talk.NUMERICS]


def test_a_datagram_comes_twice() -> None:
    assert [reply(data).kind for data in struck("duplicate")[1]] == [talk.NUMERICS] * 2 + [talk.MDS] * 2


def test_the_beginning_of_a_datagram() -> None:
    network, said = struck("half_frame")
    whole = [len(data) for data in said]
    assert all(data[:4] == wire.SESSION for data in said)
    assert struct.unpack_from(">H", said[0], 6)[0] > whole[0]
    assert network.device.wake_at is not None


def wall(time: bytes) -> datetime:
    return datetime.strptime(time[:7].hex(), "%Y%m%d%H%M%S")  # noqa: DTZ007 - a device's clock


@pytest.mark.parametrize("transport", ["rs232", "lan"])
def test_its_clock_steps(transport: str) -> None:
    line: Network | Box = Network() if transport == "lan" else Box()
    line.associate()
    walls, ticks = [], []
    for turn in range(60):
        line.device.faults, line.device._rate = frozenset({"clock_step"} if turn % 3 == 2 else ()), 1.0
        said = reply(line.say(poll(talk.MDS), 2.0)[0])
        walls.append(wall(said.time))
        ticks.append(said.ticks)
    steps = {round((after - before).total_seconds() - 2) for before, after in zip(walls, walls[1:], strict=False)}
    allowed = {0, *CLOCK_STEPS_S}
    assert {min(allowed, key=lambda step: abs(step - seen)) for seen in steps} == allowed
    assert max(abs(seen - min(allowed, key=lambda step: abs(step - seen))) for seen in steps) <= 1
    assert ticks == sorted(ticks)
    assert line.device.injected["clock_step"] == 20


def test_what_was_measured_before_a_step_keeps_its_time() -> None:
    box = known(cuff_every_s="300", alarm_every_s="0")
    box.follow(60)
    before = one(box, talk.NUMERICS).objects[0x0105][0x0990]
    box.device.faults, box.device._rate = frozenset({"clock_step"}), 1.0
    said = one(box, talk.NUMERICS)
    assert said.objects[0x0105][0x0990] == before
    assert abs((wall(said.time) - wall(before)).total_seconds() - 30) > 5


def test_alarms_in_french() -> None:
    texts = {lang: set[str]() for lang in ("en", "fr")}
    for lang, seen in texts.items():
        network = Network(language=lang)
        network.associate()
        for _ in range(100):
            network.say(poll(talk.ALARMS), 4.0)
        seen.update(text for reading in network.device.history for text in reading.values)
    assert "** RR LOW" in texts["en"]
    assert "** FR BASSE" in texts["fr"]


def test_a_day_passes() -> None:
    network = Network()
    network.associate()
    network.say(poll(talk.NUMERICS, 600))
    network.listen(86_400.0)
    assert network.device.timeouts == 1
    assert network.device.wake_at is None


@given(st.binary(min_size=1, max_size=300), st.integers(0, 5))
def test_any_datagram_is_survived(noise: bytes, seed: int) -> None:
    network = Network(seed)
    network.associate()
    network.say(noise)
    network.say(talk.request()[: len(noise)] + noise)
    network.say(wire.ABORTION)
    assert network.associate()[0][0] == 0x0E


@given(st.integers(0, 235), st.integers(1, 255))
def test_a_request_with_a_wrong_byte_is_never_taken_for_another(place: int, flip: int) -> None:
    ask = bytearray(talk.request())
    ask[place] ^= flip
    terms = wire.terms_of(bytes(ask))
    # Only what is the box's own to choose may differ: how it starts, and the bandwidth, which nothing limits here.
    free = (*range(START, START + 4), *range(BANDWIDTH, BANDWIDTH + 4))
    assert terms is None or terms != wire.terms_of(talk.request()) or place in free


BANDWIDTH = talk.request().index(b"\xff\xff\xff\xff")
START = talk.request().index(bytes.fromhex("80000000 20000000")) + 4


def test_the_same_seed_is_the_same_monitor() -> None:
    def run(seed: int) -> list[bytes]:
        network = Network(seed)
        network.associate()
        network.say(poll(talk.NUMERICS, 60))
        return network.listen(9.0)

    assert run(4) == run(4)
    assert run(4) != run(5)


@pytest.mark.parametrize("options", [{"transport": "udp"}, {"address": "here"}, {"language": "de"}])
def test_wrong_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="philips_intellivue"):
        PhilipsIntellivue(0, frozenset(), options)
