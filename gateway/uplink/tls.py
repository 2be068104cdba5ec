"""Mutual TLS to the broker: what comes out of `connect` has passed every check, and no MQTT byte went before.

The dates of the broker's chain are judged by OpenSSL, with the system's clock, or by us (`Dating`), never by nobody:
but for the one connection on which the time is asked (gateway/uplink/timekeeper.py).
The TCP connection and the handshake are made here, without blocking the loop; paho gets the socket afterwards.
That is the guarantee: MQTT's first byte is written by paho, and paho has no socket until `connect` returned one.
`VERIFY_X509_STRICT` and no common-name match refuse what Python's default lets through; extended key usage, CA:TRUE
and "does it ask for our certificate" OpenSSL does not check, so they are read from the handshake itself.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import threading
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from gateway.language import N_, _
from gateway.uplink import dates, errors, identity
from gateway.uplink.certificates import SERVER_AUTH, Certificate, read_certificate
from gateway.uplink.identity import TlsPaths

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""TLS 1.2; every suite of TLS 1.3 is AEAD with an ephemeral key."""
DEFAULT_PORT = 8883
USER_TIMEOUT_MS = 30_000
"""TCP_USER_TIMEOUT: sent bytes that nobody acknowledges for so long end the connection."""
GATEWAY_URI = "urn:jisr:gateway:"
"""Subject alternative name of a box's certificate."""
Dating = Literal["system", "doubtful", "ours", "unchecked"]
"""Who judges dates. `system`: OpenSSL, ours by the same clock. `doubtful`: OpenSSL, but our own certificate is not
judged by a clock that nothing confirms. `ours`: we, at the time we are given. `unchecked`: nobody, to ask the time.
"""
_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of openssl/x509_vfy.h: everything but dates, of revocation lists too."""

_HANDSHAKE, _CERTIFICATE, _CERTIFICATE_REQUEST = 22, 11, 13  # RFC 8446 sections 5.1 and 4
_NOT_YET, _EXPIRED, _SELF_SIGNED, _REVOKED, _PURPOSE, _HOST, _ADDRESS = 9, 10, 18, 23, 26, 62, 64
_CRL, _CRL_DATES = 3, frozenset({11, 12})
_OTHER_AUTHORITY = frozenset({2, 19, 20, 21})
_AUTHORITY = frozenset({_PURPOSE, 24, 25, *range(79, 95)})
"""X509_V_ERR_* of openssl/x509_vfy.h."""
_OLD = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"})
_NO_SUITE = frozenset({"SSLV3_ALERT_HANDSHAKE_FAILURE", "NO_SHARED_CIPHER", "DH_KEY_TOO_SMALL"})
_ALERTS = {
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": N_("expired"),
    "SSLV3_ALERT_CERTIFICATE_REVOKED": N_("revoked"),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": N_("unknown"),
    "SSLV3_ALERT_BAD_CERTIFICATE": N_("bad certificate"),
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": N_("unsupported"),
    "TLSV1_ALERT_UNKNOWN_CA": N_("unknown authority"),
    "TLSV1_ALERT_ACCESS_DENIED": N_("access denied"),
    "TLSV1_ALERT_DECRYPT_ERROR": N_("signature"),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": N_("none was sent"),
}


class Broker(Struct, frozen=True):
    """Where the broker is."""

    host: str
    port: int


def parse_broker(url: str) -> Broker:
    """`mqtts://host[:port]`. Raises `PlainTextRefused`, `BrokerAddress`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", DEFAULT_PORT if parts.port is None else parts.port
    except ValueError as error:
        raise errors.BrokerAddress(found=url) from error
    if parts.scheme in ("mqtt", "tcp", "http", "ws"):
        raise errors.PlainTextRefused(found=url)
    if parts.scheme != "mqtts" or not host or not port or parts.username or parts.path.strip("/") or parts.query:
        raise errors.BrokerAddress(found=url)
    return Broker(host, port)


class Witness:
    """What the handshake showed: the server's own certificate, and whether it asked for ours."""

    def __init__(self) -> None:
        self.leaf: Certificate | None = None
        self.is_asked = False
        self.is_speaking = False
        """At least one message of a TLS handshake came."""

    def see(self, _connection: Any, direction: str, version: Any, content: Any, kind: Any, data: bytes) -> None:
        """Called by OpenSSL for every message of the handshake, in clear."""
        if direction != "read" or content != _HANDSHAKE or not data:
            return
        self.is_speaking = True
        if kind == _CERTIFICATE_REQUEST:
            self.is_asked = True
        elif kind == _CERTIFICATE:
            # RFC 8446 4.4.2: context length 1, list 3, then each certificate 3 + DER; RFC 5246 has no context.
            start = 8 if version == ssl.TLSVersion.TLSv1_3 else 7
            size = int.from_bytes(data[start : start + 3], "big")
            with contextlib.suppress(ValueError):
                self.leaf = read_certificate(data[start + 3 : start + 3 + size])


def client_context(files: TlsPaths, witness: Witness, dating: Dating = "system") -> ssl.SSLContext:
    """A context for one connection. The files have been checked. Raises `FileDamaged`, `TlsBlind`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # no CA of the system: only what is loaded here
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.verify_flags = ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_TRUSTED_FIRST
    if dating in ("ours", "unchecked"):
        context.verify_flags |= _NO_CHECK_TIME
    context.hostname_checks_common_name = False
    try:
        context.load_verify_locations(files.ca)
    except ssl.SSLError as error:
        raise errors.FileDamaged(role=_("CA"), path=files.ca) from error
    if files.crl:
        try:
            context.load_verify_locations(files.crl)
        except ssl.SSLError as error:
            raise errors.FileDamaged(role=_("revocation list"), path=files.crl) from error
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    context.load_cert_chain(files.certificate, files.key)
    if not hasattr(ssl.SSLContext, "_msg_callback"):
        raise errors.TlsBlind()
    context._msg_callback = witness.see  # type: ignore[attr-defined]  # noqa: SLF001
    return context


async def connect(
    broker: Broker,
    files: TlsPaths,
    *,
    gateway: str,
    wall: float,
    timeout_s: float,
    dating: Dating = "system",
    floor: float = 0.0,
) -> ssl.SSLSocket:
    """A TLS connection that passed every check, non-blocking. Raises leaves of `UplinkError`; nothing stays open.

    `wall` is the best time there is, `floor` one before which it cannot be.
    """
    is_dated = dating in ("system", "ours")
    ours = identity.check_identity(files, gateway, identity.utc(wall) if is_dated else None)
    witness = Witness()
    context = client_context(files, witness, dating)
    raw: socket.socket | None = None
    try:
        async with asyncio.timeout(timeout_s):
            raw = await _reach(broker)
            secure = await _handshake(context, raw, broker, witness, _Facts(files, ours, wall))
    except TimeoutError as error:
        if raw is not None:
            raw.close()
        raise errors.BrokerSilent(host=broker.host, port=broker.port, seconds=round(timeout_s)) from error
    except BaseException:
        if raw is not None:
            raw.close()
        raise
    try:
        check_server(witness, ours, broker)
        dates.check_not_over(dates.verified_chain(secure), identity.utc(floor))
        if dating == "ours":
            check_time(secure, files, wall)
    except errors.UplinkError:
        secure.close()
        raise
    return secure


def check_time(secure: ssl.SSLSocket, files: TlsPaths, wall: float) -> None:
    """Whether the chain of this connection, and the revocation lists, are valid at `wall`.

    Raises leaves of `UplinkError`.
    """
    chain, now = dates.verified_chain(secure), identity.utc(wall)
    dates.check_dates(chain, now)
    if files.crl:
        dates.check_lists(files.crl, chain, now)


class _Facts(Struct, frozen=True):
    files: TlsPaths
    ours: Certificate
    wall: float


async def _reach(broker: Broker) -> socket.socket:
    last: OSError | None = None
    for family, address in await _resolve(broker):
        raw = socket.socket(family, socket.SOCK_STREAM)
        try:
            raw.setblocking(False)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
            await asyncio.get_running_loop().sock_connect(raw, address)
        except OSError as error:
            raw.close()
            last = error
        except BaseException:
            raw.close()
            raise
        else:
            return raw
    if isinstance(last, ConnectionRefusedError):
        raise errors.BrokerRefuses(host=broker.host, port=broker.port) from last
    raise errors.BrokerUnreachable(host=broker.host, why=(last and last.strerror) or "?") from last


async def _resolve(broker: Broker) -> list[tuple[int, Any]]:
    """Addresses of the broker. A name is looked up in a daemon thread: a deaf name server must not delay our end."""
    with contextlib.suppress(ValueError):
        version = ipaddress.ip_address(broker.host).version
        return [(socket.AF_INET if version == 4 else socket.AF_INET6, (broker.host, broker.port))]
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[tuple[int, Any]]] = loop.create_future()

    def settle(found: list[tuple[int, Any]] | None) -> None:
        if answer.done():
            return
        if found:
            answer.set_result(found)
        else:
            answer.set_exception(errors.BrokerUnknown(host=broker.host))

    def look_up() -> None:
        try:
            rows = socket.getaddrinfo(broker.host, broker.port, type=socket.SOCK_STREAM)
            found: list[tuple[int, Any]] | None = [(int(row[0]), row[4]) for row in rows]
        except (OSError, UnicodeError):
            found = None
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    return await answer


async def _handshake(
    context: ssl.SSLContext, raw: socket.socket, broker: Broker, witness: Witness, facts: _Facts
) -> ssl.SSLSocket:
    secure = context.wrap_socket(raw, server_hostname=broker.host, do_handshake_on_connect=False)
    loop = asyncio.get_running_loop()
    try:
        while True:
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                await _ready(loop.add_reader, loop.remove_reader, secure)
            except ssl.SSLWantWriteError:
                await _ready(loop.add_writer, loop.remove_writer, secure)
            else:
                return secure
    except (OSError, ValueError) as error:
        secure.close()
        raise explain(error, broker, witness, facts.files, facts.ours, facts.wall) from error
    except BaseException:
        secure.close()
        raise


async def _ready(add: Any, remove: Any, sock: ssl.SSLSocket) -> None:
    event = asyncio.Event()
    add(sock.fileno(), event.set)
    try:
        await event.wait()
    finally:
        remove(sock.fileno())


def check_server(witness: Witness, ours: Certificate, broker: Broker) -> None:
    """What OpenSSL accepts and we do not. Raises leaves of `BrokerUntrusted`."""
    leaf = witness.leaf
    if leaf is None:
        raise errors.TlsBlind()
    if is_gateway(leaf, ours):
        raise errors.ServerIsGateway(host=broker.host)
    if leaf.is_authority:
        raise errors.ServerIsAuthority()
    if not leaf.purposes:
        raise errors.ServerNoPurpose()
    if SERVER_AUTH not in leaf.purposes:
        raise errors.ServerWrongPurpose()
    if not witness.is_asked:
        raise errors.ServerAsksNothing()


def is_gateway(leaf: Certificate, ours: Certificate) -> bool:
    """Whether a certificate is ours, or names a box."""
    return leaf.digest == ours.digest or any(uri.startswith(GATEWAY_URI) for uri in leaf.uris)


def explain(
    error: Exception, broker: Broker, witness: Witness, files: TlsPaths, ours: Certificate, wall: float
) -> errors.UplinkError:
    """The leaf for what OpenSSL or the socket said during the handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_verification(error, broker, witness, files, ours, wall)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError):  # which one: by Python version
        return errors.ServerHangsUp(host=broker.host, port=broker.port)
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if reason in _OLD or reason in _NO_SUITE:
            return errors.ServerOldTls()
        alert = explain_alert(error)
        if alert is None and not witness.is_speaking and "ALERT" not in reason:
            return errors.ServerPlainText(host=broker.host, port=broker.port)
        return alert or errors.BrokerUntrusted(why=reason or type(error).__name__)
    if isinstance(error, OSError):
        return errors.BrokerUnreachable(host=broker.host, why=error.strerror or type(error).__name__)
    return errors.BrokerUntrusted(why=type(error).__name__)


def explain_alert(error: ssl.SSLError) -> errors.UplinkError | None:
    """The broker's alert about our certificate; in TLS 1.3 it comes after the handshake, with the first read."""
    reason = error.reason or ""
    return errors.CertificateRefused(why=_(_ALERTS[reason])) if reason in _ALERTS else None


def _explain_verification(
    error: ssl.SSLCertVerificationError,
    broker: Broker,
    witness: Witness,
    files: TlsPaths,
    ours: Certificate,
    wall: float,
) -> errors.UplinkError:
    code, leaf, now = error.verify_code, witness.leaf, f"{identity.utc(wall):%Y-%m-%d %H:%M}"
    if leaf is not None and code in (_PURPOSE, _HOST, _ADDRESS) and is_gateway(leaf, ours):
        return errors.ServerIsGateway(host=broker.host)
    if leaf is not None and code in _AUTHORITY and leaf.is_authority:
        return errors.ServerIsAuthority()
    if code in (_HOST, _ADDRESS):
        is_nameless = leaf is not None and not leaf.has_names
        return errors.ServerNameless() if is_nameless else errors.ServerOtherName(host=broker.host)
    if code in _OTHER_AUTHORITY:
        return errors.ServerOtherAuthority()
    if code == _CRL or code in _CRL_DATES:
        leaf_class = errors.RevocationListOld if code == _CRL else errors.RevocationListDated
        return leaf_class(path=files.crl)
    simple: dict[int, type[errors.BrokerUntrusted]] = {
        _SELF_SIGNED: errors.ServerSelfSigned,
        _REVOKED: errors.ServerRevoked,
        _PURPOSE: errors.ServerWrongPurpose,
    }
    if code in simple:
        return simple[code]()
    dated = {_NOT_YET: errors.ServerNotYet, _EXPIRED: errors.ServerExpired}
    return dated[code](now=now) if code in dated else errors.BrokerUntrusted(why=error.verify_message)
