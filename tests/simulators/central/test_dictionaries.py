"""Compact frames through a real broker, and the dictionaries that the platform keeps there for the boxes."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from gateway.uplink.dictionary import NEWEST, Dictionary
from gateway.uplink.schema import FrameEnvelope, dictionary_topic, encode_compact, newest, shipped
from simulators.central.broker import ACL, CONSUMER, Mosquitto, find_mosquitto
from simulators.central.consumer import Consumer
from simulators.central.lab_ca import LabAuthority
from tests.gateway.uplink.monitor_frames import monitor_frame
from tests.simulators.central.test_consumer import ROOT, until
from tools.train_dictionary import train

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")

LATER = "platform-2"
"""Another consumer, of a later release."""


class Peer:
    """A client by hand: what came, by topic, and how the broker answered to what was sent."""

    def __init__(self, broker: Mosquitto, authority: LabAuthority, name: str, topics: list[str]) -> None:
        pair = authority.consumer(name) if name == LATER else authority.gateway(name)
        context = ssl.create_default_context(cafile=str(authority.ca))
        context.load_cert_chain(pair.certificate, pair.key)
        self.came: dict[str, list[bytes]] = {}
        self.answers: list[str] = []
        self.client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.tls_set_context(context)
        self.client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in topics])
        self.client.on_message = lambda _c, _u, one: self.came.setdefault(one.topic, []).append(bytes(one.payload))
        self.client.on_publish = lambda _c, _u, _mid, reason, _p: self.answers.append(str(reason))
        self.client.connect("localhost", broker.port)
        self.client.loop_start()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> str:
        """Send, and return the broker's answer."""
        before = len(self.answers)
        self.client.publish(topic, payload, 1, retain)
        until(lambda: len(self.answers) > before)
        return self.answers[-1]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Bench:
    """A broker, the consumer, a box."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.authority = folder, LabAuthority(folder / "ca")
        rights = ACL.format(consumer=CONSUMER)
        acl = rights + rights[rights.index("user ") :].replace(CONSUMER, LATER)
        self.broker = Mosquitto(folder / "broker", self.authority, acl=acl)
        self.broker.start()
        self.peers: list[Peer] = []
        self.consumer = self.start()

    def start(self) -> Consumer:
        consumer = Consumer(
            self.folder / "central.db",
            port=self.broker.port,
            ca=self.authority.ca,
            identity=self.authority.consumer(CONSUMER),
            ack_key=self.authority.ack_key(),
        )
        consumer.start()
        assert consumer.ready.wait(10)
        return consumer

    def peer(self, name: str, *topics: str) -> Peer:
        self.peers.append(Peer(self.broker, self.authority, name, list(topics)))
        return self.peers[-1]

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.consumer.stop()
        self.broker.stop()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def unknown() -> Dictionary:
    """A dictionary that this release does not have."""
    return train(boxes=3, size=2048)


def compact(dictionary: Dictionary | None, first: int = 1) -> bytes:
    frame: FrameEnvelope = monitor_frame(1, monitors=1, seconds=2)
    return encode_compact(replace(frame, gateway="gw-test", site="site-1", first=first), dictionary)


def test_boxes_find_every_dictionary_that_the_platform_reads(bench: Bench) -> None:
    box = bench.peer("gw-test", dictionary_topic("+"))
    known = {dictionary_topic(one.name): [one.content] for one in shipped().values()}
    until(lambda: box.came == known)
    assert dictionary_topic(NEWEST) in known


def test_a_box_cannot_put_one_there(bench: Bench, unknown: Dictionary) -> None:
    box = bench.peer("gw-test", dictionary_topic("+"))
    until(lambda: box.came)
    for topic in (dictionary_topic(unknown.name), dictionary_topic(NEWEST)):
        assert box.publish(topic, unknown.content, retain=True) == "Not authorized"
    box.publish(f"{ROOT}/live/numeric", compact(unknown))
    until(lambda: bench.consumer.refused)
    assert bench.consumer.refused == {"dictionary": 1}


def test_compact_frames_are_stored_and_acknowledged(bench: Bench) -> None:
    box = bench.peer("gw-test", f"{ROOT}/ack/#")
    for first, dictionary in ((1, newest()), (21, None)):
        box.publish(f"{ROOT}/live/numeric", compact(dictionary, first))
    until(lambda: any(b'"upto":40' in ack for ack in box.came.get(f"{ROOT}/ack/numeric", [])))
    assert bench.consumer.ledger().rows == 40
    assert not bench.consumer.refused


def test_a_frame_whose_dictionary_comes_later_is_not_lost(bench: Bench, unknown: Dictionary) -> None:
    box = bench.peer("gw-test", f"{ROOT}/ack/#")
    later = bench.peer(LATER, dictionary_topic("+"))
    box.publish(f"{ROOT}/live/numeric", compact(unknown))
    until(lambda: bench.consumer.refused == {"dictionary": 1})
    later.publish(dictionary_topic("00000001"), unknown.content, retain=True)
    later.publish(dictionary_topic(unknown.name), unknown.content, retain=True)
    box.publish(f"{ROOT}/live/numeric", compact(newest(), 41))  # behind both: now the first one was looked at
    until(lambda: box.came)
    assert box.came[f"{ROOT}/ack/numeric"][0].startswith(b'{"spool":')
    assert b'"holes":[[1,40]]' in box.came[f"{ROOT}/ack/numeric"][0]
    assert bench.consumer.refused == {"dictionary": 1, "dictionary_hash": 1}
    box.publish(f"{ROOT}/hist/numeric", compact(unknown))  # as a box sends again what is not acknowledged
    until(lambda: bench.consumer.ledger().rows == 40)
    bench.consumer.stop()
    bench.consumer = bench.start()  # learned again from the broker
    box.publish(f"{ROOT}/hist/numeric", compact(unknown, 21))
    until(lambda: bench.consumer.ledger().rows == 60)
