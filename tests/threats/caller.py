"""A client by hand, with any certificate and any client id: it remembers every code and message that came back."""

import contextlib
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from simulators.central.lab_ca import LabAuthority, Pair

PATIENCE_S = 15.0
LOOK_S = 0.01
DENIED = 0x87
FAILURE = 0x80


def until(reached: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    """Wait for what happens in another thread or process."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        threading.Event().wait(LOOK_S)


class Caller:
    """Connected, or refused, when it is made; `code` is the CONNACK's reason."""

    def __init__(
        self, port: int, authority: LabAuthority, pair: Pair, client_id: str, *, will: tuple[str, bytes] | None = None
    ) -> None:
        self.code: int | None = None
        self.heard: list[tuple[str, bytes]] = []
        self.ends = 0
        self._codes: dict[int, int] = {}
        self._said = threading.Condition()
        context = ssl.create_default_context(cafile=str(authority.ca))
        context.load_cert_chain(pair.certificate, pair.key)
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self._client.tls_set_context(context)
        if will is not None:
            self._client.will_set(*will, qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect("localhost", port)
        self._client.loop_start()
        until(lambda: self.code is not None, "CONNACK")

    def publish(self, topic: str, payload: bytes = b"{}", *, retain: bool = False) -> int:
        """Publish with QoS 1; the reason code of its PUBACK."""
        return self._answer(self._client.publish(topic, payload, 1, retain).mid)

    def subscribe(self, topic: str) -> int:
        """Subscribe; the reason code of the SUBACK."""
        mid = self._client.subscribe(topic, 1)[1]
        assert mid is not None
        return self._answer(mid)

    def break_off(self) -> None:
        """Gone without a word, as on a broken line: the broker publishes the will."""
        self._client.loop_stop()
        if (sock := self._client.socket()) is not None:
            sock.close()

    def close(self) -> None:
        """Leave in order."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client._reset_sockets()  # paho leaves its wake-up pair to the collector, which may warn

    def __enter__(self) -> "Caller":
        """As made."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closed."""
        with contextlib.suppress(OSError):
            self.close()

    def _answer(self, mid: int) -> int:
        with self._said:
            assert self._said.wait_for(lambda: mid in self._codes, PATIENCE_S), f"no answer; {self.ends} ends"
            return self._codes.pop(mid)

    def _note(self, mid: int, code: int) -> None:
        with self._said:
            self._codes[mid] = code
            self._said.notify_all()

    def _on_connect(self, _c: Client, _u: object, _f: object, reason: Any, _p: object) -> None:
        self.code = reason.value

    def _on_disconnect(self, *_: object) -> None:
        self.ends += 1

    def _on_publish(self, _c: Client, _u: object, mid: int, reason: Any, _p: object) -> None:
        self._note(mid, reason.value)

    def _on_subscribe(self, _c: Client, _u: object, mid: int, reasons: Any, _p: object) -> None:
        self._note(mid, reasons[0].value)

    def _on_message(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))
