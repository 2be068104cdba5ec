"""What a broker may say, well-behaved or not: each ends in its own leaf, and nothing makes the loop raise."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import _ConnectionState

from gateway.uplink import errors
from gateway.uplink.identity import TlsFiles
from gateway.uplink.mqtt import INCOMING_LIMIT_BYTES, KEEPALIVE_S, Connection, Granted, Message, _Paho
from gateway.uplink.tls import Broker, connect
from simulators.central.lab_ca import LabAuthority
from tests.gateway.uplink.tls_server import Server, server_context

GATEWAY = "gw-test"
WILL = Message("a/state", b"{}", "application/json", True)
CONNACK = b"\x20\x03\x00\x00\x00"


class Ear:
    def __init__(self) -> None:
        self.published_: list[tuple[int, int]] = []
        self.received_: list[tuple[str, bytes]] = []
        self.subscribed_: list[tuple[int, ...]] = []
        self.lost_: asyncio.Future[errors.UplinkError] = asyncio.get_running_loop().create_future()

    def published(self, mid: int, code: int, _reason: str) -> None:
        self.published_.append((mid, code))

    def received(self, topic: str, payload: bytes) -> None:
        self.received_.append((topic, payload))

    def subscribed(self, codes: tuple[int, ...]) -> None:
        self.subscribed_.append(codes)

    def lost(self, error: errors.UplinkError) -> None:
        if not self.lost_.done():
            self.lost_.set_result(error)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LabAuthority:
    return LabAuthority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def files(authority: LabAuthority) -> TlsFiles:
    pair = authority.gateway(GATEWAY)
    return TlsFiles(str(authority.ca), str(pair.certificate), str(pair.key))


class Talk:
    def __init__(self, authority: LabAuthority, files: TlsFiles) -> None:
        self.authority, self.files = authority, files
        self.servers: list[Server] = []

    async def open(self, answer: bytes) -> tuple[Connection, Ear]:
        server = Server(server_context(self.authority, self.authority.server()), answer=answer)
        self.servers.append(server)
        where = Broker("localhost", server.port)
        secure = await connect(where, self.files, gateway=GATEWAY, wall=time.time(), timeout_s=5)
        ear = Ear()
        return Connection(secure, GATEWAY, WILL, ear), ear

    async def start(self, answer: bytes, timeout_s: float = 5.0) -> tuple[Granted, Connection, Ear]:
        connection, ear = await self.open(answer)
        try:
            return await connection.start(timeout_s), connection, ear
        except errors.UplinkError:
            connection.drop()
            raise


@pytest.fixture
def talk(authority: LabAuthority, files: TlsFiles) -> Iterator[Talk]:
    found = Talk(authority, files)
    yield found
    for server in found.servers:
        server.close()


def connack(code: int = 0, properties: bytes = b"", flags: int = 0) -> bytes:
    return bytes([0x20, 3 + len(properties), flags, code, len(properties)]) + properties


@pytest.mark.parametrize(
    ("answer", "granted"),
    [
        (CONNACK, Granted()),
        (connack(properties=b"\x21\x00\x05"), Granted(window=5)),
        (connack(properties=b"\x21\x03\xe8"), Granted(window=64)),
        (connack(properties=b"\x27\x00\x00\x10\x00\x25\x00", flags=1), Granted(64, 4096, False, True)),
    ],
)
def test_what_the_broker_grants(answer: bytes, granted: Granted, talk: Talk) -> None:
    async def scenario() -> None:
        found, connection, _ = await talk.start(answer)
        await connection.close(1.0)
        assert found == granted

    asyncio.run(scenario())
    talk.servers[0].close()
    hello = bytes(talk.servers[0].inside)
    assert hello[:1] == b"\x10"
    assert hello[4:9] == b"MQTT\x05"
    assert hello[9] & 0x02 == 0  # clean start off
    assert hello[10:12] == b"\x00\x1e"  # keep-alive 30
    assert b"\x11\x00\x00\x0e\x10" in hello  # session expiry 3600
    assert hello.endswith(b"\xe0\x00")  # DISCONNECT, normal: the broker forgets the will


@pytest.mark.parametrize(
    ("answer", "leaf"),
    [
        (connack(0x87), errors.BrokerSaysNo),
        (connack(0x97), errors.BrokerSaysNo),
        (connack(0x84), errors.BrokerProtocol),
        (connack(0x9B), errors.BrokerSaysNo),
        (connack(properties=b"\x24\x00"), errors.BrokerWithoutQos),
        (b"\x20\x02\x00\x01", errors.BrokerProtocol),  # 3.1.1: unacceptable protocol version
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", errors.BrokerProtocol),
        (b"\x20\xff\xff\xff\x7f" + b"\x00" * 70_000, errors.BrokerProtocol),
        (b"\x20\xff\xff\xff\xff\x7f", errors.BrokerProtocol),
        (b"\xe0\x02\x8d\x00", errors.BrokerLeaves),
        (b"", errors.BrokerProtocol),
    ],
)
def test_no_connection(answer: bytes, leaf: type[errors.UplinkError], talk: Talk) -> None:
    with pytest.raises(errors.UplinkError) as caught:
        asyncio.run(talk.start(answer, 0.3))
    assert type(caught.value) is leaf


@pytest.mark.parametrize(
    ("after", "leaf"),
    [
        (b"\xe0\x02\x8e\x00", errors.TakenOver),
        (b"\xe0\x02\x8b\x00", errors.BrokerLeaves),
        (b"\xe0\x00", errors.BrokerLeaves),
        (b"\x40\x00", errors.ConnectionLost),
        (b"\x40\x03\x00\x01\x77", errors.ConnectionLost),
        (b"\x90\x01\x00", errors.ConnectionLost),
        (b"\xf0\x00", errors.ConnectionLost),
        (b"\x30" + b"\xff\xff\x7f" + b"x" * INCOMING_LIMIT_BYTES, errors.BrokerProtocol),
    ],
)
def test_end_of_a_connection(after: bytes, leaf: type[errors.UplinkError], talk: Talk) -> None:
    async def scenario() -> errors.UplinkError:
        _, connection, ear = await talk.start(CONNACK + after)
        try:
            return await asyncio.wait_for(ear.lost_, 5)
        finally:
            connection.drop()

    assert type(asyncio.run(scenario())) is leaf


def test_line_that_breaks(talk: Talk) -> None:
    async def scenario() -> errors.UplinkError:
        _, connection, ear = await talk.start(CONNACK)
        connection._wire._secure.shutdown(2)
        try:
            return await asyncio.wait_for(ear.lost_, 5)
        finally:
            connection.drop()

    assert isinstance(asyncio.run(scenario()), errors.ConnectionLost)


def test_confirmations_and_messages_arrive_in_order(talk: Talk) -> None:
    publish = b"\x30\x0b\x00\x03a/b\x00hello" + b"\x30\x05\x00\x01\xff\x00x"
    answer = CONNACK + b"\x90\x04\x00\x01\x00\x01" + b"\x40\x02\x00\x02" + b"\x40\x03\x00\x03\x87" + publish

    async def scenario() -> None:
        connection, ear = await talk.open(answer)
        started = asyncio.create_task(connection.start(5))
        await started
        connection.subscribe("a/#")
        mids = [connection.publish(Message("a/c", b"x" * 200_000, "text/plain")) for _ in range(2)]
        end = time.monotonic() + 5
        while not ear.received_ and time.monotonic() < end:
            await asyncio.sleep(0.005)
        assert mids == [2, 3]
        assert ear.received_ == [("a/b", b"hello")]
        while connection.traffic[0] < 400_000 and time.monotonic() < end:
            await asyncio.sleep(0.005)
        assert connection.traffic[0] > 400_000
        connection.drop()
        connection.drop()

    asyncio.run(scenario())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(min_size=1, max_size=80))
def test_any_bytes_of_a_broker_end_in_a_leaf_or_are_borne(noise: bytes, talk: Talk) -> None:
    failures: list[object] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))
        _, connection, ear = await talk.start(CONNACK + noise)
        await asyncio.wait([ear.lost_], timeout=0.02)
        connection.drop()

    asyncio.run(scenario())
    talk.servers.pop().close()
    assert failures == []


class Blocked:
    """A wire that takes nothing."""

    def __init__(self) -> None:
        self.sent = self.held = 0

    def unsent(self) -> int:
        return self.held

    def fileno(self) -> int:
        return 0

    def close(self) -> None:
        pass

    def send(self, _data: bytes) -> int:
        raise BlockingIOError


def silent_client() -> tuple[_Paho, Blocked]:
    """paho with a connection on which nothing moves, and three packets that wait."""
    wire = Blocked()
    client = _Paho(GATEWAY, wire)  # type: ignore[arg-type]
    client.on_socket_register_write = lambda *_: None
    client._sock = wire  # type: ignore[assignment]
    client._state = _ConnectionState.MQTT_CS_CONNECTED
    for number in range(3):
        client._packet_queue(0x32, bytes([number]) * 100, number, 1)
    return client, wire


def test_the_keep_alive_does_not_wait_behind_data() -> None:
    client, _wire = silent_client()
    client._send_pingreq()
    assert [packet["command"] for packet in client._out_packet] == [0x32, 0xC0, 0x32, 0x32]
    client._out_packet.clear()
    client._send_pingreq()
    assert [packet["command"] for packet in client._out_packet] == [0xC0]


@pytest.mark.parametrize("moved", [True, False])
def test_only_a_line_that_moves_is_waited_for(moved: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("paho.mqtt.client.time_func", lambda: now)
    monkeypatch.setattr("gateway.uplink.mqtt.time_func", lambda: now)
    client, wire = silent_client()
    lost: list[object] = []
    client.on_disconnect = lambda *_: lost.append(now)
    client._keepalive = KEEPALIVE_S
    client._last_msg_out = client._last_bytes_received = now
    for _ in range(10 * KEEPALIVE_S):
        now += 1.0
        wire.held = 5000 - int(now) % 3  # the kernel holds some, and the far end takes of it
        wire.sent += 200 if moved else 0
        client.loop_misc()
        if lost:
            break
    assert bool(lost) is not moved
    assert [packet["command"] for packet in client._out_packet].count(0xC0) == 1
