"""This box's own files: certificate, key, CA and acknowledgement key, each fault with its own sentence."""

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from gateway.language import N_, _
from gateway.uplink.certificates import CLIENT_AUTH, Certificate, read_certificates
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
_NO_PAIR = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
_WEAK = frozenset({"EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"})
"""Reasons of openssl/x509err.h and sslerr.h; the last of the first ones: the key is of another kind."""


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


def _certificates(role: str, path: str) -> list[Certificate]:
    try:
        return read_certificates(read_file(role, path))
    except ValueError as error:
        raise FileDamaged(role=_(role), path=path) from error


def check_identity(files: TlsPaths, gateway: str, now: datetime | None) -> Certificate:
    """Our certificate, if our files are whole, fit each other, and are valid now. Raises leaves of `LocalError`.

    `now` is None where the clock is not trusted: the broker judges our dates by its own, and better.
    """
    _certificates("CA", files.ca)
    ours = _certificates("certificate", files.certificate)[0]
    read_file("key", files.key)
    if files.crl:
        read_file("revocation list", files.crl)
    _check_pair(files)
    if now is not None and now > ours.ends:
        raise CertificateExpired(end=f"{ours.ends:%Y-%m-%d}")
    if now is not None and now < ours.begins:
        raise CertificateNotYet(start=f"{ours.begins:%Y-%m-%d}", now=f"{now:%Y-%m-%d %H:%M}")
    if ours.common_names != (gateway,):
        raise CertificateOther(found=", ".join(ours.common_names), gateway=gateway)
    if CLIENT_AUTH not in ours.purposes:
        raise CertificateNotClient(path=files.certificate)
    return ours


def _check_pair(files: TlsPaths) -> None:
    """Whether OpenSSL can use the key, and with this certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(files.certificate, files.key, _no_password)
    except ssl.SSLError as error:
        if error.reason in _NO_PAIR:
            raise KeyMismatch(key=files.key, certificate=files.certificate) from error
        if error.reason in _WEAK:
            raise FileDamaged(role=_("certificate"), path=files.certificate) from error
        raise FileDamaged(role=_("key"), path=files.key) from error
    except (OSError, ValueError) as error:  # gone meanwhile, or locked with a password
        raise FileDamaged(role=_("key"), path=files.key) from error


def _no_password() -> str:
    """Nobody could type it; without this OpenSSL would ask at the terminal."""
    raise ValueError


def begins(files: TlsPaths) -> float:
    """When our certificate begins, in seconds since 1970: it cannot be earlier now. 0.0 where it cannot be read."""
    try:
        return _certificates("certificate", files.certificate)[0].begins.timestamp()
    except LocalError:
        return 0.0


def utc(seconds: float) -> datetime:
    """Seconds since 1970 as a UTC moment."""
    return datetime.fromtimestamp(seconds, UTC)
