"""Every message of a whole session, as an onlooker at the broker sees it, is one that docs/platform describes."""

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from drivers.observation import to_json
from gateway.uplink.schema import COMPACT_TYPE, decode_frame
from provisioning.lab import Lab
from simulators.central.broker import ACL, CONSUMER, Mosquitto, find_mosquitto
from tests.platform.contract import channel_of, faults, manner_of, read, schema_of

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")

ONLOOKER = "onlooker"
WITHOUT_PLATFORM = ("birth", "state", "health", "live/event", "live/numeric", "live/wave")
WITH_PLATFORM = ("hist/event", "hist/numeric", "hist/wave", "ack/event", "ack/numeric", "ack/wave")
WAIT_S = 60


class Seen(NamedTuple):
    """One message."""

    topic: str
    content_type: str
    qos: int
    retained: bool
    payload: bytes


class Onlooker:
    """A user of the broker who may read everything."""

    def __init__(self, lab: Lab) -> None:
        pair = lab.authority.consumer(ONLOOKER)
        context = ssl.create_default_context(cafile=str(lab.authority.ca))
        context.load_cert_chain(pair.certificate, pair.key)
        self.seen: list[Seen] = []
        as_published = SubscribeOptions(qos=1, retainAsPublished=True)
        self._news = threading.Condition()
        subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, ONLOOKER, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.tls_set_context(context)
        self._client.on_connect = lambda client, *_: client.subscribe("jisr/#", options=as_published)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = self._note
        self._client.connect("localhost", lab.broker.port)
        self._client.loop_start()
        assert subscribed.wait(10)

    def _note(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        content_type = getattr(message.properties, "ContentType", read("asyncapi.json")["defaultContentType"])
        payload = bytes(message.payload)
        with self._news:
            self.seen.append(Seen(message.topic, content_type, message.qos, message.retain, payload))
            self._news.notify_all()

    def wait_for(self, *rests: str, word: bytes = b"") -> None:
        """Until there was a message on each of these topics of the box, with that word in it."""

        def is_there() -> bool:
            found = {one.topic.split("/", 4)[-1] for one in self.seen if word in one.payload}
            return found >= set(rests)

        with self._news:
            assert self._news.wait_for(is_there, WAIT_S), {one.topic for one in self.seen}

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_message = None  # no circle: paho closes its sockets when it is let go


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    found = Lab(tmp_path, "en")
    acl = ACL.format(consumer=CONSUMER) + f"\nuser {ONLOOKER}\ntopic read jisr/#\n"
    found.broker = Mosquitto(tmp_path / "watched", found.authority, acl=acl)
    found.broker.start()
    yield found
    found.close()


def test_every_message_is_described(lab: Lab) -> None:
    onlooker = Onlooker(lab)
    lab.write_config()
    for device in ("ventilator", "analyzer", "genset"):
        lab.plug(device)
    lab.start_agent()
    try:
        onlooker.wait_for(*WITHOUT_PLATFORM)
        lab.stop_agent()
        onlooker.wait_for("state", word=b"offline")
        lab.start_consumer()
        lab.start_agent()
        onlooker.wait_for(*WITH_PLATFORM)
    finally:
        onlooker.close()
    channels = {channel_of(one.topic) for one in onlooker.seen}
    assert {"birth", "state", "live", "hist", "health", "ack"} <= channels
    judged = set()
    for one in onlooker.seen:
        channel = channel_of(one.topic)
        name = schema_of(channel, one.content_type)
        assert (one.qos, one.retained) == manner_of(channel), one.topic
        assert not name or faults(name, one.payload) == [], f"{one.topic}: {one.payload[:300]!r}"
        if one.content_type == COMPACT_TYPE:
            assert not [seen for seen in decode_frame(one.payload)[1] if faults("observation", to_json(seen))]
        judged.add(name)
    assert {"birth", "state", "frame", "health", "ack"} <= judged
