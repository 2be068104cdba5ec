"""A throw-away certification authority: root, issuing CA, and certificates for broker, gateways and consumers.

It also issues the ones a client must refuse, so that a test can meet each of them. Lab only: the keys lie in files.
"""

import ipaddress
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
COURIER = (ExtendedKeyUsageOID.EMAIL_PROTECTION,)
"""Like a letter: for something at rest, not for a connection."""
DEFAULT_NAMES = ("localhost", "127.0.0.1")
GATEWAY_URI = "urn:jisr:gateway:"
DAY = timedelta(days=1)


class Pair(NamedTuple):
    """A certificate (with the issuing CA's behind it) and its key, as files."""

    certificate: Path
    key: Path


class _Authority(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def _san(names: Sequence[str]) -> x509.SubjectAlternativeName:
    found: list[x509.GeneralName] = []
    for name in names:
        if name.startswith("urn:"):
            found.append(x509.UniformResourceIdentifier(name))
            continue
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(found)


class LabAuthority:
    """Files under `folder`; `ca` is what a client trusts, `chain` what a broker needs to check clients."""

    def __init__(self, folder: Path, name: str = "Jisr lab") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._now = datetime.fromtimestamp(time.time(), UTC)
        root_key, issuing_key = _key(), _key()
        root = self._sign(f"{name} root", root_key, None, root_key, path_length=1, life=3650 * DAY)
        self._root = _Authority(root, root_key)
        issuing = self._sign(f"{name} issuing", issuing_key, root, root_key, path_length=0, life=1825 * DAY)
        self._issuing = _Authority(issuing, issuing_key)
        self.ca = folder / "ca.pem"
        self.chain = folder / "chain.pem"
        self.ca.write_bytes(_pem([root]))
        self.chain.write_bytes(_pem([root, issuing]))

    def server(self, names: Sequence[str] = DEFAULT_NAMES, stem: str = "server") -> Pair:
        """A broker's certificate: SAN and serverAuth; the same at each call, as are the next two."""
        return self._there(stem) or self.issue(stem, names[0], san=names, purposes=SERVER)

    def gateway(self, gateway: str) -> Pair:
        """A box's certificate: CN = gateway id, clientAuth only."""
        return self._there(gateway) or self.issue(gateway, gateway, san=(GATEWAY_URI + gateway,), purposes=CLIENT)

    def consumer(self, name: str = "platform") -> Pair:
        """A consumer's certificate: CN = its user and client id, clientAuth only."""
        return self._there(name) or self.issue(name, name, purposes=CLIENT)

    def courier(self, name: str = "courier") -> Pair:
        """To whom boxes encrypt what a person carries: keyAgreement, and good for no TLS connection."""
        return self._there(name) or self.issue(name, name, purposes=COURIER, agrees=True)

    def _there(self, stem: str) -> Pair | None:
        pair = Pair(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        return pair if pair.certificate.exists() and pair.key.exists() else None

    def issue(  # noqa: PLR0913 - one argument for each thing that can be wrong with a certificate
        self,
        stem: str,
        common_name: str,
        *,
        san: Sequence[str] = (),
        purposes: Sequence[x509.ObjectIdentifier] = (),
        is_authority: bool = False,
        names_issuer: bool = True,
        agrees: bool = False,
        begins: timedelta = -DAY,
        life: timedelta = 90 * DAY,
    ) -> Pair:
        """Any certificate, good or bad, as `<stem>.pem` and `<stem>.key`."""
        key = _key()
        certificate = self._sign(
            common_name,
            key,
            self._issuing.certificate,
            self._issuing.key,
            san=san,
            purposes=purposes,
            path_length=0 if is_authority else None,
            names_issuer=names_issuer,
            agrees=agrees,
            begins=begins,
            life=life,
        )
        return self._write(stem, key, [certificate, self._issuing.certificate])

    def self_signed(self, stem: str, names: Sequence[str] = DEFAULT_NAMES) -> Pair:
        """A server certificate that nobody issued."""
        key = _key()
        return self._write(stem, key, [self._sign(names[0], key, None, key, san=names, purposes=SERVER)])

    def crl(self, revoked: Sequence[Pair] = (), *, life: timedelta = 30 * DAY, stem: str = "crl") -> Path:
        """Revocation lists of both authorities in one file."""
        serials = [
            x509.load_pem_x509_certificates(pair.certificate.read_bytes())[0].serial_number for pair in revoked
        ]
        path = self._folder / f"{stem}.pem"
        path.write_bytes(self._list(self._issuing, serials, life) + self._list(self._root, [], life))
        return path

    def ack_key(self) -> Path:
        """A key for acknowledgements, which the broker does not have; the same at each call."""
        path = self._folder / "ack.key"
        if not path.exists():
            path.write_text(_key().private_numbers().private_value.to_bytes(32, "big").hex() + "\n", encoding="ascii")
            path.chmod(0o600)
        return path

    def _list(self, by: _Authority, serials: Sequence[int], life: timedelta) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(by.certificate.subject)
            .last_update(min(self._now, self._now + life) - DAY)
            .next_update(self._now + life)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), False)
            .add_extension(x509.CRLNumber(1), False)
        )
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(self._now - DAY).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(by.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _write(self, stem: str, key: ec.EllipticCurvePrivateKey, chain: Sequence[x509.Certificate]) -> Pair:
        pair = Pair(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        pair.certificate.write_bytes(_pem(chain))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        pair.key.chmod(0o600)
        return pair

    def _sign(  # noqa: PLR0913
        self,
        common_name: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Certificate | None,
        issuer_key: ec.EllipticCurvePrivateKey,
        *,
        san: Sequence[str] = (),
        purposes: Sequence[x509.ObjectIdentifier] = (),
        path_length: int | None = None,
        names_issuer: bool = True,
        agrees: bool = False,
        begins: timedelta = -DAY,
        life: timedelta = 90 * DAY,
    ) -> x509.Certificate:
        is_authority = path_length is not None
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common_name))
            .issuer_name(issuer.subject if issuer else _name(common_name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now + begins)
            .not_valid_after(self._now + begins + life)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=path_length), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(_usage(is_authority, signs=not is_authority or bool(purposes), agrees=agrees), True)
        )
        if names_issuer:
            found = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
            builder = builder.add_extension(found, False)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), False)
        if san:
            builder = builder.add_extension(_san(san), False)
        return builder.sign(issuer_key, hashes.SHA256())


def _usage(is_authority: bool, *, signs: bool, agrees: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs and not agrees,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=agrees,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
