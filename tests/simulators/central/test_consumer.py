"""The consumer against a real broker: hostile input is bounded, counted, and never acknowledged."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from gateway.uplink.schema import AnyObservation, decode_ack, encode, verify_ack
from simulators.central.broker import ACL, CONSUMER, Mosquitto, find_mosquitto, free_port
from simulators.central.consumer import Consumer
from simulators.central.lab_ca import LabAuthority
from tests.simulators.central.test_store import frame

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")

ROOT = "jisr/v1/site-1/gw-test"


class Box:
    """A gateway by hand."""

    def __init__(self, broker: Mosquitto, authority: LabAuthority) -> None:
        pair = authority.gateway("gw-test")
        context = ssl.create_default_context(cafile=str(authority.ca))
        context.load_cert_chain(pair.certificate, pair.key)
        self.acks: list[bytes] = []
        self.client = Client(CallbackAPIVersion.VERSION2, "gw-test", protocol=MQTTProtocolVersion.MQTTv5)
        self.client.tls_set_context(context)
        self.client.on_connect = lambda client, *_: client.subscribe(f"{ROOT}/ack/#", 1)
        self.client.on_message = lambda _c, _u, message: self.acks.append(bytes(message.payload))
        self.client.connect("localhost", broker.port)
        self.client.loop_start()

    def publish(self, rest: str, payload: bytes) -> None:
        self.client.publish(f"{ROOT}/{rest}", payload, 1).wait_for_publish(5)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end, "did not happen"
        threading.Event().wait(0.01)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[tuple[Box, Consumer, LabAuthority, list[AnyObservation]]]:
    authority = LabAuthority(tmp_path / "ca")
    broker = Mosquitto(tmp_path / "broker", authority)
    broker.start()
    seen: list[AnyObservation] = []
    consumer = Consumer(
        tmp_path / "central.db",
        port=broker.port,
        ca=authority.ca,
        identity=authority.consumer(CONSUMER),
        ack_key=authority.ack_key(),
        on_observation=seen.append,
    )
    consumer.start()
    assert consumer.ready.wait(10)
    box = Box(broker, authority)
    yield box, consumer, authority, seen
    box.close()
    consumer.stop()
    broker.stop()


def test_stored_then_acknowledged_with_its_mac(
    bench: tuple[Box, Consumer, LabAuthority, list[AnyObservation]],
) -> None:
    box, consumer, authority, seen = bench
    box.publish("live/numeric", encode(frame(3, 2)))
    until(lambda: box.acks)
    ack = decode_ack(box.acks[0])
    assert (ack.spool, ack.epoch, ack.upto, ack.holes) == ("00ff", 1, 4, ((1, 2),))
    assert verify_ack(bytes.fromhex(authority.ack_key().read_text()), "site-1", "gw-test", "numeric", ack)
    assert [one.seq for one in seen] == [3, 4]
    assert consumer.ledger().rows == 2


@pytest.mark.parametrize(
    ("rest", "payload", "reason"),
    [
        ("live/numeric", b"hello", "not_a_frame"),
        ("live/numeric", b'{"x":' + b"[" * 50_000, "not_a_frame"),
        ("live/event", encode(frame(1, 1)), "lane"),
        ("live/numeric", encode(frame(1, 1)).replace(b"gw-test", b"gw-none"), "foreign"),
        ("live/numeric", encode(frame(1, 1)).replace(b'"count":1', b'"count":2'), "count"),
        ("live/numeric", encode(frame(1, 1)).replace(b'"kind":"numeric"', b'"kind":"spell"'), "observations"),
    ],
)
def test_what_is_not_of_the_contract_is_counted_and_not_acknowledged(
    rest: str,
    payload: bytes,
    reason: str,
    bench: tuple[Box, Consumer, LabAuthority, list[AnyObservation]],
) -> None:
    box, consumer, _, _ = bench
    box.publish(rest, payload)
    until(lambda: consumer.refused)
    assert consumer.refused == {reason: 1}
    box.publish("live/numeric", encode(frame(1, 1)))
    until(lambda: box.acks)
    assert len(box.acks) == 1
    assert consumer.ledger().rows == 1


def test_birth_is_kept(bench: tuple[Box, Consumer, LabAuthority, list[AnyObservation]]) -> None:
    box, consumer, _, _ = bench
    box.publish("birth", b'{"v":1}')
    until(lambda: consumer.box("gw-test", "birth"))
    assert consumer.box("gw-test", "birth") == '{"v":1}'


def test_the_broker_listens_on_this_machine_only(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker", LabAuthority(tmp_path / "ca"))
    broker.start()
    try:
        log = broker.log()
        assert f"listen socket on port {broker.port}" in log
        assert "1883" not in log
        assert not [line for line in log.splitlines() if "Warning" in line and "meta/dict" not in line]
    finally:
        broker.stop()


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    authority = LabAuthority(tmp_path / "ca")
    broker = Mosquitto(tmp_path / "broker", authority, extra={"certfile": "/nowhere"})
    with pytest.raises(RuntimeError, match="nowhere"):
        broker.start()
    broker.stop()


def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    assert all(15_000 <= free_port() < 30_000 for _ in range(20))


def test_the_published_rights_are_those_that_are_tried_here() -> None:
    published = Path(__file__).parents[3] / "docs" / "platform" / "acl.example"
    _, _, lines = published.read_text(encoding="utf-8").partition("\n")
    assert lines == ACL.format(consumer=CONSUMER)
