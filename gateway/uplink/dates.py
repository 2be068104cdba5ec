"""Dates of certificates and revocation lists, judged by us: OpenSSL knows only the system's clock, right or wrong.

Judged is the chain that OpenSSL has verified (signatures, names, usage, revocation), root included: the same one
whose dates it would have judged itself.
"""

import contextlib
import ssl
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gateway.language import _
from gateway.uplink import errors
from gateway.uplink.certificates import Certificate, read_certificate, read_lists
from gateway.uplink.identity import read_file


def verified_chain(secure: ssl.SSLSocket) -> tuple[Certificate, ...]:
    """What OpenSSL has verified on this connection, the server's own first. Raises `TlsBlind`."""
    inner: Any = secure._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - public only since Python 3.13
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        texts = [one.public_bytes() for one in inner.get_verified_chain()]
        if texts:
            return tuple(read_certificate(ssl.PEM_cert_to_DER_cert(text)) for text in texts)
    raise errors.TlsBlind()


def check_not_over(chain: Sequence[Certificate], floor: datetime) -> None:
    """Nothing that ended before the clock floor is good by any clock. Raises `ServerLongOver`."""
    if any(one.ends < floor for one in chain):
        raise errors.ServerLongOver(now=f"{floor:%Y-%m-%d}")


def check_dates(chain: Sequence[Certificate], now: datetime) -> None:
    """Every certificate must be valid now. Raises `ServerExpired`, `ServerNotYet`."""
    for one in chain:
        if now > one.ends:
            raise errors.ServerExpired(now=f"{now:%Y-%m-%d %H:%M}")
        if now < one.begins:
            raise errors.ServerNotYet(now=f"{now:%Y-%m-%d %H:%M}")


def check_lists(path: str, chain: Sequence[Certificate], now: datetime) -> None:
    """The newest revocation list of each issuer, which is the one OpenSSL used, must be in date.

    Raises `FileDamaged`, `RevocationListOld`, or `RevocationListDated` where only the clock may be at fault.
    """
    try:
        lists = read_lists(read_file("revocation list", path))
    except ValueError as error:
        raise errors.FileDamaged(role=_("revocation list"), path=path) from error
    for issuer in {one.issuer for one in chain}:
        mine = [one for one in lists if one.issuer == issuer]
        if not mine:
            raise errors.RevocationListOld(path=path)
        newest = max(mine, key=lambda one: one.begins)
        if newest.ends is None or not newest.begins <= now <= newest.ends:
            raise errors.RevocationListDated(path=path)
