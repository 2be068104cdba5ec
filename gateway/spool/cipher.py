"""Sealing: what lies in the spool's folder says nothing about patients, and nothing changed in it is believed.

The device secret is 32 random bytes in a file of its own, apart from the data. From it comes one key per open of the
spool: HKDF-SHA256 (RFC 5869) over a fresh salt of 16 bytes, so that no key ever serves two opens, not even where an
epoch came again because the folder was put back. A frame's nonce is a counter of that open which stands in its head;
a frame's number cannot serve, because a refused event gives its number back. The head is the associated data.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
import struct
import zlib
from pathlib import Path
from typing import ClassVar, Protocol

from msgspec import Struct
from nacl import exceptions as nacl
from nacl.bindings import (
    crypto_aead_aes256gcm_decrypt,
    crypto_aead_aes256gcm_encrypt,
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
)

from gateway.errors import JisrError
from gateway.language import N_

SUITE_CRC = 0
"""Format 1: CRC-32 only. Read, never written."""
SUITE_CHACHA = 1
SUITE_AES = 2
SEALED_SUITES = (SUITE_CHACHA, SUITE_AES)
SECRET_BYTES = 32
SALT_BYTES = 16
TAG_BYTES = 16
OPENERS = 64
"""Keys kept at once: one per epoch that still has frames, and more are derived again when asked for."""
NO_SECRET = bytes(SECRET_BYTES)
"""For tests that are given none: it seals against accidents, not against people. A configuration always has one."""

END_MARK, SEGMENT_HEAD, CURSOR_SLOT, IDENTITY = b"end", b"segment", b"cursor", b"identity"
"""What a MAC is over; one kind is never taken for another."""

_OTHERS = 0o077
_NONCE = struct.Struct("<IQ")
_CRC = struct.Struct("<I")


class SecretUnusable(JisrError):
    """The spool's secret cannot be used, for a reason of the operating system."""

    sentence: ClassVar[str] = N_("The spool's secret {path} cannot be read: {reason}.")


class SecretMissing(SecretUnusable):
    """Nothing has this name."""

    sentence: ClassVar[str] = N_("There is no spool secret {path}.")


class SecretDamaged(SecretUnusable):
    """The file holds something else."""

    sentence: ClassVar[str] = N_(
        "{path} does not hold a spool secret (64 hexadecimal digits). Put the right file back; if it is lost, remove "
        "this one: the box then makes another, and keeps what the old one sealed unread."
    )


class SecretExposed(SecretUnusable):
    """Other accounts may read it."""

    sentence: ClassVar[str] = N_("The spool's secret {path} can be read by others (mode {mode}): chmod 400 {path}")


class SecretNotMade(SecretUnusable):
    """It cannot be written where the configuration wants it."""

    sentence: ClassVar[str] = N_("The spool's secret {path} cannot be made: {reason}.")


def read_secret(path: Path) -> bytes:
    """The 32 bytes in the file. Raises a `SecretUnusable`."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_bytes()[: 8 * SECRET_BYTES]
    except FileNotFoundError as error:
        raise SecretMissing(path=path) from error
    except (OSError, ValueError) as error:
        raise SecretUnusable(path=path, reason=getattr(error, "strerror", None) or str(error)) from error
    try:
        secret = bytes.fromhex(text.decode("ascii").strip())
    except ValueError as error:
        raise SecretDamaged(path=path) from error
    if len(secret) != SECRET_BYTES:
        raise SecretDamaged(path=path)
    if mode & _OTHERS:
        raise SecretExposed(path=path, mode=f"{mode:04o}")
    return secret


def make_secret(path: Path) -> bytes:
    """A new secret, on the medium and readable by its owner only before it has its name. Raises `SecretNotMade`."""
    secret, beside = secrets.token_bytes(SECRET_BYTES), path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        try:
            os.write(fd, secret.hex().encode() + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
        beside.rename(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise SecretNotMade(path=path, reason=os.strerror(error.errno or 0)) from error
    return secret


def device_secret(path: Path) -> bytes:
    """The secret in the file; made there at the first start, when there is none. Raises a `SecretUnusable`."""
    try:
        return read_secret(path)
    except SecretMissing:
        return make_secret(path)


def preferred_suite() -> int:
    """AES-256-GCM where the processor has AES instructions (a Pi 3 or 4 has none), else ChaCha20-Poly1305."""
    try:
        crypto_aead_aes256gcm_encrypt(b"", None, bytes(_NONCE.size), NO_SECRET)
    except nacl.UnavailableError:  # libsodium has AES in no other way
        return SUITE_CHACHA
    return SUITE_AES


def derive(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869) for 32 bytes, so that its second step has one round."""
    key = hmac.digest(salt or bytes(hashlib.sha256().digest_size), secret, "sha256")
    return hmac.digest(key, info + b"\1", "sha256")


def _open_aes(body: bytes, head: bytes, nonce: bytes, key: bytes) -> bytes:
    """Also what was sealed on another box and came here with its card, where there are no AES instructions."""
    try:
        return crypto_aead_aes256gcm_decrypt(body, head, nonce, key)
    except nacl.UnavailableError:
        # 6 MB, until the next start; only while such frames are left.
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        try:
            return AESGCM(key).decrypt(nonce, body, head)
        except InvalidTag as error:
            raise nacl.CryptoError from error


class Origin(Struct, frozen=True):
    """What the frames of one open of the spool have in common; format 1 is not sealed and knows no boot."""

    epoch: int
    suite: int = SUITE_CRC
    salt: bytes = b""
    boot: str = ""

    @property
    def is_sealed(self) -> bool:
        """Format 2."""
        return self.suite != SUITE_CRC


class Opener(Protocol):
    """Opens the frames of one origin."""

    def open(self, counter: int, head: bytes, body: bytes) -> bytes | None:
        """The payload, or None where head or body are not those that were written. Counter 0: no payload."""


class CrcOpener:
    """Format 1: the body ends with a CRC-32 over all before it. It finds accidents, not people."""

    def open(self, counter: int, head: bytes, body: bytes) -> bytes | None:
        """See `Opener`."""
        payload = body[: -_CRC.size]
        is_good = _CRC.unpack(body[-_CRC.size :])[0] == zlib.crc32(payload, zlib.crc32(head))
        return payload if is_good and not counter else None


class BlindOpener:
    """For who has no secret: heads are read, payloads are not, and nothing is verified but the heads' CRC."""

    def open(self, counter: int, head: bytes, body: bytes) -> bytes | None:
        """See `Opener`."""
        return b""


class SealOpener:
    """Opens what one `Sealer` sealed."""

    def __init__(self, keyring: "Keyring", origin: Origin) -> None:
        self._key, self._suite = keyring.key(origin), origin.suite
        self._keyring = keyring

    def open(self, counter: int, head: bytes, body: bytes) -> bytes | None:
        """See `Opener`."""
        if not counter:
            return b"" if self._keyring.verify(END_MARK, head, body) else None
        if len(body) < TAG_BYTES:
            return None
        decrypt = _open_aes if self._suite == SUITE_AES else crypto_aead_chacha20poly1305_ietf_decrypt
        try:
            return decrypt(body, head, _NONCE.pack(0, counter), self._key)
        except nacl.CryptoError:
            return None


class Sealer(SealOpener):
    """Seals the frames of one open of the spool. One thread at a time."""

    def __init__(self, keyring: "Keyring", origin: Origin) -> None:
        super().__init__(keyring, origin)
        self.origin, self.spool = origin, keyring.spool
        self._counter = 0

    def take(self) -> int:
        """The counter of the next frame; never the same one again, whether the frame is stored or not."""
        self._counter += 1
        return self._counter

    def seal(self, counter: int, head: bytes, payload: bytes) -> bytes:
        """Payload and tag under a counter just taken."""
        is_aes = self._suite == SUITE_AES
        encrypt = crypto_aead_aes256gcm_encrypt if is_aes else crypto_aead_chacha20poly1305_ietf_encrypt
        return encrypt(payload, head, _NONCE.pack(0, counter), self._key)

    def mac(self, what: bytes, data: bytes) -> bytes:
        """The keyring's."""
        return self._keyring.mac(what, data)


class Keyring:
    """All keys of one spool: derived from the device secret, held in memory only."""

    def __init__(self, secret: bytes, spool: str) -> None:
        self._secret, self.spool = secret, spool
        self._mac_key = self._derive(b"", b"mac")
        self._openers: dict[Origin, Opener] = {}

    def sealer(self, epoch: int, boot: str = "", suite: int | None = None) -> Sealer:
        """A sealer with a fresh salt, for one open."""
        suite = preferred_suite() if suite is None else suite
        return Sealer(self, Origin(epoch, suite, secrets.token_bytes(SALT_BYTES), boot))

    def opener(self, origin: Origin) -> Opener:
        """What opens the frames of that open."""
        if not origin.is_sealed:
            return CrcOpener()
        if origin not in self._openers:
            while len(self._openers) >= OPENERS:
                del self._openers[next(iter(self._openers))]
            self._openers[origin] = SealOpener(self, origin)
        return self._openers[origin]

    def mac(self, what: bytes, data: bytes) -> bytes:
        """HMAC-SHA256, cut to 16 bytes, over what is no secret: heads of segments, end marks, cursors, identity.

        It has no nonce: an end mark may be written by a later open, which knows no counter that is still unused.
        """
        return hmac.digest(self._mac_key, what + b"\0" + data, "sha256")[:TAG_BYTES]

    def verify(self, what: bytes, data: bytes, mac: bytes) -> bool:
        """Whether `mac` is that of `data`."""
        return hmac.compare_digest(self.mac(what, data), mac)

    def key(self, origin: Origin) -> bytes:
        """The key of one open."""
        return self._derive(origin.salt, b"frames" + struct.pack("<QB", origin.epoch, origin.suite))

    def _derive(self, salt: bytes, purpose: bytes) -> bytes:
        info = b"jisr spool 2" + bytes.fromhex(self.spool) + purpose
        return derive(self._secret, salt, info)
