"""Our own files: every fault has its own sentence, and nothing is sent with any of them."""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.uplink import errors
from gateway.uplink.identity import TlsFiles, check_identity, is_authority, names, purposes, read_ack_key, utc
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
    assert purposes(ours) == frozenset(CLIENT)
    assert names(ours) is not None
    assert not is_authority(ours)


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


def _mixed(authority: LabAuthority) -> TlsFiles:
    pair, other = authority.gateway(GATEWAY), authority.gateway("gw-other")
    return files(authority, Pair(pair.certificate, other.key))


CASES: dict[str, tuple[type[errors.UplinkError], Callable[[LabAuthority], TlsFiles]]] = {
    "missing": (errors.FileMissing, _missing),
    "unreadable": (errors.FileUnreadable, _folder),
    "not pem": (errors.FileDamaged, _not_pem),
    "no key": (errors.FileDamaged, _bad_key),
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
