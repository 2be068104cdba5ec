"""What docs/platform/broker.md says of certificates that end, seen on a real broker."""

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from simulators.central.broker import Mosquitto, find_mosquitto
from simulators.central.lab_ca import LabAuthority
from tests.platform.contract import DOCS
from tests.simulators.central.test_consumer import until

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")

BOX, OTHER = "gw-stolen-003", "gw-good-001"
DENIED = 0x87
WAIT_S = 10


def _tls(authority: LabAuthority, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.ca))
    context.load_cert_chain(*authority.gateway(name))
    return context


class Box:
    """A connection by hand; `codes` are the reason codes of its PUBACKs."""

    def __init__(self, port: int, authority: LabAuthority, name: str) -> None:
        self.name, self.codes, self._said = name, list[int](), threading.Condition()
        connected = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.tls_set_context(_tls(authority, name))
        self._client.on_connect = lambda *_: connected.set()
        self._client.on_publish = self._note
        self._client.connect("localhost", port)
        self._client.loop_start()
        self.is_connected = connected.wait(WAIT_S)

    def _note(self, _client: Client, _user: object, _mid: int, reason: Any, _properties: object) -> None:
        with self._said:
            self.codes.append(reason.value)
            self._said.notify_all()

    def publish(self) -> int:
        """Publish; the reason code that comes back."""
        with self._said:
            before = len(self.codes)
            self._client.publish(f"jisr/v1/site/{self.name}/live/event", b"{}", 1)
            assert self._said.wait_for(lambda: len(self.codes) > before, WAIT_S)
            return self.codes[-1]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_publish = None  # no circle: paho closes its sockets when it is let go


@pytest.fixture
def authority(tmp_path: Path) -> LabAuthority:
    return LabAuthority(tmp_path / "ca")


@pytest.fixture
def broker(tmp_path: Path, authority: LabAuthority) -> Iterator[Mosquitto]:
    found = Mosquitto(tmp_path / "broker", authority, extra={"crlfile": str(authority.crl())})
    found.start()
    yield found
    found.stop()


def _is_refused(broker: Mosquitto, authority: LabAuthority, name: str) -> bool:
    """Whether the broker refuses this certificate; with TLS 1.2, so that the handshake itself fails."""
    context = _tls(authority, name)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("localhost", broker.port)) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost"):
                return False
        except ssl.SSLError:
            return True


def test_revocation_leaves_a_session_and_the_rights_end_it(
    broker: Mosquitto, authority: LabAuthority, tmp_path: Path
) -> None:
    box = Box(broker.port, authority, BOX)
    assert box.is_connected
    authority.crl([authority.gateway(BOX)])
    broker.reload()
    until(lambda: _is_refused(broker, authority, BOX))
    assert not _is_refused(broker, authority, OTHER)
    assert box.publish() < 0x80
    rights = tmp_path / "broker" / "acl"
    deny = f"user {BOX}\ntopic deny jisr/#\n"
    assert "  " + deny.replace("\n", "\n  ").strip() in (DOCS / "broker.md").read_text(encoding="utf-8")
    rights.write_text(rights.read_text(encoding="utf-8") + "\n" + deny, encoding="utf-8")
    broker.reload()
    until(lambda: box.publish() == DENIED)
    box.close()


def test_an_expired_list_shuts_good_boxes_out(broker: Mosquitto, authority: LabAuthority) -> None:
    box = Box(broker.port, authority, OTHER)
    authority.crl(life=timedelta(hours=-1))
    broker.reload()
    until(lambda: _is_refused(broker, authority, OTHER))
    assert box.publish() < DENIED  # who is connected stays
    box.close()


def test_a_foreign_client_id_puts_nobody_off_line(broker: Mosquitto, authority: LabAuthority) -> None:
    box = Box(broker.port, authority, OTHER)
    thief = Client(CallbackAPIVersion.VERSION2, OTHER, protocol=MQTTProtocolVersion.MQTTv5)
    thief.tls_set_context(_tls(authority, BOX))
    is_in = threading.Event()
    thief.on_connect = lambda *_: is_in.set()
    thief.connect("localhost", broker.port)
    thief.loop_start()
    assert is_in.wait(WAIT_S)
    assert box.publish() < DENIED
    assert "already connected" not in broker.log()
    thief.disconnect()
    thief.loop_stop()
    box.close()
