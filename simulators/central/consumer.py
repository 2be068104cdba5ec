"""The reference consumer: takes frames, stores each observation once, and only then acknowledges.

Order of things for a batch: decode, one transaction with rows and watermark, COMMIT, signed acknowledgements, and
last the PUBACK. Killed anywhere in between, the broker or the box sends again and the watermark finds nothing new.
"""

import queue
import sqlite3
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.uplink.schema import (
    DICTIONARY_TYPE,
    AnyObservation,
    FrameEnvelope,
    Malformed,
    ack_topic,
    consumer_filters,
    decode_frame,
    decode_key,
    decode_time_request,
    dictionary_named,
    dictionary_topic,
    encode,
    lane_named,
    read_dictionary,
    shipped,
    sign_ack,
    sign_time,
    split_topic,
    time_answer_topic,
)
from simulators.central.lab_ca import Pair
from simulators.central.store import Archive, Ledger, Stream

BATCH = 200
"""Also our Receive Maximum: the broker never has more than this many frames under way to us."""
SESSION_EXPIRY_S = 14 * 86_400
SHARED_EXPIRY_S = 30
"""Shorter than a box's patience (60 s): what the broker held for one of several that is gone, another is sent."""
STORE_RETRY_S = 1.0
PACKET_LIMIT_BYTES = 4 << 20
HEADROOM_BYTES = 256
KEEPALIVE_S = 30
BOX_LEAVES = ("birth", "state", "health")
DICTIONARIES = 64
"""Known at a time, ours and those learned from the broker: a release brings one at most."""


class _Come(NamedTuple):
    """One message, and the connection it came over: a packet id means nothing on another one."""

    connection: int
    message: MQTTMessage


class Consumer:
    """Connects as the common name of `identity` with a persistent session.

    With `share` it is one of several that divide a subscription; all of them keep ONE database.
    `on_observation` sees each new one; `on_link` is told why there is no connection, and "" when there is one;
    `on_store` likewise why nothing can be stored, and "" each time something was.
    Boxes are told the time of `wall`.
    """

    def __init__(  # noqa: PLR0913
        self,
        database: Path,
        *,
        port: int,
        ca: Path,
        identity: Pair,
        ack_key: Path,
        host: str = "localhost",
        client_id: str = "platform",
        share: str = "",
        on_observation: Callable[[AnyObservation], None] | None = None,
        on_link: Callable[[str], None] | None = None,
        on_store: Callable[[str], None] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._key = decode_key(ack_key.read_text(encoding="ascii"))
        self._wall = wall
        self._lock = threading.Lock()
        self._show = on_observation or (lambda _observation: None)
        self._tell = on_link or (lambda _why: None)
        self._tell_store = on_store or (lambda _why: None)
        self._come: queue.SimpleQueue[_Come | None] = queue.SimpleQueue()
        self._connection = 0
        self._filters = consumer_filters(share)
        self._dictionaries = dict(shipped())
        self._stopping = threading.Event()
        self._worker = threading.Thread(target=self._work, name="consumer", daemon=True)
        self.ready = threading.Event()
        self.refused: dict[str, int] = {}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(ca)
        context.load_cert_chain(identity.certificate, identity.key)
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True
        )
        self._client.tls_set_context(context)
        self._archive = Archive(database)  # last: files that cannot be read leave no empty store behind
        self._client.reconnect_delay_set(1, 2)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_connect_fail = lambda *_: self._tell("no connection")
        self._client.on_message = lambda _c, _u, message: self._receive(message)
        self._client.on_subscribe = lambda *_: self.ready.set()
        hello = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        hello.SessionExpiryInterval = SHARED_EXPIRY_S if share else SESSION_EXPIRY_S
        hello.ReceiveMaximum = BATCH
        hello.MaximumPacketSize = PACKET_LIMIT_BYTES
        self._client.connect_async(host, port, KEEPALIVE_S, clean_start=False, properties=hello)

    def start(self) -> None:
        """Work in two threads until `stop`: paho's, and the one that stores."""
        self._worker.start()
        self._client.loop_start()

    def stop(self) -> None:
        """What is being stored is finished; what waits stays with the broker."""
        self._stopping.set()
        self._client.disconnect()
        self._client.loop_stop()
        self._come.put(None)
        self._worker.join()
        with self._lock:
            self._archive.close()

    def ledger(self) -> Ledger:
        """Counts over everything ever stored."""
        with self._lock:
            return self._archive.ledger()

    def box(self, gateway: str, leaf: str) -> str:
        """JSON of the newest birth, state or health of a box; empty if none came."""
        with self._lock:
            return self._archive.box(gateway, leaf)

    def _on_connect(self, client: Client, _u: object, _f: ConnectFlags, reason: ReasonCode, said: object) -> None:
        self._connection += 1
        self._tell(str(reason) if reason.is_failure else "")
        if not reason.is_failure:
            client.subscribe([(one, 1) for one in self._filters])
            limit = getattr(said, "MaximumPacketSize", PACKET_LIMIT_BYTES) - HEADROOM_BYTES
            kind = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            kind.ContentType = DICTIONARY_TYPE
            for known in list(self._dictionaries.values()):
                if len(known.content) <= limit:  # more would end the connection; boxes go without
                    client.publish(dictionary_topic(known.name), known.content, 1, retain=True, properties=kind)

    def _on_disconnect(self, _c: Client, _u: object, _f: DisconnectFlags, reason: ReasonCode, _p: object) -> None:
        self.ready.clear()
        if reason.is_failure:
            self._tell(str(reason))

    def _receive(self, message: MQTTMessage) -> None:
        """In paho's thread: a question about the time does not wait for the store, or its answer would say less."""
        if self._tell_time(message):
            self._client.ack(message.mid, message.qos)
        else:
            self._come.put(_Come(self._connection, message))

    def _tell_time(self, message: MQTTMessage) -> bool:
        try:
            place = split_topic(message.topic)
        except UnicodeDecodeError:
            return False
        if place is None or place[2] != "time":
            return False
        site, gateway, _ = place
        try:
            asked = decode_time_request(bytes(message.payload))
        except Malformed as error:
            self.refused[error.reason] = self.refused.get(error.reason, 0) + 1
            return True
        answer = sign_time(self._key, site, gateway, asked.nonce, self._wall())
        self._client.publish(time_answer_topic(site, gateway), encode(answer), 0)  # a late answer is worth nothing
        return True

    def _work(self) -> None:
        while True:
            batch = [self._come.get()]
            while len(batch) < BATCH and not self._come.empty():
                batch.append(self._come.get())
            todo = [one for one in batch if one is not None]
            while todo and not self._try_store(todo):
                if self._stopping.wait(STORE_RETRY_S):
                    return
            if len(todo) != len(batch):
                return

    def _try_store(self, batch: list[_Come]) -> bool:
        """False when the store refuses (full disk, locked file): nothing of the batch is acknowledged yet."""
        try:
            self._store(batch)
        except sqlite3.Error as error:
            self._tell_store(str(error))
            return False
        self._tell_store("")
        return True

    def _store(self, batch: list[_Come]) -> None:
        touched: dict[Stream, None] = {}
        fresh: list[AnyObservation] = []
        with self._lock:
            self._archive.begin()
            try:
                for come in batch:
                    fresh += self._take(come.message, touched)
                words = [(stream, *self._archive.word_for(stream)) for stream in touched]
                self._archive.commit()
            except BaseException:
                self._archive.roll_back()
                raise
        for stream, upto, holes in words:
            lane = lane_named(stream.lane)
            if lane is None:
                continue
            ack = sign_ack(
                self._key,
                stream.site,
                stream.gateway,
                lane,
                spool=stream.spool,
                epoch=stream.epoch,
                upto=upto,
                holes=holes,
            )
            self._client.publish(ack_topic(stream.site, stream.gateway, lane), encode(ack), 1)
        for come in batch:
            if come.connection == self._connection:
                self._client.ack(come.message.mid, come.message.qos)
        for one in fresh:
            self._show(one)

    def _take(self, message: MQTTMessage, touched: dict[Stream, None]) -> list[AnyObservation]:
        """Store one message; what is not of the contract is counted, kept apart, and not acknowledged to the box."""
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return []
        place = split_topic(topic)
        payload = bytes(message.payload)
        try:
            if place is None:
                raise Malformed("topic")
            if name := dictionary_named(topic):
                self._learn(name, payload)
                return []
            site, gateway, rest = place
            if rest.startswith(("ack/", "cmd/")):
                return []
            if rest in BOX_LEAVES:
                self._archive.note_box(site, gateway, rest, payload.decode("utf-8", "replace"))
                return []
            frame, seen = decode_frame(payload, self._dictionaries)
            self._check_place(frame, site, gateway, rest)
        except Malformed as error:
            self.refused[error.reason] = self.refused.get(error.reason, 0) + 1
            self._archive.note_refused(topic, error.reason, payload)
            return []
        touched[Stream(site, gateway, frame.spool, frame.lane, frame.epoch)] = None
        return self._archive.add(frame, seen)

    def _learn(self, name: str, content: bytes) -> None:
        """A dictionary that another consumer, maybe of a later release, keeps at the broker."""
        if content and int(name, 16) not in self._dictionaries:
            if len(self._dictionaries) >= DICTIONARIES:
                raise Malformed("dictionaries")
            fresh = read_dictionary(name, content)
            self._dictionaries[fresh.id] = fresh

    @staticmethod
    def _check_place(frame: FrameEnvelope, site: str, gateway: str, rest: str) -> None:
        """The broker's ACL vouches for the topic, not for what is inside: both must say the same."""
        if (frame.site, frame.gateway) != (site, gateway):
            raise Malformed("foreign")
        if rest not in (f"live/{frame.lane}", f"hist/{frame.lane}"):
            raise Malformed("lane")
