"""A courier file: what a box without a link gave a person to carry. Opened without believing any of it.

docs/platform/courier.md draws it. Written from that page only, not from what writes it: the two share no code, so
they share no mistake. A file is read whole, its signature first: nothing of a file that was edited, cut or signed by
a stranger gets as far as a frame.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

MAGIC = b"JSRCOUR1"
FILE_LIMIT_BYTES = 8 << 20
HEADER_LIMIT_BYTES = 256 << 10
CHAIN_LIMIT = 5
SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
"""RFC 9180 base mode, suite 0x0010, 0x0001, 0x0003."""
_CRL_BEGIN = b"-----BEGIN X509 CRL-----"
_NO_CERTIFICATE = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
"""What the library raises for bytes that are none."""


class CourierRefused(Exception):
    """A file of which nothing is taken; `reason` is one machine word, `detail` a fact for a person."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class Header(Struct, frozen=True):
    """What the file says of itself, in clear. No patient's data is in it."""

    gateway: str
    site: str
    spool: str
    at: str
    frames: int
    observations: int
    certificates: tuple[bytes, ...]
    """DER, the box's own first."""
    recipient: str = ""
    """SHA-256 of the public key it is encrypted to; empty: it is not."""
    clock: str = "none"
    v: int = 1


class Parcel(Struct, frozen=True):
    """A file that is what it says: signed by the box it names, whole, and opened."""

    header: Header
    content: bytes
    notes: tuple[str, ...] = ()
    """What is no ground to refuse it, and yet worth saying: one machine word each."""

    def frames(self) -> Iterator[bytes]:
        """The published frames. Raises `CourierRefused`."""
        at, count = 0, 0
        while at < len(self.content):
            size = int.from_bytes(self.content[at : at + 4], "big")
            if not 0 < size <= len(self.content) - at - 4:
                raise CourierRefused("content")
            yield self.content[at + 4 : at + 4 + size]
            at, count = at + 4 + size, count + 1
        if count != self.header.frames:
            raise CourierRefused("content")


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of a public key (SubjectPublicKeyInfo), in hexadecimal."""
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def read_private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """The key that opens courier files. Raises `ValueError`."""
    try:
        key = load_pem_private_key(pem, None)
    except TypeError as error:
        raise ValueError("it asks for a password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a P-256 key")
    return key


class Trust:
    """The programme's CA and, where given, its revocation lists: whom a file may come from."""

    def __init__(self, ca: bytes, crl: bytes = b"") -> None:
        """Raises `ValueError` for what is not PEM."""
        self._store = verification.Store(x509.load_pem_x509_certificates(ca))
        parts = crl.split(_CRL_BEGIN)[1:]
        if crl.strip() and not parts:
            raise ValueError("no revocation list")
        self._lists = [x509.load_pem_x509_crl(_CRL_BEGIN + part) for part in parts]

    def check(self, chain: Sequence[x509.Certificate], gateway: str, at: datetime, now: datetime) -> tuple[str, ...]:
        """Whether the first certificate is this gateway's own; returns notes about its dates.

        A box that was cut off for long may sign with a certificate that ran out, or by a clock that is wrong: neither
        is a ground to lose its data, so the chain is judged at the moment inside its validity nearest to the signing.
        """
        leaf = chain[0]
        start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        try:
            verifier = self._verifier(min(max(at, start), end))
            verified = verifier.verify(leaf, list(chain[1:])).chain
        except verification.VerificationError as error:
            raise CourierRefused("purpose" if "purpose" in str(error) else "authority") from error
        found = [str(name.value) for name in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if found != [gateway]:
            raise CourierRefused("name", ", ".join(found))
        if self._lists:
            for one, issuer in zip(verified, verified[1:], strict=False):
                self._check_revoked(one, issuer, now)
        notes = ["signed_early"] if at < start else ["signed_late"] if at > end else []
        return (*notes, *(["expired"] if now > end else ()))

    def _verifier(self, at: datetime) -> verification.ClientVerifier:
        def may_sign(_policy: object, _certificate: object, usage: x509.ExtendedKeyUsage | None) -> None:
            if usage is None or ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
                raise ValueError("purpose")

        leaf = verification.ExtensionPolicy.permit_all().may_be_present(
            x509.ExtendedKeyUsage, verification.Criticality.AGNOSTIC, may_sign
        )
        authority = verification.ExtensionPolicy.webpki_defaults_ca()
        policy = verification.PolicyBuilder().store(self._store).time(at)
        return policy.extension_policies(ca_policy=authority, ee_policy=leaf).build_client_verifier()

    def _check_revoked(self, one: x509.Certificate, issuer: x509.Certificate, now: datetime) -> None:
        key = issuer.public_key()
        lists = [each for each in self._lists if each.issuer == issuer.subject and each.is_signature_valid(key)]  # type: ignore[arg-type]
        if not lists:
            raise CourierRefused("no_list", issuer.subject.rfc4514_string())
        if any(each.get_revoked_certificate_by_serial_number(one.serial_number) for each in lists):
            raise CourierRefused("revoked")
        ends = [each.next_update_utc for each in lists]
        if all(end is not None and end < now for end in ends):
            raise CourierRefused("old_list", issuer.subject.rfc4514_string())


def read_courier(path: Path) -> bytes:
    """The bytes of a file, if there are not more than any box writes. Raises `CourierRefused`, `OSError`."""
    if not path.is_file():
        raise CourierRefused("not_courier")
    with path.open("rb") as file:
        data = file.read(FILE_LIMIT_BYTES + 1)
    if len(data) > FILE_LIMIT_BYTES:
        raise CourierRefused("too_large" if data.startswith(MAGIC) else "not_courier")
    return data


def open_courier(
    data: bytes, trust: Trust, keys: Sequence[ec.EllipticCurvePrivateKey] = (), now: datetime | None = None
) -> Parcel:
    """Verify and decrypt one file. Raises `CourierRefused`; then nothing in it is to be believed."""
    head, body, signature, signed = _split(data)
    header = _header(head)
    try:
        chain = [x509.load_der_x509_certificate(each) for each in header.certificates[:CHAIN_LIMIT]]
        key = chain[0].public_key() if chain else None
        at = datetime.fromisoformat(header.at)
    except _NO_CERTIFICATE as error:
        raise CourierRefused("header") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or at.tzinfo is None:
        raise CourierRefused("header")
    if not signature:
        raise CourierRefused("unsigned")
    _verify(key, signature, signed)
    notes = trust.check(chain, header.gateway, at, now or datetime.fromtimestamp(time.time(), UTC))
    if not header.recipient:
        return Parcel(header, body, ("plain", *notes))
    if not keys:
        raise CourierRefused("no_key")
    fitting = [key for key in keys if fingerprint(key.public_key()) == header.recipient]
    if not fitting:
        raise CourierRefused("recipient", header.recipient[:16])
    try:
        return Parcel(header, SUITE.decrypt(body, fitting[0], info=head), notes)
    except InvalidTag as error:
        raise CourierRefused("decrypt") from error


def _split(data: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Header, body and signature, each behind its length; and everything that is signed."""
    if not data.startswith(MAGIC[:7]):
        raise CourierRefused("not_courier")
    if not data.startswith(MAGIC):
        raise CourierRefused("version")
    parts, ends, at = [], [], len(MAGIC)
    for _ in range(3):
        size = int.from_bytes(data[at : at + 4], "big")
        if len(data) < at + 4 + size:
            raise CourierRefused("truncated")
        parts.append(data[at + 4 : at + 4 + size])
        at += 4 + size
        ends.append(at)
    if at != len(data):
        raise CourierRefused("signature")  # more than was signed
    return parts[0], parts[1], parts[2], data[: ends[1]]


def _header(head: bytes) -> Header:
    if len(head) > HEADER_LIMIT_BYTES:
        raise CourierRefused("header")
    try:
        header = msgspec.json.decode(head, type=Header)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise CourierRefused("header") from error
    if header.v != 1:
        raise CourierRefused("version")
    return header


def _verify(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes) -> None:
    try:
        key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise CourierRefused("signature") from error
