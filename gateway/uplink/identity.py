"""This box's own files: certificate, key, CA and acknowledgement key, each fault with its own sentence."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from gateway.language import N_, _
from gateway.uplink.errors import (
    AckKeyUnfit,
    CertificateExpired,
    CertificateNotClient,
    CertificateNotYet,
    CertificateOther,
    FileDamaged,
    FileMissing,
    FileUnreadable,
    KeyMismatch,
    LocalError,
)
from gateway.uplink.schema import decode_key

ROLES = (N_("CA"), N_("certificate"), N_("key"), N_("acknowledgement key"), N_("revocation list"))
"""What a file is for, as the sentences name it."""
FILE_LIMIT_BYTES = 1 << 20


class TlsPaths(Protocol):
    """Where the files lie: the configuration's struct, or `TlsFiles`."""

    @property
    def ca(self) -> str: ...  # noqa: D102
    @property
    def certificate(self) -> str: ...  # noqa: D102
    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def crl(self) -> str: ...  # noqa: D102


class TlsFiles(Struct, frozen=True):
    """Paths of the programme's CA, this box's certificate chain and key, and optionally a revocation list."""

    ca: str
    certificate: str
    key: str
    crl: str = ""


def read_file(role: str, path: str) -> bytes:
    """The whole of one of our files. Raises `FileMissing`, `FileUnreadable`."""
    try:
        with Path(path).open("rb") as file:
            return file.read(FILE_LIMIT_BYTES)
    except FileNotFoundError as error:
        raise FileMissing(role=_(role), path=path) from error
    except OSError as error:
        raise FileUnreadable(role=_(role), path=path, why=error.strerror or type(error).__name__) from error


def read_ack_key(path: str) -> bytes:
    """The key that verifies acknowledgements. Raises leaves of `LocalError`."""
    text = read_file("acknowledgement key", path)
    try:
        return decode_key(text.decode("ascii"))
    except ValueError as error:
        raise AckKeyUnfit(path=path) from error


def _certificates(role: str, path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(read_file(role, path))
    except ValueError as error:
        raise FileDamaged(role=_(role), path=path) from error


def check_identity(files: TlsPaths, gateway: str, now: datetime | None) -> x509.Certificate:
    """Our certificate, if our files are whole, fit each other, and are valid now. Raises leaves of `LocalError`.

    `now` is None where the clock is not trusted: the broker judges our dates by its own, and better.
    """
    _certificates("CA", files.ca)
    ours = _certificates("certificate", files.certificate)[0]
    key_pem = read_file("key", files.key)
    if files.crl:
        read_file("revocation list", files.crl)
    try:
        key = load_pem_private_key(key_pem, None)
    except (ValueError, TypeError) as error:  # TypeError: the key asks for a password, which nobody could type
        raise FileDamaged(role=_("key"), path=files.key) from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != ours.public_key().public_bytes(*form):
        raise KeyMismatch(key=files.key, certificate=files.certificate)
    if now is not None and now > ours.not_valid_after_utc:
        raise CertificateExpired(end=f"{ours.not_valid_after_utc:%Y-%m-%d}")
    if now is not None and now < ours.not_valid_before_utc:
        raise CertificateNotYet(start=f"{ours.not_valid_before_utc:%Y-%m-%d}", now=f"{now:%Y-%m-%d %H:%M}")
    found = [str(name.value) for name in ours.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if found != [gateway]:
        raise CertificateOther(found=", ".join(found), gateway=gateway)
    if ExtendedKeyUsageOID.CLIENT_AUTH not in purposes(ours):
        raise CertificateNotClient(path=files.certificate)
    return ours


def begins(files: TlsPaths) -> float:
    """When our certificate begins, in seconds since 1970: it cannot be earlier now. 0.0 where it cannot be read."""
    try:
        return _certificates("certificate", files.certificate)[0].not_valid_before_utc.timestamp()
    except LocalError:
        return 0.0


def purposes(certificate: x509.Certificate) -> frozenset[x509.ObjectIdentifier]:
    """The extended key usages; empty where there is no such extension."""
    try:
        return frozenset(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()


def names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    """The subject alternative names, or None."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it says CA:TRUE."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def utc(seconds: float) -> datetime:
    """Seconds since 1970 as a UTC moment."""
    return datetime.fromtimestamp(seconds, UTC)
