"""MQTT 5 over a socket that has passed the TLS checks: paho-mqtt driven by our own asyncio loop.

One `Connection` lives as long as its socket; the next one is a new object, so that nothing of paho's own memory
(queue, in-flight set) is ever sent again behind our back: the spool is the only queue.
"""

import asyncio
import contextlib
import fcntl
import socket
import ssl
import sys
import termios
from typing import Any, Protocol

from msgspec import Struct
from paho.mqtt.client import Client, MQTTMessage, time_func
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.uplink import errors
from gateway.uplink.tls import explain_alert

KEEPALIVE_S = 30
SESSION_EXPIRY_S = 3600
WINDOW = 64
"""Beyond about a hundred messages in flight paho gets slower, not faster."""
INCOMING_LIMIT_BYTES = 64 << 10
INCOMING_WINDOW = 32
READ_BYTES = 16 << 10
WRITE_BYTES = 8 << 10
"""OpenSSL takes a write as a whole or not at all: in pieces it is seen whether the line moves."""
PACKET_LIMIT_BYTES = 268_435_455
"""MQTT 5.0 section 1.5.5: the largest remaining length."""
HEADROOM_BYTES = 256
"""Fixed header, topic length, packet id and properties of a PUBLISH, generously."""
MISC_S = 1.0
MOVING_BYTES = 100
"""A line that takes less of a packet in a second is not alive for it."""
UNSENT_BYTES = 32 << 10
"""What the kernel takes ahead of the network: more would stand before the keep-alive, where nobody can pass it."""
TAKEN_OVER = 0x8E
UNSUPPORTED_VERSION = 0x84


class Message(Struct, frozen=True):
    """What is to be published, always QoS 1."""

    topic: str
    payload: bytes
    content_type: str
    retain: bool = False


class Granted(Struct, frozen=True):
    """What the broker's CONNACK allows."""

    window: int = WINDOW
    packet_bytes: int = PACKET_LIMIT_BYTES
    retain: bool = True
    session_present: bool = False


class Listener(Protocol):
    """Who is told, each time in a turn of the loop of its own."""

    def published(self, mid: int, code: int, reason: str) -> None:
        """PUBACK."""
        ...

    def received(self, topic: str, payload: bytes) -> None:
        """PUBLISH from the broker."""
        ...

    def subscribed(self, codes: tuple[int, ...]) -> None:
        """SUBACK."""
        ...

    def lost(self, error: errors.UplinkError) -> None:
        """The connection is over."""
        ...


class _Wire:
    """The socket paho sees: reads in large pieces, never asks for more than that at once, remembers what broke."""

    def __init__(self, secure: ssl.SSLSocket) -> None:
        self._secure = secure
        self._ahead = b""
        self.broke: OSError | None = None
        self.sent = 0
        self.received = 0

    def recv(self, size: int) -> bytes:
        if not self._ahead:
            try:
                self._ahead = self._secure.recv(READ_BYTES)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except OSError as error:
                self.broke = error
                raise
            self.received += len(self._ahead)
        piece, self._ahead = self._ahead[:size], self._ahead[size:]
        return piece

    def send(self, data: bytes) -> int:
        view, done = memoryview(data), 0
        while done < len(view):
            try:
                done += self._secure.send(view[done : done + WRITE_BYTES])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if done:
                    break
                raise
            except OSError as error:
                self.broke = error
                raise
        self.sent += done
        return done

    def unsent(self) -> int:
        """Bytes in the kernel that the far end has not taken (SIOCOUTQ of linux/sockios.h, the same as TIOCOUTQ)."""
        try:
            return int.from_bytes(fcntl.ioctl(self._secure.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        except (OSError, ValueError):
            return 0

    def pending(self) -> int:
        return len(self._ahead) or self._secure.pending()

    def close(self) -> None:
        self._ahead = b""
        self._secure.close()

    def fileno(self) -> int:
        return self._secure.fileno()

    def setblocking(self, flag: bool) -> None:
        self._secure.setblocking(flag)


class _Paho(Client):
    """paho's client over a socket that is already connected: it never opens one itself."""

    def __init__(self, client_id: str, wire: _Wire) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
        )
        self.wire = wire
        self._seen = 0

    def _create_socket(self) -> Any:
        return self.wire

    def incoming_bytes(self) -> int:
        """Announced length of the packet that is being read."""
        return self._in_packet["remaining_length"]

    @property
    def is_writing(self) -> bool:
        """Whether packets wait for the socket."""
        return bool(self._out_packet)

    def _send_pingreq(self) -> MQTTErrorCode:
        """The keep-alive goes before everything that waits, but for the packet that TLS may have begun to write."""
        code = super()._send_pingreq()
        if len(self._out_packet) > 1:
            self._out_packet.insert(1, self._out_packet.pop())
        return code

    def _check_keepalive(self) -> None:
        """While a long packet goes out, and the line moves, no answer can be missed: the question waits behind it."""
        unsent = self.wire.unsent()
        crossed, self._seen = self.wire.sent - unsent - self._seen, self.wire.sent - unsent
        if (self._out_packet or unsent) and crossed >= MOVING_BYTES:
            with self._msgtime_mutex:
                self._last_bytes_received = time_func()
            if self._ping_t:
                self._ping_t = time_func()
        super()._check_keepalive()


class Connection:
    """One MQTT connection. `start` sends CONNECT; the listener hears the rest.

    Without a will it is the one that asks for the time: it leaves what else comes in with the broker, unconfirmed.
    """

    def __init__(self, secure: ssl.SSLSocket, client_id: str, will: Message | None, listener: Listener) -> None:
        self._loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            secure.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self._wire = _Wire(secure)
        self._paho = _Paho(client_id, self._wire)
        self._listener = listener
        self._connack: asyncio.Future[Granted] = self._loop.create_future()
        self._misc: asyncio.TimerHandle | None = None
        self._is_over = False
        self._gone = asyncio.Event()
        if will is None:
            self._paho.manual_ack_set(True)
        else:
            properties = _properties(PacketTypes.WILLMESSAGE, will)
            self._paho.will_set(will.topic, will.payload, 1, will.retain, properties)
        self._paho.max_inflight_messages_set(0)  # no limit: the window is ours, counted before publish()
        self._paho.on_connect = self._on_connect
        self._paho.on_disconnect = self._on_disconnect
        self._paho.on_publish = self._on_publish
        self._paho.on_message = self._on_message
        self._paho.on_subscribe = self._on_subscribe
        self._paho.on_socket_open = lambda _c, _u, sock: self._loop.add_reader(sock.fileno(), self._readable)
        self._paho.on_socket_close = lambda _c, _u, sock: self._unhook(sock.fileno())
        self._paho.on_socket_register_write = lambda _c, _u, sock: self._loop.add_writer(
            sock.fileno(), self._writable
        )
        self._paho.on_socket_unregister_write = lambda _c, _u, sock: self._no_writer(sock.fileno())

    async def start(self, timeout_s: float) -> Granted:
        """CONNECT and await CONNACK. Raises leaves of `UplinkError`."""
        hello = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        hello.SessionExpiryInterval = SESSION_EXPIRY_S
        hello.ReceiveMaximum = INCOMING_WINDOW
        hello.MaximumPacketSize = INCOMING_LIMIT_BYTES
        try:
            self._paho.connect("broker", 1, KEEPALIVE_S, clean_start=False, properties=hello)
            self._misc = self._loop.call_later(MISC_S, self._tick)
            async with asyncio.timeout(timeout_s):
                return await self._connack
        except TimeoutError as error:
            self._end(errors.BrokerProtocol())
            raise errors.BrokerProtocol() from error
        except BaseException:
            self._end(errors.ConnectionLost())
            raise

    def publish(self, message: Message) -> int:
        """Send with QoS 1; the packet id under which its PUBACK will come."""
        properties = _properties(PacketTypes.PUBLISH, message)
        return self._paho.publish(message.topic, message.payload, 1, message.retain, properties).mid

    def subscribe(self, *topics: str) -> None:
        """Subscribe with QoS 1; one SUBACK with a code for each."""
        self._paho.subscribe([(topic, 1) for topic in topics])

    def unsubscribe(self, topic: str) -> None:
        """No more of it."""
        self._paho.unsubscribe(topic)

    async def close(self, timeout_s: float) -> None:
        """DISCONNECT (the broker forgets the will), written before the socket is closed if the line lets it."""
        if not self._is_over:
            self._paho.disconnect()  # paho closes the socket once DISCONNECT is written, and says so
            try:
                async with asyncio.timeout(timeout_s):
                    await self._gone.wait()
            except TimeoutError:
                pass
        self.drop()

    def drop(self) -> None:
        """Close the socket as a broken line would: the broker publishes the will."""
        self._is_over = True
        self._close_socket()

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes inside TLS, sent and received."""
        return self._wire.sent, self._wire.received

    @property
    def is_writing(self) -> bool:
        """Whether something waits for the socket to take more."""
        return self._paho.is_writing

    def _close_socket(self) -> None:
        if self._misc is not None:
            self._misc.cancel()
        descriptor = self._wire.fileno()
        if descriptor >= 0:
            self._unhook(descriptor)
            self._wire.close()

    def _unhook(self, descriptor: int) -> None:
        if descriptor < 0 or self._loop.is_closed():  # closed already; paho's own end comes later
            return
        self._loop.remove_reader(descriptor)
        self._loop.remove_writer(descriptor)

    def _no_writer(self, descriptor: int) -> None:
        if descriptor >= 0 and not self._loop.is_closed():
            self._loop.remove_writer(descriptor)

    def _end(self, error: errors.UplinkError) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._gone.set()
        self._close_socket()
        if not self._connack.done():
            self._connack.set_exception(error)
            self._connack.exception()  # retrieved: nobody may be waiting for it any more
        else:
            self._loop.call_soon(self._listener.lost, error)

    def _readable(self) -> None:
        # TLS and our own look-ahead may hold more packets than the selector knows of.
        while not self._is_over:
            code = self._paho.loop_read()
            if self._paho.incoming_bytes() > INCOMING_LIMIT_BYTES:
                self._end(errors.BrokerProtocol())
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS or not self._wire.pending():
                return

    def _writable(self) -> None:
        self._paho.loop_write()

    def _tick(self) -> None:
        self._misc = self._loop.call_later(MISC_S, self._tick)
        self._paho.loop_misc()

    def _on_connect(self, _c: Client, _u: Any, flags: Any, reason: ReasonCode, said: Properties | None) -> None:
        if self._connack.done():
            return
        if reason.is_failure:
            no = errors.BrokerProtocol() if reason.value == UNSUPPORTED_VERSION else None
            self._end(no or errors.BrokerSaysNo(reason=str(reason)))
            return
        if getattr(said, "MaximumQoS", 1) < 1:
            self._end(errors.BrokerWithoutQos())
            return
        self._connack.set_result(
            Granted(
                min(getattr(said, "ReceiveMaximum", WINDOW), WINDOW),
                getattr(said, "MaximumPacketSize", PACKET_LIMIT_BYTES),
                bool(getattr(said, "RetainAvailable", 1)),
                flags.session_present,
            )
        )

    def _on_disconnect(self, _c: Client, _u: Any, flags: Any, reason: ReasonCode, _p: Properties | None) -> None:
        broke = self._wire.broke
        alert = explain_alert(broke) if isinstance(broke, ssl.SSLError) else None
        if alert is not None:
            self._end(alert)
        elif flags.is_disconnect_packet_from_server:
            is_taken = reason.value == TAKEN_OVER
            self._end(errors.TakenOver() if is_taken else errors.BrokerLeaves(reason=str(reason)))
        elif self._connack.done() or isinstance(broke, socket.timeout | ConnectionError):
            self._end(errors.ConnectionLost())
        else:
            self._end(errors.BrokerProtocol())

    def _on_publish(self, _c: Client, _u: Any, mid: int, reason: ReasonCode, _p: Properties | None) -> None:
        self._loop.call_soon(self._listener.published, mid, reason.value, str(reason))

    def _on_subscribe(self, _c: Client, _u: Any, _mid: int, reasons: list[ReasonCode], _p: Any) -> None:
        self._loop.call_soon(self._listener.subscribed, tuple(reason.value for reason in reasons))

    def _on_message(self, _c: Client, _u: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self._loop.call_soon(self._listener.received, topic, bytes(message.payload))


def _properties(kind: int, message: Message) -> Properties:
    properties = Properties(kind)  # type: ignore[no-untyped-call]
    properties.ContentType = message.content_type
    return properties
