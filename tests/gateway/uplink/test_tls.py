"""The TLS servers a gateway must refuse, each with its own sentence, and the one it accepts (EN 303 645 5.5, 5.8)."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.uplink import errors
from gateway.uplink.certificates import read_certificates
from gateway.uplink.identity import TlsFiles
from gateway.uplink.tls import Broker, Witness, check_server, connect, parse_broker
from simulators.central.lab_ca import CLIENT, SERVER, LabAuthority, Pair
from tests.gateway.uplink.tls_server import Server, server_context

NAMES = ("localhost", "127.0.0.1")
GATEWAY = "gw-test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LabAuthority:
    return LabAuthority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def files(authority: LabAuthority) -> TlsFiles:
    pair = authority.gateway(GATEWAY)
    return TlsFiles(str(authority.ca), str(pair.certificate), str(pair.key))


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(context: ssl.SSLContext | None, greeting: bytes = b"") -> Server:
        servers.append(Server(context, greeting))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def dial(port: int, files: TlsFiles, host: str = "localhost") -> None:
    async def once() -> None:
        secure = await connect(Broker(host, port), files, gateway=GATEWAY, wall=time.time(), timeout_s=5.0)
        secure.close()

    asyncio.run(once())


def bad_pair(kind: str, authority: LabAuthority, folder: Path) -> Pair:
    day = timedelta(days=1)
    issue = authority.issue
    return {
        "self_signed": lambda: authority.self_signed(kind),
        "other_ca": lambda: LabAuthority(folder / "other", "Other").server(),
        "expired": lambda: issue(kind, "localhost", san=NAMES, purposes=SERVER, begins=-9 * day, life=day),
        "not_yet": lambda: issue(kind, "localhost", san=NAMES, purposes=SERVER, begins=9 * day),
        "wrong_san": lambda: issue(kind, "localhost", san=("elsewhere.example",), purposes=SERVER),
        "cn_only": lambda: issue(kind, "localhost", purposes=SERVER),
        "eku_client": lambda: issue(kind, "localhost", san=NAMES, purposes=CLIENT),
        "no_eku": lambda: issue(kind, "localhost", san=NAMES),
        "ca_leaf": lambda: issue(kind, "localhost", san=NAMES, purposes=SERVER, is_authority=True),
        "sloppy": lambda: issue(kind, "localhost", san=NAMES, purposes=SERVER, names_issuer=False),
        "gateway": lambda: authority.gateway("gw-other"),
        "revoked": lambda: authority.server(stem=kind),
    }[kind]()


CERTIFICATES = {
    "self_signed": errors.ServerSelfSigned,
    "other_ca": errors.ServerOtherAuthority,
    "expired": errors.ServerExpired,
    "not_yet": errors.ServerNotYet,
    "wrong_san": errors.ServerOtherName,
    "cn_only": errors.ServerNameless,
    "eku_client": errors.ServerWrongPurpose,
    "no_eku": errors.ServerNoPurpose,
    "ca_leaf": errors.ServerIsAuthority,
    "sloppy": errors.BrokerUntrusted,  # against RFC 5280: only VERIFY_X509_STRICT minds
    "gateway": errors.ServerIsGateway,
    "revoked": errors.ServerRevoked,
}
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


@pytest.mark.parametrize("version", VERSIONS, ids=["tls12", "tls13"])
@pytest.mark.parametrize("kind", CERTIFICATES)
def test_bad_certificate_is_refused_and_gets_nothing(
    kind: str,
    version: ssl.TLSVersion,
    authority: LabAuthority,
    files: TlsFiles,
    serve: Callable[..., Server],
    tmp_path: Path,
) -> None:
    pair = bad_pair(kind, authority, tmp_path)
    if kind == "revoked":
        files = TlsFiles(files.ca, files.certificate, files.key, str(authority.crl([pair])))
    server = serve(server_context(authority, pair, version))
    with pytest.raises(errors.BrokerUntrusted) as caught:
        dial(server.port, files)
    assert type(caught.value) is CERTIFICATES[kind]
    assert caught.value.text()
    server.close()
    assert server.inside == b""


@pytest.mark.parametrize("version", VERSIONS, ids=["tls12", "tls13"])
@pytest.mark.parametrize("host", NAMES)
@pytest.mark.parametrize("with_crl", [False, True])
def test_good_server_is_accepted(
    host: str,
    version: ssl.TLSVersion,
    with_crl: bool,
    authority: LabAuthority,
    files: TlsFiles,
    serve: Callable[..., Server],
) -> None:
    if with_crl:
        files = TlsFiles(files.ca, files.certificate, files.key, str(authority.crl(stem="empty")))
    dial(serve(server_context(authority, authority.server(), version)).port, files, host)


@pytest.mark.parametrize("version", VERSIONS, ids=["tls12", "tls13"])
def test_server_that_does_not_ask_for_our_certificate(
    version: ssl.TLSVersion, authority: LabAuthority, files: TlsFiles, serve: Callable[..., Server]
) -> None:
    context = server_context(authority, authority.server(), version)
    context.verify_mode = ssl.CERT_NONE
    server = serve(context)
    with pytest.raises(errors.ServerAsksNothing):
        dial(server.port, files)
    server.close()
    assert server.inside == b""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_1_1_is_refused(authority: LabAuthority, files: TlsFiles, serve: Callable[..., Server]) -> None:
    context = server_context(authority, authority.server())
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    server = serve(context)
    with pytest.raises(errors.ServerOldTls):
        dial(server.port, files)
    server.close()
    assert server.inside == b""


def test_cbc_only_server_is_refused(authority: LabAuthority, files: TlsFiles, serve: Callable[..., Server]) -> None:
    context = server_context(authority, authority.server(), ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA")
    with pytest.raises(errors.ServerOldTls):
        dial(serve(context).port, files)


@pytest.mark.parametrize(
    ("greeting", "leaf"),
    [(b"\x20\x03\x00\x00\x00 and more that is not TLS", errors.ServerPlainText), (b"", errors.ServerHangsUp)],
)
def test_plain_text_server_sees_a_client_hello_and_nothing_else(
    greeting: bytes, leaf: type[errors.UplinkError], files: TlsFiles, serve: Callable[..., Server]
) -> None:
    server = serve(None, greeting)
    with pytest.raises(leaf):
        dial(server.port, files)
    server.close()
    assert server.clear[:2] == b"\x16\x03"
    assert b"MQTT" not in server.clear


@pytest.mark.parametrize("life", [timedelta(days=-1), None])
def test_old_or_incomplete_revocation_list(
    life: timedelta | None, authority: LabAuthority, files: TlsFiles, serve: Callable[..., Server], tmp_path: Path
) -> None:
    crl = authority.crl(life=life, stem="old") if life else LabAuthority(tmp_path / "o", "Other").crl()
    server = serve(server_context(authority, authority.server()))
    with pytest.raises(errors.RevocationListOld):
        dial(server.port, TlsFiles(files.ca, files.certificate, files.key, str(crl)))


def test_silent_server_is_given_up(files: TlsFiles) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    async def once() -> None:
        where = Broker("127.0.0.1", listener.getsockname()[1])
        await connect(where, files, gateway=GATEWAY, wall=time.time(), timeout_s=0.1)

    with listener, pytest.raises(errors.BrokerSilent):
        asyncio.run(once())


def test_network_failures_have_their_own_sentences(files: TlsFiles) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(errors.BrokerRefuses):
        dial(port, files, "127.0.0.1")
    with pytest.raises(errors.BrokerUnknown):
        dial(port, files, "no-such-name.invalid")
    with pytest.raises(errors.BrokerUnreachable):
        dial(port, files, "255.255.255.255")


def test_the_second_fence_holds_alone(authority: LabAuthority) -> None:
    """What OpenSSL refuses before as well."""
    where, witness = Broker("localhost", 1), Witness()
    ours = read_certificates(authority.gateway(GATEWAY).certificate.read_bytes())[0]
    plain = authority.issue("plain", GATEWAY, purposes=CLIENT)
    witness.leaf = read_certificates(plain.certificate.read_bytes())[0]
    with pytest.raises(errors.ServerWrongPurpose):
        check_server(witness, ours, where)
    with pytest.raises(errors.ServerIsGateway):
        check_server(witness, witness.leaf, where)  # ours, though it does not say that it is a box's
    witness.leaf = ours
    with pytest.raises(errors.ServerIsGateway):
        check_server(witness, read_certificates(plain.certificate.read_bytes())[0], where)


def test_a_python_that_cannot_see_the_handshake_connects_to_nothing(
    authority: LabAuthority, files: TlsFiles, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(server_context(authority, authority.server()))
    monkeypatch.setattr(Witness, "see", lambda *_: None)
    with pytest.raises(errors.TlsBlind):
        dial(server.port, files)
    monkeypatch.delattr(ssl.SSLContext, "_msg_callback")
    with pytest.raises(errors.TlsBlind):
        dial(server.port, files)
    server.close()
    assert server.inside == b""


@pytest.mark.parametrize(
    ("url", "leaf"),
    [
        ("mqtt://a:1883", errors.PlainTextRefused),
        ("tcp://a:1883", errors.PlainTextRefused),
        ("ws://a", errors.PlainTextRefused),
        ("MQTT://a", errors.PlainTextRefused),
        ("a:8883", errors.BrokerAddress),
        ("", errors.BrokerAddress),
        ("mqtts://", errors.BrokerAddress),
        ("mqtts://a:0", errors.BrokerAddress),
        ("mqtts://a:99999", errors.BrokerAddress),
        ("mqtts://u:p@a", errors.BrokerAddress),
        ("mqtts://a/x", errors.BrokerAddress),
        ("mqtts://[::1", errors.BrokerAddress),
    ],
)
def test_addresses_that_are_refused(url: str, leaf: type[errors.UplinkError]) -> None:
    with pytest.raises(leaf):
        parse_broker(url)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [("mqtts://b.example:1", "b.example", 1), ("mqtts://b", "b", 8883), ("mqtts://[::1]:8/", "::1", 8)],
)
def test_addresses(url: str, host: str, port: int) -> None:
    assert parse_broker(url) == Broker(host, port)
