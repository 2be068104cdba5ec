"""The spool's secret: made once, read strictly, a sentence for each way in which it can be wrong; what it seals."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from nacl.exceptions import UnavailableError

from gateway.spool import cipher
from gateway.spool.cipher import (
    SUITE_AES,
    SUITE_CHACHA,
    SecretDamaged,
    SecretExposed,
    SecretMissing,
    SecretNotMade,
    SecretUnusable,
    derive,
    device_secret,
    make_secret,
    preferred_suite,
    read_secret,
)


def test_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "spool.secret"
    secret = device_secret(path)
    assert len(secret) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert device_secret(path) == read_secret(path) == secret
    assert make_secret(tmp_path / "other") != secret
    assert sorted(each.name for each in path.parent.iterdir()) == ["spool.secret"]


def test_on_the_medium_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "spool.secret"
    seen: list[tuple[int, bool]] = []
    real = os.fsync

    def watched(fd: int) -> None:
        seen.append((os.fstat(fd).st_size if stat.S_ISREG(os.fstat(fd).st_mode) else -1, path.exists()))
        real(fd)

    monkeypatch.setattr(os, "fsync", watched)
    make_secret(path)
    assert seen == [(65, False), (-1, True)]


def test_what_a_power_cut_left_is_no_hindrance(tmp_path: Path) -> None:
    beside = tmp_path / "spool.secret.new"
    beside.write_bytes(b"half")
    beside.chmod(0o400)
    assert len(device_secret(tmp_path / "spool.secret")) == 32
    assert not beside.exists()


@pytest.mark.parametrize(
    "text", [b"", b"00" * 31, b"00" * 33, b"zz" * 32, b"\xff" * 64, b"# secret\n" + b"00" * 32, b"00" * 5000]
)
def test_damaged(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "spool.secret"
    path.write_bytes(text)
    path.chmod(0o400)
    with pytest.raises(SecretDamaged) as refused:
        device_secret(path)
    assert str(path) in refused.value.text()
    assert path.read_bytes() == text


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644, 0o420])
def test_open_to_others(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "spool.secret"
    make_secret(path)
    path.chmod(mode)
    with pytest.raises(SecretExposed, match=f"{mode:04o}"):
        device_secret(path)


def test_missing_unreadable_and_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SecretMissing):
        read_secret(tmp_path / "nothing")
    with pytest.raises(SecretUnusable, match="Is a directory"):
        device_secret(tmp_path)
    (tmp_path / "file").write_text("x", encoding="ascii")
    with pytest.raises(SecretUnusable, match="Not a directory"):
        device_secret(tmp_path / "file" / "spool.secret")
    with pytest.raises(SecretNotMade, match="File exists|Not a directory"):
        make_secret(tmp_path / "file" / "spool.secret")

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SecretNotMade, match="No space left"):
        make_secret(tmp_path / "spool.secret")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def without_aes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without AES instructions, as libsodium sees it."""

    def refuse(*_: Any) -> bytes:
        raise UnavailableError

    monkeypatch.setattr(cipher, "crypto_aead_aes256gcm_encrypt", refuse)
    monkeypatch.setattr(cipher, "crypto_aead_aes256gcm_decrypt", refuse)


def test_the_suite_is_the_processor_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cipher, "crypto_aead_aes256gcm_encrypt", lambda *_: bytes(16))
    assert preferred_suite() == SUITE_AES
    without_aes(monkeypatch)
    assert preferred_suite() == SUITE_CHACHA


SEALED = {
    SUITE_CHACHA: "b0fbb3cf6d40147cbb905e53a24370d6da53e24f22c6e394c8b729c9a5c6a10011f27957",
    SUITE_AES: "48f9a94eda7a6bed820ef6dd16e8d64a9aaa508434394dc4edde7d29a48077c660022543",
}
"""What `cryptography` 50 made of the same, before libsodium did it."""
COUNTER, HEAD, PAYLOAD = 0x0102030405, b"head of the frame", b"what the device said"


def fixed(suite: int) -> tuple[cipher.Keyring, cipher.Origin]:
    return cipher.Keyring(bytes(range(32)), "00112233445566ff"), cipher.Origin(7, suite, bytes(range(16)))


@pytest.mark.parametrize("has_aes", [True, False])
@pytest.mark.parametrize("suite", SEALED)
def test_what_was_sealed_before_opens_on_every_processor(
    suite: int, has_aes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if suite == SUITE_AES and has_aes and preferred_suite() != SUITE_AES:
        pytest.skip("this processor has no AES instructions")
    if not has_aes:
        without_aes(monkeypatch)
    ring, origin = fixed(suite)
    opener, body = cipher.SealOpener(ring, origin), bytes.fromhex(SEALED[suite])
    assert opener.open(COUNTER, HEAD, body) == PAYLOAD
    assert opener.open(COUNTER + 1, HEAD, body) is None
    assert opener.open(COUNTER, HEAD + b"x", body) is None
    for at in range(len(body)):
        assert opener.open(COUNTER, HEAD, body[:at]) is None
        assert opener.open(COUNTER, HEAD, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]) is None


@pytest.mark.parametrize("suite", SEALED)
def test_what_is_sealed_is_what_it_was(suite: int) -> None:
    if suite == SUITE_AES and preferred_suite() != SUITE_AES:
        pytest.skip("this processor has no AES instructions")
    assert cipher.Sealer(*fixed(suite)).seal(COUNTER, HEAD, PAYLOAD).hex() == SEALED[suite]


@given(st.sampled_from(sorted(SEALED)), st.binary(max_size=600), st.binary(max_size=80), st.integers(1, 2**64 - 1))
def test_another_library_reads_and_writes_the_same(suite: int, payload: bytes, head: bytes, counter: int) -> None:
    if suite == SUITE_AES and preferred_suite() != SUITE_AES:
        return
    sealer, other = cipher.Sealer(*fixed(suite)), AESGCM if suite == SUITE_AES else ChaCha20Poly1305
    ring, origin = fixed(suite)
    nonce = bytes(4) + counter.to_bytes(8, "little")
    body = other(ring.key(origin)).encrypt(nonce, payload, head)
    assert sealer.seal(counter, head, payload) == body
    assert sealer.open(counter, head, body) == payload


RFC_5869 = [
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
    ),
    (
        bytes(range(0x00, 0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
    ),
    ("0b" * 22, "", "", "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"),
]
"""RFC 5869, appendix A.1 to A.3: secret, salt, info, the first 32 bytes of the output."""


@pytest.mark.parametrize(("secret", "salt", "info", "output"), RFC_5869)
def test_the_derivation_is_rfc_5869(secret: str, salt: str, info: str, output: str) -> None:
    assert derive(bytes.fromhex(secret), bytes.fromhex(salt), bytes.fromhex(info)).hex() == output


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=100), st.binary(max_size=100))
def test_the_derivation_is_another_library_s(secret: bytes, salt: bytes, info: bytes) -> None:
    assert derive(secret, salt, info) == HKDF(SHA256(), 32, salt or None, info).derive(secret)


def test_keys_are_apart() -> None:
    """Another secret, spool, epoch, salt or suite is another key; the MACs of two purposes differ."""
    ring = cipher.Keyring(b"\1" * 32, "ab" * 8)
    origin = cipher.Origin(7, SUITE_CHACHA, b"\2" * 16)
    others = [
        cipher.Keyring(b"\3" * 32, "ab" * 8).key(origin),
        cipher.Keyring(b"\1" * 32, "cd" * 8).key(origin),
        ring.key(cipher.Origin(8, SUITE_CHACHA, b"\2" * 16)),
        ring.key(cipher.Origin(7, SUITE_AES, b"\2" * 16)),
        ring.key(cipher.Origin(7, SUITE_CHACHA, b"\4" * 16)),
    ]
    assert len({ring.key(origin), *others}) == 6
    assert ring.key(cipher.Origin(7, SUITE_CHACHA, b"\2" * 16, "boot")) == ring.key(origin)
    assert ring.sealer(1).origin.salt != ring.sealer(1).origin.salt
    assert ring.mac(b"end", b"x") != ring.mac(b"cursor", b"x")
    assert not ring.verify(b"end", b"x", ring.mac(b"end", b"y"))


def test_the_derivation_is_the_one_that_is_written_down() -> None:
    """A change here would make every spool in the field unreadable (docs/spool.md, Sealing)."""
    ring = cipher.Keyring(bytes(range(32)), "00112233445566ff")
    assert ring.key(cipher.Origin(7, SUITE_CHACHA, bytes(16))).hex() == (
        "ebe0992daf430145b809da542995a71434c790fecf866af295b681f4873a1add"
    )
    assert ring.mac(b"end", b"").hex() == "a86cacab09f8df8b58b5cf974447b32e"
