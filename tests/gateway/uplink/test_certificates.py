"""Certificates and revocation lists: another reader of them, `cryptography`, must see in them what we see."""

import base64
import contextlib
import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.certificates import (
    CLIENT_AUTH,
    SERVER_AUTH,
    Certificate,
    Name,
    RevocationList,
    Unreadable,
    pem_blocks,
    read_certificate,
    read_certificates,
    read_lists,
)

KEY = ec.derive_private_key(7, ec.SECP256R1())
NOW = datetime(2026, 11, 24, 9, 15, 2, tzinfo=UTC)
YEAR = timedelta(days=365)
UID = ".".join(["2.25", str((1 << 128) - 1)])


def attribute(
    text: str, kind: x509.ObjectIdentifier = NameOID.COMMON_NAME, form: str = ""
) -> x509.NameAttribute[str]:
    return x509.NameAttribute(kind, text, getattr(_ASN1Type, form) if form else None)


def certificate(
    *extensions: x509.ExtensionType,
    subject: x509.Name | None = None,
    issuer: x509.Name | None = None,
    begins: datetime = NOW,
    ends: datetime = NOW + YEAR,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = KEY,
) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([attribute("gw-1")]) if subject is None else subject)
        .issuer_name(x509.Name([attribute("CA")]) if issuer is None else issuer)
        .public_key(key.public_key())
        .serial_number(3)
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.DER)


@cache
def samples() -> dict[str, bytes]:
    """All that a certificate may be made of, each in one."""
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("broker.example"),
            x509.UniformResourceIdentifier("urn:jisr:gateway:gw-1"),
            x509.IPAddress(ipaddress.ip_address("::1")),
            x509.RFC822Name("a@example.org"),
            x509.RegisteredID(x509.ObjectIdentifier(UID)),
            x509.DirectoryName(x509.Name([attribute("x")])),
            x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"),
            x509.UniformResourceIdentifier("https://example.org/"),
        ]
    )
    several = x509.Name(
        [
            attribute("MA", NameOID.COUNTRY_NAME),
            attribute("Ministère", NameOID.ORGANIZATION_NAME),
            attribute("gw-1"),
            attribute("gw-2", form="BMPString"),
            attribute("gw-3", form="UniversalString"),
            attribute("gw-4", form="T61String"),
        ]
    )
    pair = x509.Name(
        [x509.RelativeDistinguishedName([attribute("a"), attribute("b", NameOID.ORGANIZATIONAL_UNIT_NAME)])]
    )
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    return {
        "bare": certificate(),
        "box": certificate(
            x509.BasicConstraints(False, None),
            x509.SubjectKeyIdentifier.from_public_key(KEY.public_key()),
            usage,
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
            names,
        ),
        "broker": certificate(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, x509.ObjectIdentifier(UID)]),
            x509.SubjectAlternativeName([x509.DNSName("broker.example")]),
        ),
        "authority": certificate(x509.BasicConstraints(True, None), usage),
        "authority of authorities": certificate(x509.BasicConstraints(True, 2)),
        "no names": certificate(x509.SubjectAlternativeName([])),
        "names": certificate(subject=several, issuer=pair),
        "nameless": certificate(subject=x509.Name([])),
        "long": certificate(
            begins=datetime(1950, 1, 1, tzinfo=UTC), ends=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
        ),
        "edge": certificate(
            begins=datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), ends=datetime(2050, 1, 1, tzinfo=UTC)
        ),
        "rsa": certificate(key=rsa.generate_private_key(65537, 2048)),
        "ed25519": certificate(key=ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))),
    }


def revocations(ends: datetime = NOW + YEAR, count: int = 3) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name([attribute("CA")]))
        .last_update(NOW)
        .next_update(ends)
        .add_extension(x509.CRLNumber(1), False)
    )
    for number in range(count):
        entry = x509.RevokedCertificateBuilder().serial_number(number + 1).revocation_date(NOW).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def pem(label: str, *ders: bytes) -> bytes:
    return "".join(
        f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n" for der in ders
    ).encode()


def _name(name: x509.Name) -> Name:
    return tuple(frozenset((one.oid.dotted_string, str(one.value)) for one in part) for part in name.rdns)


def other_reader(der: bytes) -> Certificate:
    """The same facts as `cryptography` tells them. Raises whatever it raises."""
    found = x509.load_der_x509_certificate(der)
    extensions = {one.oid.dotted_string: one.value for one in found.extensions}
    names, purposes, constraints = (extensions.get(f"2.5.29.{number}") for number in (17, 37, 19))
    return Certificate(
        digest=found.fingerprint(hashes.SHA256()),
        issuer=_name(found.issuer),
        common_names=tuple(str(one.value) for one in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)),
        begins=found.not_valid_before_utc,
        ends=found.not_valid_after_utc,
        has_names=names is not None,
        uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier))
        if isinstance(names, x509.SubjectAlternativeName)
        else (),
        purposes=frozenset(one.dotted_string for one in purposes)
        if isinstance(purposes, x509.ExtendedKeyUsage)
        else frozenset(),
        is_authority=isinstance(constraints, x509.BasicConstraints) and constraints.ca,
    )


@pytest.mark.parametrize("name", samples())
def test_both_readers_see_the_same(name: str) -> None:
    assert read_certificate(samples()[name]) == other_reader(samples()[name])


def test_what_a_box_s_certificate_says() -> None:
    """In words of our own too: the other reader may not be there for ever."""
    box = read_certificate(samples()["box"])
    assert box.common_names == ("gw-1",)
    assert box.issuer == (frozenset({("2.5.4.3", "CA")}),)
    assert (box.begins, box.ends) == (NOW, NOW + YEAR)
    assert box.uris == ("urn:jisr:gateway:gw-1", "https://example.org/")
    assert box.purposes == {CLIENT_AUTH}
    assert not box.is_authority
    assert read_certificate(samples()["broker"]).purposes == {SERVER_AUTH, UID}
    assert read_certificate(samples()["names"]).common_names == ("gw-1", "gw-2", "gw-3", "gw-4")
    assert read_certificate(samples()["authority"]).is_authority
    assert read_certificate(samples()["no names"]).has_names
    assert not read_certificate(samples()["bare"]).has_names


REFUSALS = (
    ValueError,
    TypeError,
    UserWarning,
    *(x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType),
)
"""Of `cryptography`; the warnings of its own, errors here, are about what it will refuse one day."""
Damage = Callable[[bytes], bytes]


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    """Bytes changed, put in, taken out or repeated."""
    at, what = draw(st.floats(0, 1, exclude_max=True)), draw(st.binary(max_size=4))
    gone = draw(st.sampled_from([0, 1, len(what), len(what)]))

    def damage(data: bytes) -> bytes:
        start = int(at * len(data))
        return data[:start] + what + data[start + gone :]

    return damage


@given(st.sampled_from(sorted(samples())), st.lists(damages(), min_size=1, max_size=3))
def test_a_damaged_certificate_is_refused_or_both_see_the_same(name: str, chosen: list[Damage]) -> None:
    data = samples()[name]
    for damage in chosen:
        data = damage(data)
    with contextlib.suppress(Unreadable):
        ours = read_certificate(data)
        try:
            theirs = other_reader(data)
        except REFUSALS:  # it reads what we never look at, the public key for one
            return
        assert ours.digest == theirs.digest
        assert (ours.begins, ours.ends, ours.is_authority) == (theirs.begins, theirs.ends, theirs.is_authority)
        assert (ours.has_names, ours.uris, ours.purposes) == (theirs.has_names, theirs.uris, theirs.purposes)
        # It takes octets for text, and T61String for UTF-8 where OpenSSL and we see Latin-1.
        if all(text.isascii() and "#" not in text for text in ours.common_names):
            assert ours.common_names == theirs.common_names


@given(st.binary(max_size=400))
def test_bytes_are_no_certificate(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read_certificate(data)
    with pytest.raises(Unreadable):
        read_certificates(data)
    with pytest.raises(Unreadable):
        read_lists(pem("X509 CRL", data or b"-"))


def test_a_certificate_cut_anywhere_is_none() -> None:
    for data in samples().values():
        for size in range(len(data)):
            with pytest.raises(Unreadable):
                read_certificate(data[:size])


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    long = b"\x81" + size.to_bytes(1, "big") if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + (bytes([size]) if size < 0x80 else long) + content


NULL, ONE = der(0x05), der(0x02, b"\1")
CN = der(0x30, der(0x31, der(0x30, der(0x06, b"\x55\x04\x03"), der(0x0C, b"x"))))
DATES = der(0x30, der(0x17, b"260101000000Z"), der(0x17, b"270101000000Z"))
EKU, CA = b"\x55\x1d\x25", b"\x55\x1d\x13"


def built(
    *extensions: bytes, version: bytes = der(0xA0, der(0x02, b"\2")), name: bytes = CN, dates: bytes = DATES
) -> bytes:
    """A certificate of the least there can be, with a part of one's own."""
    rest = der(0xA3, der(0x30, *extensions)) if extensions else b""
    body = der(0x30, version, ONE, der(0x30), name, dates, name, der(0x30), rest)
    return der(0x30, body, der(0x30), der(0x03, b"\0"))


def extension(kind: bytes, value: bytes, flag: bytes = b"") -> bytes:
    return der(0x30, der(0x06, kind), flag, der(0x04, value))


def test_the_least_there_can_be() -> None:
    for version in (b"", der(0xA0, der(0x02, b"\2"))):
        assert read_certificate(built(version=version)).common_names == ("x",)


def test_a_written_false_is_false() -> None:
    """Not DER, and written by some authorities."""
    for flag in (b"", der(0x01, b"\0")):
        assert not read_certificate(built(extension(CA, der(0x30, der(0x01, b"\0")), flag))).is_authority
    assert read_certificate(built(extension(CA, der(0x30, der(0x01, b"\xff"), ONE)))).is_authority


SIGNATURE = (der(0x30), der(0x03, b"\0"))
INSIDE = der(0x30, ONE, der(0x30), CN, DATES, CN, der(0x30)) + b"".join(SIGNATURE)
TEXT = der(0x30, der(0x31, der(0x30, der(0x06, b"\x55\x04\x03"), der(0x0C, b"\xff"))))
BAD: dict[str, bytes] = {
    "more behind it": built() + b"\0",
    "more inside": der(0x30, INSIDE, NULL),
    "indefinite length": b"\x30\x80" + INSIDE + b"\0\0",
    "a short length in the long form": built(name=b"\x30\x81" + CN[1:]),
    "length with a zero before": b"\x30\x83\0" + len(INSIDE).to_bytes(2, "big") + INSIDE,
    "length of five bytes": b"\x30\x85\1\0\0\0\0",
    "length beyond the end": b"\x30\x84\xff\xff\xff\xff",
    "more behind the extensions": der(
        0x30, der(0x30, ONE, der(0x30), CN, DATES, CN, der(0x30), der(0xA3, der(0x30), NULL)), *SIGNATURE
    ),
    "an extension twice": built(extension(b"\x55\x1d\x11", der(0x30)), extension(b"\x55\x1d\x11", der(0x30))),
    "an extension with more in it": built(extension(EKU, der(0x30) + b"\0")),
    "an extension with more behind it": built(der(0x30, der(0x06, EKU), der(0x04, der(0x30)), NULL)),
    "a flag of another value": built(extension(EKU, der(0x30), der(0x01, b"\1"))),
    "a flag of two bytes": built(extension(EKU, der(0x30), der(0x01, b"\0\0"))),
    "an open number": built(extension(EKU, der(0x30, der(0x06, b"\x2b\x86")))),
    "a number with a zero before": built(extension(EKU, der(0x30, der(0x06, b"\x2b\x80\x01")))),
    "a number without end": built(extension(EKU, der(0x30, der(0x06, b"\x2b" + b"\xff" * 60 + b"\1")))),
    "no number": built(extension(EKU, der(0x30, der(0x06)))),
    "a purpose that is none": built(extension(EKU, der(0x30, ONE))),
    "a name of no kind": built(extension(b"\x55\x1d\x11", der(0x30, der(0x9E, b"x")))),
    "an address that is no text": built(extension(b"\x55\x1d\x11", der(0x30, der(0x86, b"\xff")))),
    "constraints with more": built(extension(CA, der(0x30, ONE, ONE))),
    "text that is none": built(name=TEXT),
    "a name that is none": built(name=der(0x30, ONE)),
    "an attribute with more": built(
        name=der(0x30, der(0x31, der(0x30, der(0x06, b"\x55\x04\x03"), der(0x0C, b"x"), NULL)))
    ),
    "three dates": built(dates=der(0x30, *[der(0x17, b"260101000000Z")] * 3)),
    "one date": built(dates=der(0x30, der(0x17, b"260101000000Z"))),
}
for _text in (
    b"2601010000Z",
    b"260101000000",
    b"260101000000+0000",
    b"261301000000Z",
    b"26010100006xZ",
    b"260101000000X",
    b"\xb2" * 13,
):
    BAD[f"date {_text!r}"] = built(dates=der(0x30, *[der(0x17, _text)] * 2))
for _text in (b"20260101000000.5Z", b"260101000000Z", b"00000101000000Z", b"20260101000060Z", b"20260101T00000Z"):
    BAD[f"long date {_text!r}"] = built(dates=der(0x30, *[der(0x18, _text)] * 2))


@pytest.mark.parametrize("what", BAD)
def test_what_is_not_der_is_not_read(what: str) -> None:
    with pytest.raises(Unreadable):
        read_certificate(BAD[what])


def test_an_attribute_that_is_no_text_is_kept_as_it_is() -> None:
    name = der(0x30, der(0x31, der(0x30, der(0x06, b"\x55\x04\x2d"), der(0x03, b"\0\x80"))))
    assert read_certificate(built(name=name)).issuer == (frozenset({("2.5.4.45", "#030080")}),)


def test_names_are_the_same_whatever_their_encoding() -> None:
    """A list must be found by its issuer, which it may write as another string type than the certificate."""
    forms = ("UTF8String", "PrintableString", "T61String", "BMPString", "UniversalString", "IA5String")
    names = [x509.Name([attribute("Autorite", form=form)]) for form in forms]
    assert len({read_certificate(certificate(issuer=name)).issuer for name in names}) == 1


def test_files_of_several() -> None:
    chosen = [samples()["box"], samples()["authority"]]
    for label in ("CERTIFICATE", "X509 CERTIFICATE"):
        text = b"some words\n" + pem(label, *chosen) + pem("EC PRIVATE KEY", b"not read")
        assert read_certificates(text) == [read_certificate(one) for one in chosen]
    assert read_certificates(pem("CERTIFICATE", chosen[0]).replace(b"\n", b"\r\n"))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello",
        pem("PRIVATE KEY", b"x"),
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        pem("CERTIFICATE", certificate())[:-20],
        pem("CERTIFICATE", certificate()).replace(b"-----\nMI", b"-----\nM!I"),
        pem("CERTIFICATE", certificate()) + pem("CERTIFICATE", b"\x30\x00"),
        b"-----BEGIN CERTIFICATE-----\n" * 1000,
    ],
)
def test_files_that_hold_none(text: bytes) -> None:
    with pytest.raises(Unreadable):
        read_certificates(text)


def test_revocation_lists() -> None:
    ca = (frozenset({("2.5.4.3", "CA")}),)
    late = NOW + 100 * YEAR
    text = pem("X509 CRL", revocations(), revocations(late, 2000), revocations(count=0))
    assert read_lists(text) == [
        RevocationList(ca, NOW, NOW + YEAR),
        RevocationList(ca, NOW, late),
        RevocationList(ca, NOW, NOW + YEAR),
    ]
    assert read_lists(pem("CERTIFICATE", samples()["box"])) == []


def test_a_list_that_does_not_say_when_it_ends() -> None:
    body = der(0x30, der(0x30), CN, der(0x17, b"260101000000Z"))
    (found,) = read_lists(pem("X509 CRL", der(0x30, body, der(0x30), der(0x03, b"\0"))))
    assert found.ends is None


def test_blocks_are_found_in_one_pass() -> None:
    """What is not closed ends the search."""
    with pytest.raises(Unreadable):
        list(pem_blocks(b"-----BEGIN X-----\nAA==\n" * 3 + b"-----END X-----", b"X"))
