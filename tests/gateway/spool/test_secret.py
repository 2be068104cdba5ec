"""The file with the spool's secret: made once, read strictly, a sentence for each way in which it can be wrong."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.spool import cipher
from gateway.spool.cipher import (
    SUITE_AES,
    SUITE_CHACHA,
    SecretDamaged,
    SecretExposed,
    SecretMissing,
    SecretNotMade,
    SecretUnusable,
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


@pytest.mark.parametrize(
    ("text", "suite"),
    [
        ("flags\t\t: fpu aes avx\n", SUITE_AES),
        ("Features\t: fp asimd evtstrm aes pmull sha1\n", SUITE_AES),
        ("Features\t: fp asimd evtstrm crc32 cpuid\n", SUITE_CHACHA),
        ("model name\t: aes\nflags\t: vaes aesni\n", SUITE_CHACHA),
        ("", SUITE_CHACHA),
        (None, SUITE_CHACHA),
    ],
)
def test_the_suite_is_the_processor_s(tmp_path: Path, text: str | None, suite: int) -> None:
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text, encoding="ascii")
    assert preferred_suite(path) == suite


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
