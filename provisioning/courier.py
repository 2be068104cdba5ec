"""Courier files: what a person carries for a box without a link. Signed by the box, encrypted to the platform.

The bytes are drawn in docs/platform/courier.md. They are encrypted before they are signed, so that a file that was
edited is refused before anything in it is opened; the header is bound to what is encrypted (HPKE's `info`), so that
nobody else can sign another box's data as his own.
"""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import verification
from msgspec import Struct

from gateway.errors import JisrError
from gateway.language import N_, _
from gateway.uplink.errors import FileDamaged
from gateway.uplink.identity import TlsPaths, check_identity, read_file

MAGIC = b"JSRCOUR1"
SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
"""RFC 9180 base mode."""


class KeyUnfit(JisrError):
    """The box's key is of a kind that courier files are not signed with."""

    sentence = N_("{path}: courier files are signed with a P-256 key, and this one is of another kind.")


class RecipientUnfit(JisrError):
    """The certificate given with --to is no reason to encrypt to it."""

    exit_code = 2
    sentence = N_("{path}: nothing is encrypted to this certificate: {why}.")


NOT_P256 = N_("its key is not of the kind P-256")
NOT_FOR_THIS = N_("it is not made for that (key usage keyAgreement; a box's or a broker's certificate is not)")
OTHER_CA = N_("it was not issued by the programme's CA")


class Range(Struct, frozen=True, array_like=True):
    """Observations of one lane and epoch, both ends inside."""

    lane: str
    epoch: int
    first: int
    last: int


class Header(Struct, frozen=True):
    """What a file says of itself, in clear: no patient's data."""

    gateway: str
    site: str
    spool: str
    number: int
    at: str
    clock: str
    frames: int
    observations: int
    earliest: str
    """Time of reception of the earliest observation; empty if none has one."""
    latest: str
    ranges: tuple[Range, ...]
    certificates: tuple[bytes, ...]
    recipient: str = ""
    v: int = 1


class Signer(Struct, frozen=True):
    """This box: its certificate chain (DER, its own first) and the key that stays here."""

    chain: tuple[bytes, ...]
    key: ec.EllipticCurvePrivateKey

    def sign(self, data: bytes) -> bytes:
        """ECDSA with SHA-256, DER."""
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))

    def has_signed(self, signature: bytes, data: bytes) -> bool:
        """Whether it is a signature of this box."""
        try:
            self.key.public_key().verify(signature, data, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


class Recipient(Struct, frozen=True):
    """To whom files are encrypted."""

    key: ec.EllipticCurvePublicKey
    fingerprint: str
    ends: datetime


def _inside(leaf: x509.Certificate, now: datetime) -> datetime:
    """The moment nearest to now at which a certificate is valid."""
    return min(max(now, leaf.not_valid_before_utc), leaf.not_valid_after_utc)


def read_signer(files: TlsPaths, gateway: str, now: datetime) -> Signer:
    """The identity of this box. Its dates do not count here: a box that was cut off for long may carry its data out.

    Raises leaves of `LocalError`, `KeyUnfit`.
    """
    try:
        chain = x509.load_pem_x509_certificates(read_file("certificate", files.certificate))
    except ValueError as error:
        raise FileDamaged(role=_("certificate"), path=files.certificate) from error
    check_identity(files, gateway, _inside(chain[0], now))
    key = load_pem_private_key(read_file("key", files.key), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyUnfit(path=files.key)
    return Signer(tuple(one.public_bytes(Encoding.DER) for one in chain), key)


def read_recipient(path: Path, ca: str, now: datetime) -> Recipient:
    """The platform's certificate for courier files, issued under the programme's CA.

    Raises `RecipientUnfit`, leaves of `LocalError`.
    """
    try:
        chain = x509.load_pem_x509_certificates(read_file("certificate", str(path)))
        roots = x509.load_pem_x509_certificates(read_file("CA", ca))
    except ValueError as error:
        raise RecipientUnfit(path=path, why=_(OTHER_CA)) from error
    leaf = chain[0]
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RecipientUnfit(path=path, why=_(NOT_P256))
    if _is_authority(leaf) or not _agrees(leaf):
        raise RecipientUnfit(path=path, why=_(NOT_FOR_THIS))
    anyone = verification.ExtensionPolicy.permit_all()
    policy = verification.PolicyBuilder().store(verification.Store(roots)).time(_inside(leaf, now))
    policy = policy.extension_policies(ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(), ee_policy=anyone)
    try:
        policy.build_client_verifier().verify(leaf, chain[1:])
    except verification.VerificationError as error:
        raise RecipientUnfit(path=path, why=_(OTHER_CA)) from error
    form = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Recipient(key, sha256(form).hexdigest(), leaf.not_valid_after_utc.astimezone(UTC))


def _is_authority(leaf: x509.Certificate) -> bool:
    try:
        return leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _agrees(leaf: x509.Certificate) -> bool:
    try:
        return leaf.extensions.get_extension_for_class(x509.KeyUsage).value.key_agreement
    except (x509.ExtensionNotFound, ValueError):
        return False


def encode_courier(header: Header, content: bytes, signer: Signer, recipient: Recipient | None) -> bytes:
    """The whole file. `content` is what `pack` made of the frames."""
    head = msgspec.json.encode(header)
    body = SUITE.encrypt(content, recipient.key, info=head) if recipient else content
    signed = MAGIC + pack(head) + pack(body)
    return signed + pack(signer.sign(signed))


def pack(data: bytes) -> bytes:
    """The data behind its length, 4 bytes, big endian."""
    return len(data).to_bytes(4, "big") + data


def own_header(data: bytes, signer: Signer) -> Header | None:
    """The header of a file that this box signed; None for anything else, also for a file that is not whole."""
    parts, at = [], len(MAGIC)
    if not data.startswith(MAGIC):
        return None
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        parts.append((data[at + 4 : at + 4 + size], at))
        at += 4 + size
    if at != len(data) or len(parts) != 3 or not signer.has_signed(parts[2][0], data[: parts[2][1]]):
        return None
    try:
        return msgspec.json.decode(parts[0][0], type=Header)
    except (msgspec.DecodeError, ValueError):
        return None
