"""Who looks on from outside: at the agent's feed for what it says it has on disk, at the broker for what passes."""

import asyncio
import hashlib
import json
import ssl
from pathlib import Path
from typing import Any, NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from gateway.uplink.dictionary import shipped
from gateway.uplink.schema import decode_frame, split_topic
from simulators.central.lab_ca import LabAuthority

RETRY_S = 0.05
LINE_BYTES = 4 << 20
OBSERVER = "observer"

Name = tuple[int, str, int]
"""Epoch, lane, number: what one observation of a spool is called for ever."""


def fingerprint(text: str | bytes) -> bytes:
    """Of an observation's JSON: the same for the same fields, whatever their order, digit for digit."""
    whole = json.loads(text, parse_float=str)
    return hashlib.blake2b(json.dumps(whole, sort_keys=True).encode(), digest_size=8).digest()


class FeedListener:
    """Hears one agent after the other over the same socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self.promised: dict[Name, bytes] = {}
        """All that was ever told to be on disk, and what it was."""
        self.status: dict[str, Any] | None = None
        """The newest of the agent that runs now; None while none answers."""
        self.most_rss_mb = 0.0

    async def listen(self) -> None:
        """Until cancelled."""
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=LINE_BYTES)
            except OSError:
                await asyncio.sleep(RETRY_S)
                continue
            try:
                writer.write(b'{"want":["observation","status"]}\n')
                await self._hear(reader)
            except OSError:
                pass
            finally:
                self.status = None
                writer.close()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if not line.endswith(b"\n"):
                return  # the agent was killed in the middle of the word
            seen = json.loads(line)
            if status := seen.get("status"):
                self.status = status
                self.most_rss_mb = max(self.most_rss_mb, status["rss_mb"])
            elif one := seen.get("observation"):
                text = line[len(b'{"observation":') : -2]
                self.promised[one["epoch"], one["lane"], one["seq"]] = fingerprint(text)


class Flight(NamedTuple):
    """One frame as it passed the broker."""

    lane: str
    era: str
    epoch: int
    first: int
    last: int
    encoding: str


class WireListener:
    """An onlooker with a certificate of its own; what the broker forgets when it is killed it does not see either."""

    def __init__(self, port: int, authority: LabAuthority) -> None:
        pair = authority.consumer(OBSERVER)
        context = ssl.create_default_context(cafile=str(authority.ca))
        context.load_cert_chain(pair.certificate, pair.key)
        self._client = Client(CallbackAPIVersion.VERSION2, OBSERVER, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.tls_set_context(context)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("jisr/v1/#", 1)
        self._client.on_message = self._on_message
        self._port, self._dictionaries = port, shipped()
        self.flights: list[Flight] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        """Births, states and health, in order."""

    def start(self) -> None:
        """Look on in a thread of its own."""
        self._client.connect_async("localhost", self._port, 30)
        self._client.loop_start()

    def stop(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        place = split_topic(message.topic)
        if place is None:
            return
        kind, _slash, lane = place[2].partition("/")
        if kind in ("live", "hist"):
            payload = bytes(message.payload)
            frame, _ = decode_frame(payload, self._dictionaries)
            last, encoding = frame.first + frame.count - 1, "json" if payload[:1] == b"{" else "compact"
            self.flights.append(Flight(lane, kind, frame.epoch, frame.first, last, encoding))
        elif kind in ("birth", "state", "health"):
            self.told.append((kind, json.loads(message.payload)))
