"""What a certificate or a revocation list says, read from its DER: the few facts that the checks need.

    Certificate      SEQUENCE { tbsCertificate │ signatureAlgorithm │ signatureValue }
    tbsCertificate   SEQUENCE { [0] version │ serialNumber │ signature │ issuer │ validity │ subject │
                                subjectPublicKeyInfo │ [1] │ [2] │ [3] extensions }
    CertificateList  SEQUENCE { tbsCertList │ signatureAlgorithm │ signatureValue }
    tbsCertList      SEQUENCE { version │ signature │ issuer │ thisUpdate │ nextUpdate │ … }

(RFC 5280, sections 4.1 and 5.1; DER: X.690, sections 8 and 10.) Nothing is believed here: signatures, names, purposes
and revocation are OpenSSL's to judge, as ever, and what it has not verified decides nothing but which sentence is
said. What is not written as above is not read at all (`Unreadable`), and then nobody connects. Work is linear in the
size, which whoever reads from file or wire has bounded. Why not a library: docs/decisions/0011.
"""

import binascii
import hashlib
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

SERVER_AUTH, CLIENT_AUTH = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
"""Extended key usages (RFC 5280 section 4.2.1.12)."""

_COMMON_NAME = "2.5.4.3"
_SUBJECT_NAMES, _CONSTRAINTS, _PURPOSES = "2.5.29.17", "2.5.29.19", "2.5.29.37"
_BOOLEAN, _INTEGER, _BITS, _OCTETS, _OID, _UTC_TIME, _TIME = 0x01, 0x02, 0x03, 0x04, 0x06, 0x17, 0x18
_SEQUENCE, _SET = 0x30, 0x31
_VERSION, _ISSUER_ID, _SUBJECT_ID, _EXTENSIONS = 0xA0, 0x81, 0x82, 0xA3
_URI = 0x86
_OTHER_NAMES = frozenset({0xA0, 0x81, 0x82, 0xA3, 0xA4, 0xA5, 0x87, 0x88})
"""GeneralName, RFC 5280 section 4.2.1.6."""
_CHARSETS = dict.fromkeys((0x0C, 0x12, 0x13, 0x16, 0x1A), "utf-8") | {
    0x14: "latin-1",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
"""By string type. Those of seven bits have been seen with UTF-8 in them."""
_LENGTH_BYTES = 4
_ARC_BITS = 128
"""Of an object identifier: as many as a UUID has."""

Name = tuple[frozenset[tuple[str, str]], ...]
"""A distinguished name: type and text of each attribute. How the text is encoded does not tell two names apart."""


class Unreadable(ValueError):
    """Not a certificate, or not a list, as RFC 5280 writes them."""


class Certificate(Struct, frozen=True):
    """What the checks need of one."""

    digest: bytes
    """SHA-256 of the whole: two certificates with the same one are the same."""
    issuer: Name
    common_names: tuple[str, ...]
    begins: datetime
    ends: datetime
    has_names: bool
    """Whether there are subject alternative names."""
    uris: tuple[str, ...]
    """Those of them that are URIs."""
    purposes: frozenset[str]
    """Extended key usages; empty where there is no such extension."""
    is_authority: bool
    """Whether it says CA:TRUE."""


class RevocationList(Struct, frozen=True):
    """Whose it is and when it holds; not what it revokes."""

    issuer: Name
    begins: datetime
    ends: datetime | None


def pem_blocks(text: bytes, label: bytes) -> Iterator[bytes]:
    """The DER of each block of a kind (RFC 7468). Raises `Unreadable`."""
    for piece in text.split(b"-----BEGIN " + label + b"-----")[1:]:
        body, end, _ = piece.partition(b"-----END " + label + b"-----")
        try:
            data = binascii.a2b_base64(b"".join(body.split()), strict_mode=True)
        except binascii.Error as error:
            raise Unreadable from error
        if not end or not data:
            raise Unreadable
        yield data


def read_certificates(text: bytes) -> list[Certificate]:
    """All certificates of a PEM file, at least one. Raises `Unreadable`."""
    text = text.replace(b" X509 CERTIFICATE-----", b" CERTIFICATE-----")  # RFC 7468 section 5.1: the older label
    found = [read_certificate(der) for der in pem_blocks(text, b"CERTIFICATE")]
    if not found:
        raise Unreadable
    return found


def read_lists(text: bytes) -> list[RevocationList]:
    """All revocation lists of a PEM file, perhaps none. Raises `Unreadable`."""
    return [_read_list(der) for der in pem_blocks(text, b"X509 CRL")]


def read_certificate(der: bytes) -> Certificate:
    """One certificate. Raises `Unreadable`."""
    body = _signed(der)
    if body.has(_VERSION):
        body.take(_VERSION)
    body.take(_INTEGER)
    body.take(_SEQUENCE)
    issuer = _name(body)
    validity = _Fields(body.take(_SEQUENCE))
    begins, ends = _moment(validity), _moment(validity)
    validity.end()
    subject = _name(body)
    body.take(_SEQUENCE)
    for optional in (_ISSUER_ID, _SUBJECT_ID):
        if body.has(optional):
            body.take(optional)
    extensions = _extensions(body.take(_EXTENSIONS)) if body.has(_EXTENSIONS) else {}
    body.end()
    alternative = extensions.get(_SUBJECT_NAMES)
    purposes, constraints = extensions.get(_PURPOSES), extensions.get(_CONSTRAINTS)
    return Certificate(
        digest=hashlib.sha256(der).digest(),
        issuer=issuer,
        common_names=tuple(text for part in subject for kind, text in sorted(part) if kind == _COMMON_NAME),
        begins=begins,
        ends=ends,
        has_names=alternative is not None,
        uris=() if alternative is None else _uris(alternative),
        purposes=frozenset() if purposes is None else _usages(purposes),
        is_authority=constraints is not None and _is_ca(constraints),
    )


def _read_list(der: bytes) -> RevocationList:
    body = _signed(der)
    if body.has(_INTEGER):
        body.take(_INTEGER)
    body.take(_SEQUENCE)
    issuer, begins = _name(body), _moment(body)
    return RevocationList(issuer, begins, _moment(body) if body.has(_UTC_TIME) or body.has(_TIME) else None)


class _Fields:
    """The elements inside one constructed element, in turn. Raises `Unreadable` for all that is not DER."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def has(self, tag: int) -> bool:
        """Whether the next element bears this tag."""
        return self._at < len(self._data) and self._data[self._at] == tag

    def take(self, tag: int) -> memoryview:
        """The content of the next element, which must bear this tag."""
        found, content = self.any()
        if found != tag:
            raise Unreadable
        return content

    def any(self) -> tuple[int, memoryview]:
        """Tag and content of the next element."""
        data, start = self._data, self._at + 2
        if start > len(data):
            raise Unreadable
        tag, size = data[self._at], data[self._at + 1]
        if size >= 0x80:  # X.690 sections 8.1.3.5, 10.1: the fewest bytes that can say it, never the indefinite form
            width = size & 0x7F
            size = int.from_bytes(data[start : start + width], "big")
            start += width
            if not 0 < width <= _LENGTH_BYTES or size < 0x80 or size < 1 << 8 * (width - 1):
                raise Unreadable
        self._at = start + size
        if self._at > len(data):
            raise Unreadable
        return tag, data[start : self._at]

    def is_left(self) -> bool:
        """Whether there is another element."""
        return self._at < len(self._data)

    def end(self) -> None:
        """There must be none."""
        if self.is_left():
            raise Unreadable


def _signed(der: bytes) -> _Fields:
    """What is signed of a signed structure."""
    outer = _Fields(memoryview(der))
    whole = _Fields(outer.take(_SEQUENCE))
    outer.end()
    body = whole.take(_SEQUENCE)
    whole.take(_SEQUENCE)
    whole.take(_BITS)
    whole.end()
    return _Fields(body)


def _oid(content: memoryview) -> str:
    """X.690 section 8.19."""
    numbers, number, is_open = [], 0, False
    for byte in content:
        if not is_open and byte == 0x80:
            raise Unreadable
        number, is_open = number << 7 | byte & 0x7F, byte >= 0x80
        if number >> _ARC_BITS:
            raise Unreadable
        if not is_open:
            numbers.append(number)
            number = 0
    if is_open or not numbers:
        raise Unreadable
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def _name(fields: _Fields) -> Name:
    parts, found = _Fields(fields.take(_SEQUENCE)), []
    while parts.is_left():
        part, attributes = _Fields(parts.take(_SET)), set()
        while part.is_left():
            attribute = _Fields(part.take(_SEQUENCE))
            kind = _oid(attribute.take(_OID))
            attributes.add((kind, _text(*attribute.any())))
            attribute.end()
        found.append(frozenset(attributes))
    return tuple(found)


def _text(tag: int, content: memoryview) -> str:
    if tag not in _CHARSETS:
        return f"#{tag:02x}{content.hex()}"  # RFC 4514 section 2.4
    try:
        return str(content, _CHARSETS[tag])
    except UnicodeDecodeError as error:
        raise Unreadable from error


def _moment(fields: _Fields) -> datetime:
    """RFC 5280 section 4.1.2.5: to the second, in UTC; two digits mean 1950 to 2049."""
    tag, content = fields.any()
    text = bytes(content)
    if tag == _UTC_TIME:
        text = (b"19" if text[:2] >= b"50" else b"20") + text
    if tag not in (_UTC_TIME, _TIME) or len(text) != 15 or not text[:14].isdigit() or text[14:] != b"Z":
        raise Unreadable
    try:
        return datetime.fromisoformat(f"{text[:8].decode()}T{text[8:].decode()}")
    except ValueError as error:
        raise Unreadable from error


def _extensions(content: memoryview) -> dict[str, memoryview]:
    """The value of each by its OID; none twice (RFC 5280 section 4.2)."""
    outer, found = _Fields(content), dict[str, memoryview]()
    rows = _Fields(outer.take(_SEQUENCE))
    outer.end()
    while rows.is_left():
        row = _Fields(rows.take(_SEQUENCE))
        kind = _oid(row.take(_OID))
        if row.has(_BOOLEAN):
            _flag(row)
        if kind in found:
            raise Unreadable
        found[kind] = row.take(_OCTETS)
        row.end()
    return found


def _flag(fields: _Fields) -> bool:
    """A written FALSE is not DER where it is the default, and seen all the same."""
    content = fields.take(_BOOLEAN)
    if bytes(content) not in (b"\x00", b"\xff"):
        raise Unreadable
    return content[0] == 0xFF


def _inside(value: memoryview) -> _Fields:
    outer = _Fields(value)
    fields = _Fields(outer.take(_SEQUENCE))
    outer.end()
    return fields


def _uris(value: memoryview) -> tuple[str, ...]:
    names, found = _inside(value), []
    while names.is_left():
        tag, content = names.any()
        if tag == _URI:
            found.append(_text(0x0C, content))
        elif tag not in _OTHER_NAMES:
            raise Unreadable
    return tuple(found)


def _usages(value: memoryview) -> frozenset[str]:
    rows, found = _inside(value), set()
    while rows.is_left():
        found.add(_oid(rows.take(_OID)))
    return frozenset(found)


def _is_ca(value: memoryview) -> bool:
    fields = _inside(value)
    is_ca = fields.has(_BOOLEAN) and _flag(fields)
    if fields.has(_INTEGER):
        fields.take(_INTEGER)
    fields.end()
    return is_ca
