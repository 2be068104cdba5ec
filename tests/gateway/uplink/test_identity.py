"""Our own files: every fault has its own sentence, and nothing is sent with any of them."""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.uplink import errors, identity
from gateway.uplink.identity import TlsFiles, begins, check_identity, read_ack_key, utc
from gateway.uplink.tls import Witness, client_context
from simulators.central.lab_ca import CLIENT, SERVER, LabAuthority, Pair

GATEWAY = "gw-test"
DAY = timedelta(days=1)


@pytest.fixture
def authority(tmp_path: Path) -> LabAuthority:
    return LabAuthority(tmp_path / "ca")


def files(authority: LabAuthority, pair: Pair, crl: str = "") -> TlsFiles:
    return TlsFiles(str(authority.ca), str(pair.certificate), str(pair.key), crl)


def check(found: TlsFiles) -> None:
    check_identity(found, GATEWAY, utc(time.time()))


def test_good_identity(authority: LabAuthority) -> None:
    pair = authority.gateway(GATEWAY)
    ours = check_identity(files(authority, pair, str(authority.crl())), GATEWAY, utc(time.time()))
    assert ours.purposes == frozenset(one.dotted_string for one in CLIENT)
    assert ours.has_names
    assert ours.uris == (f"urn:jisr:gateway:{GATEWAY}",)
    assert not ours.is_authority


def _missing(authority: LabAuthority) -> TlsFiles:
    pair = authority.gateway(GATEWAY)
    pair.certificate.unlink()
    return files(authority, pair)


def _folder(authority: LabAuthority) -> TlsFiles:
    pair = authority.gateway(GATEWAY)
    pair.key.unlink()
    pair.key.mkdir()
    return files(authority, pair)


def _not_pem(authority: LabAuthority) -> TlsFiles:
    pair = authority.gateway(GATEWAY)
    pair.certificate.write_text("hello")
    return files(authority, pair)


def _bad_key(authority: LabAuthority) -> TlsFiles:
    pair = authority.gateway(GATEWAY)
    pair.key.write_text("hello")
    return files(authority, pair)


def _locked_key(authority: LabAuthority) -> TlsFiles:
    pair = authority.gateway(GATEWAY)
    key = load_pem_private_key(pair.key.read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    pair.key.write_bytes(locked)
    return files(authority, pair)


def _other_kind_of_key(authority: LabAuthority) -> TlsFiles:
    pair = authority.gateway(GATEWAY)
    _write_key(pair.key, ed25519.Ed25519PrivateKey.generate())
    return files(authority, pair)


def _weak(authority: LabAuthority) -> TlsFiles:
    """A key so short that OpenSSL will have nothing to do with it."""
    pair, key = authority.gateway(GATEWAY), rsa.generate_private_key(65537, 1024)
    ours = x509.load_pem_x509_certificates(pair.certificate.read_bytes())[0]
    builder = x509.CertificateBuilder(ours.issuer, ours.subject, key.public_key(), 3)
    builder = builder.not_valid_before(ours.not_valid_before_utc).not_valid_after(ours.not_valid_after_utc)
    pair.certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    _write_key(pair.key, key)
    return files(authority, pair)


def _write_key(path: Path, key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> None:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _bad_ca(authority: LabAuthority) -> TlsFiles:
    found = files(authority, authority.gateway(GATEWAY))
    authority.ca.write_text("hello")
    return found


def _cut(authority: LabAuthority) -> TlsFiles:
    pair = authority.gateway(GATEWAY)
    pair.certificate.write_bytes(pair.certificate.read_bytes()[:300])
    return files(authority, pair)


def _mixed(authority: LabAuthority) -> TlsFiles:
    pair, other = authority.gateway(GATEWAY), authority.gateway("gw-other")
    return files(authority, Pair(pair.certificate, other.key))


CASES: dict[str, tuple[type[errors.UplinkError], Callable[[LabAuthority], TlsFiles]]] = {
    "missing": (errors.FileMissing, _missing),
    "unreadable": (errors.FileUnreadable, _folder),
    "not pem": (errors.FileDamaged, _not_pem),
    "cut": (errors.FileDamaged, _cut),
    "no ca": (errors.FileDamaged, _bad_ca),
    "no key": (errors.FileDamaged, _bad_key),
    "locked key": (errors.FileDamaged, _locked_key),
    "weak": (errors.FileDamaged, _weak),
    "other kind of key": (errors.KeyMismatch, _other_kind_of_key),
    "crl missing": (errors.FileMissing, lambda a: files(a, a.gateway(GATEWAY), "/nowhere/crl.pem")),
    "no pair": (errors.KeyMismatch, _mixed),
    "expired": (
        errors.CertificateExpired,
        lambda a: files(a, a.issue("x", GATEWAY, purposes=CLIENT, begins=-9 * DAY, life=DAY)),
    ),
    "not yet": (errors.CertificateNotYet, lambda a: files(a, a.issue("x", GATEWAY, purposes=CLIENT, begins=DAY))),
    "another box": (errors.CertificateOther, lambda a: files(a, a.gateway("gw-other"))),
    "no eku": (errors.CertificateNotClient, lambda a: files(a, a.issue("x", GATEWAY))),
    "server eku": (errors.CertificateNotClient, lambda a: files(a, a.issue("x", GATEWAY, purposes=SERVER))),
}


@pytest.mark.parametrize("case", CASES)
def test_each_fault_of_our_files(case: str, authority: LabAuthority) -> None:
    leaf, make = CASES[case]
    found = make(authority)
    with pytest.raises(errors.UplinkError) as caught:
        check(found)
    assert type(caught.value) is leaf
    assert "{" not in caught.value.text()


@pytest.mark.parametrize(("case", "role"), [("weak", "certificate"), ("cut", "certificate"), ("locked key", "key")])
def test_the_damaged_file_is_named(case: str, role: str, authority: LabAuthority) -> None:
    found = CASES[case][1](authority)
    with pytest.raises(errors.FileDamaged) as caught:
        check(found)
    assert caught.value.facts == {"role": role, "path": getattr(found, role)}


def test_nobody_is_asked_for_a_password(authority: LabAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL would ask at the terminal, and wait."""
    asked = []

    def refuse() -> str:
        asked.append(True)
        raise ValueError

    monkeypatch.setattr(identity, "_no_password", refuse)
    with pytest.raises(errors.FileDamaged):
        check(_locked_key(authority))
    assert asked


def test_a_key_that_goes_away_between_two_looks(authority: LabAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    found = files(authority, authority.gateway(GATEWAY))

    def gone(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("ssl.SSLContext.load_cert_chain", gone)
    with pytest.raises(errors.FileDamaged):
        check(found)


def test_when_our_certificate_begins(authority: LabAuthority, tmp_path: Path) -> None:
    pair = authority.gateway(GATEWAY)
    assert 0 < time.time() - begins(files(authority, pair)) - DAY.total_seconds() < 60
    assert begins(TlsFiles("", str(tmp_path / "none"), "")) == 0.0
    pair.certificate.write_text("hello")
    assert begins(files(authority, pair)) == 0.0


def test_no_rights(authority: LabAuthority) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    pair = authority.gateway(GATEWAY)
    pair.key.chmod(0)
    with pytest.raises(errors.FileUnreadable):
        check(files(authority, pair))


def test_authority_or_list_that_openssl_does_not_take(authority: LabAuthority, tmp_path: Path) -> None:
    pair, junk = authority.gateway(GATEWAY), tmp_path / "junk.pem"
    junk.write_text("hello")
    with pytest.raises(errors.FileDamaged):
        client_context(files(authority, pair, str(junk)), Witness())
    with pytest.raises(errors.FileDamaged):
        client_context(TlsFiles(str(junk), str(pair.certificate), str(pair.key)), Witness())


def test_acknowledgement_key(authority: LabAuthority, tmp_path: Path) -> None:
    assert len(read_ack_key(str(authority.ack_key()))) == 32
    assert authority.ack_key().read_text() == authority.ack_key().read_text()
    for text in ("", "00", "not hexadecimal", "é"):
        (tmp_path / "key").write_text(text)
        with pytest.raises(errors.AckKeyUnfit):
            read_ack_key(str(tmp_path / "key"))
    with pytest.raises(errors.FileMissing):
        read_ack_key(str(tmp_path / "none"))
