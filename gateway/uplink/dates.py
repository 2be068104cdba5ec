"""Dates of certificates and revocation lists, judged by us: OpenSSL knows only the system's clock, right or wrong.

Judged is the chain that OpenSSL has verified (signatures, names, usage, revocation), root included: the same one
whose dates it would have judged itself.
"""

import contextlib
import re
import ssl
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography import x509

from gateway.language import _
from gateway.uplink import errors
from gateway.uplink.identity import read_file

_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


def verified_chain(secure: ssl.SSLSocket) -> tuple[x509.Certificate, ...]:
    """What OpenSSL has verified on this connection, the server's own first. Raises `TlsBlind`."""
    inner: Any = secure._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - public only since Python 3.13
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        texts = [one.public_bytes().encode() for one in inner.get_verified_chain()]
        if texts:
            return tuple(x509.load_pem_x509_certificate(text) for text in texts)
    raise errors.TlsBlind()


def check_not_over(chain: Sequence[x509.Certificate], floor: datetime) -> None:
    """Nothing that ended before the clock floor is good by any clock. Raises `ServerLongOver`."""
    if any(one.not_valid_after_utc < floor for one in chain):
        raise errors.ServerLongOver(now=f"{floor:%Y-%m-%d}")


def check_dates(chain: Sequence[x509.Certificate], now: datetime) -> None:
    """Every certificate must be valid now. Raises `ServerExpired`, `ServerNotYet`."""
    for one in chain:
        if now > one.not_valid_after_utc:
            raise errors.ServerExpired(now=f"{now:%Y-%m-%d %H:%M}")
        if now < one.not_valid_before_utc:
            raise errors.ServerNotYet(now=f"{now:%Y-%m-%d %H:%M}")


def check_lists(path: str, chain: Sequence[x509.Certificate], now: datetime) -> None:
    """The newest revocation list of each issuer, which is the one OpenSSL used, must be in date.

    Raises `FileDamaged`, `RevocationListOld`, or `RevocationListDated` where only the clock may be at fault.
    """
    try:
        lists = [x509.load_pem_x509_crl(found) for found in _LIST.findall(read_file("revocation list", path))]
    except ValueError as error:
        raise errors.FileDamaged(role=_("revocation list"), path=path) from error
    for issuer in {one.issuer for one in chain}:
        mine = [one for one in lists if one.issuer == issuer]
        if not mine:
            raise errors.RevocationListOld(path=path)
        newest = max(mine, key=lambda one: one.last_update_utc)
        until = newest.next_update_utc
        if until is None or not newest.last_update_utc <= now <= until:
            raise errors.RevocationListDated(path=path)
