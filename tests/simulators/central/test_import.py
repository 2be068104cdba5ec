"""Courier files at the platform: believed only when signed by the box they name, and each observation stored once."""

import base64
import json
import tracemalloc
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import zstandard
from cryptography import x509
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.schema import decode_ack, decode_key, decode_observations, encode, verify_ack
from simulators.central.carried import Carried
from simulators.central.courier import CourierRefused, Trust, fingerprint, open_courier, read_private_key
from simulators.central.lab_ca import DAY, SERVER, LabAuthority, Pair
from simulators.central.store import Archive
from tests.simulators.central.courier_box import courier_file, key_of, written
from tests.simulators.central.test_store import frame


class Bench:
    """An authority, a box, the platform's pair, and a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = LabAuthority(folder / "ca")
        self.box = self.authority.gateway("gw-test")
        self.platform = self.authority.courier()
        self.open: list[Carried] = []

    def trust(self, crl: bytes = b"") -> Trust:
        return Trust(self.authority.ca.read_bytes(), crl)

    def carried(self, crl: bytes = b"", *, keys: int = 1) -> Carried:
        self.open.append(Carried(self.folder / "central.db", self.trust(crl), [key_of(self.platform)][:keys]))
        return self.open[-1]

    def rows(self) -> int:
        return self.carried().ledger().rows


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for one in made.open:
        one.close()


def test_taken_once_however_often_it_comes(bench: Bench) -> None:
    file = courier_file(bench.box, [frame(1, 3), frame(4, 2), frame(1, 1, "event")], bench.platform)
    path = written(bench.folder, file)
    assert b"MDC_PULS" not in file
    first = bench.carried()
    taken = first.take(path)
    assert (taken.observations, taken.new, taken.notes) == (6, 6, ())
    assert first.take(path).new == 0
    again = bench.carried()
    assert again.take(path).new == 0
    assert again.ledger()[:3] == (6, 6, 0)


def test_what_came_over_the_link_is_not_stored_again_and_the_rest_is(bench: Bench) -> None:
    archive = Archive(bench.folder / "central.db")
    archive.begin()
    for one in (frame(2, 2), frame(7, 1)):
        archive.add(one, decode_observations(one))
    archive.commit()
    path = written(bench.folder, courier_file(bench.box, [frame(1, 4), frame(5, 4)], bench.platform))
    assert bench.carried().take(path).new == 5
    archive.begin()
    late = frame(8, 2)
    assert [one.seq for one in archive.add(late, decode_observations(late))] == [9]
    archive.commit()
    archive.close()
    assert bench.carried().ledger()[:4] == (9, 9, 0, 0)


def test_the_acknowledgements_are_those_of_the_link(bench: Bench) -> None:
    carried = bench.carried()
    carried.take(written(bench.folder, courier_file(bench.box, [frame(3, 2), frame(1, 1, "event")], bench.platform)))
    key = decode_key(bench.authority.ack_key().read_text())
    lines = [line.split(b" ", 1) for line in carried.acknowledgements(key)]
    assert [topic for topic, _ in lines] == [
        f"jisr/v1/site-1/gw-test/ack/{lane}".encode() for lane in ("numeric", "event")
    ]
    ack = decode_ack(lines[0][1])
    assert (ack.spool, ack.epoch, ack.upto, ack.holes) == ("00ff", 1, 4, ((1, 2),))
    assert verify_ack(key, "site-1", "gw-test", "numeric", ack)


def cut_header(bench: Bench) -> bytes:
    whole = courier_file(bench.box, [frame(1, 1)], bench.platform)
    return whole[:12] + whole[13:]


def unsigned(bench: Bench) -> bytes:
    whole = courier_file(bench.box, [frame(1, 1)], bench.platform)
    head = 12 + int.from_bytes(whole[8:12], "big")
    body = head + 4 + int.from_bytes(whole[head : head + 4], "big")
    return whole[:body] + bytes(4)


def stolen(bench: Bench) -> bytes:
    """Another box of the programme signs what gw-test encrypted, as its own."""
    whole = courier_file(bench.box, [frame(1, 1)], bench.platform)
    head = 12 + int.from_bytes(whole[8:12], "big")
    size = int.from_bytes(whole[head : head + 4], "big")
    to, other = fingerprint(key_of(bench.platform).public_key()), bench.authority.gateway("gw-other")
    return courier_file(other, [], body=whole[head + 4 :][:size], gateway="gw-other", recipient=to)


def of_another_programme(bench: Bench) -> Pair:
    return LabAuthority(bench.folder / "other").gateway("gw-test")


def nested(depth: int) -> bytes:
    return b'{"gateway":' + b"[" * depth


@lru_cache
def bomb(size: int, *, declared: bool = False) -> bytes:
    """Zeros without end, in the compact encoding: some 20 kB."""
    packer = zstandard.ZstdCompressor(write_content_size=declared).compressobj(size if declared else -1)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()
    return b"JC\x01" + bytes(4) + packed


Make = Callable[[Bench], bytes]
REFUSED: dict[str, tuple[str, Make]] = {
    "empty": ("not_courier", lambda _: b""),
    "another file": ("not_courier", lambda _: b"%PDF-1.7 a lecture"),
    "a later format": ("version", lambda b: courier_file(b.box, [frame(1, 1)], b.platform, magic=b"JSRCOUR2")),
    "a later header": ("version", lambda b: courier_file(b.box, [frame(1, 1)], b.platform, v=2)),
    "shortened inside": ("truncated", cut_header),
    "longer than signed": ("signature", lambda b: courier_file(b.box, [frame(1, 1)], b.platform) + b"\0"),
    "too large": ("too_large", lambda b: courier_file(b.box, [], body=bytes(8 << 20))),
    "not signed": ("unsigned", unsigned),
    "signed with another key": (
        "signature",
        lambda b: courier_file(b.box, [frame(1, 1)], key=key_of(b.authority.gateway("gw-other"))),
    ),
    "of another programme": ("authority", lambda b: courier_file(of_another_programme(b), [frame(1, 1)], b.platform)),
    "of a broker that nobody issued": (
        "purpose",
        lambda b: courier_file(b.authority.self_signed("s", ["gw-test"]), [frame(1, 1)]),
    ),
    "of a broker": ("purpose", lambda b: courier_file(b.authority.issue("gw", "gw-test", purposes=SERVER), [])),
    "no purpose": ("purpose", lambda b: courier_file(b.authority.issue("gw", "gw-test"), [])),
    "of another box": ("name", lambda b: courier_file(b.authority.gateway("gw-other"), [frame(1, 1)], b.platform)),
    "stolen from another box": ("decrypt", stolen),
    "to somebody else": (
        "recipient",
        lambda b: courier_file(b.box, [frame(1, 1)], b.authority.courier("ministry")),
    ),
    "no certificate": ("header", lambda b: courier_file(b.box, [frame(1, 1)], certificates=[])),
    "no date": ("header", lambda b: courier_file(b.box, [frame(1, 1)], at="soon")),
    "a local date": ("header", lambda b: courier_file(b.box, [frame(1, 1)], at="2026-11-25T10:00:00")),
    "a frame of another box": (
        "frame",
        lambda b: courier_file(b.box, [frame(1, 1), encode(frame(2, 1)).replace(b"gw-test", b"gw-none")], b.platform),
    ),
    "a frame of another spool": ("frame", lambda b: courier_file(b.box, [frame(1, 1)], b.platform, spool="00fe")),
    "no frame": ("frame", lambda b: courier_file(b.box, [frame(1, 1), b"hello"], b.platform)),
    "nested": ("frame", lambda b: courier_file(b.box, [nested(50_000)], b.platform)),
    "a compressed bomb": ("frame", lambda b: courier_file(b.box, [bomb(1 << 29, declared=True)], b.platform)),
    "a bomb that does not say its size": ("frame", lambda b: courier_file(b.box, [bomb(1 << 29)], b.platform)),
    "a frame with a wrong count": (
        "frame",
        lambda b: courier_file(b.box, [encode(frame(1, 2)).replace(b'"count":2', b'"count":3')], b.platform),
    ),
    "fewer frames than said": ("content", lambda b: courier_file(b.box, [frame(1, 1)], b.platform, frames=2)),
    "a length beyond the end": ("content", lambda b: courier_file(b.box, [], b.platform, body=b"\0\0\1\0x")),
    "a length of nothing": ("content", lambda b: courier_file(b.box, [], b.platform, body=bytes(4))),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_and_nothing_of_it_is_stored(bench: Bench, case: str) -> None:
    reason, make = REFUSED[case]
    carried = bench.carried()
    with pytest.raises(CourierRefused) as refused:
        carried.take(written(bench.folder, make(bench)))
    assert refused.value.reason == reason
    assert carried.ledger().rows == 0
    assert not list(carried.acknowledgements(bytes(32)))


def test_a_file_refused_leaves_the_next_one_its_place(bench: Bench) -> None:
    carried = bench.carried()
    bad = courier_file(bench.box, [frame(1, 2), b"hello"], bench.platform)
    with pytest.raises(CourierRefused):
        carried.take(written(bench.folder, bad, "bad"))
    assert carried.take(written(bench.folder, courier_file(bench.box, [frame(1, 2)], bench.platform))).new == 2
    assert carried.ledger()[:3] == (2, 2, 0)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Trust, list[ec.EllipticCurvePrivateKey]]:
    bench = Bench(tmp_path_factory.mktemp("signed"))
    return courier_file(bench.box, [frame(1, 2)], bench.platform), bench.trust(), [key_of(bench.platform)]


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_refused(signed: Any, at: int, bit: int) -> None:
    whole, trust, keys = signed
    at %= len(whole)
    with pytest.raises(CourierRefused):
        open_courier(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :], trust, keys)


@given(st.integers(0, 10_000))
def test_a_file_cut_anywhere_is_refused(signed: Any, at: int) -> None:
    whole, trust, keys = signed
    with pytest.raises(CourierRefused):
        open_courier(whole[: at % len(whole)], trust, keys)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_and_nothing_else_happens(signed: Any, data: bytes) -> None:
    _, trust, keys = signed
    for start in (b"", b"JSRCOUR1", b"JSRCOUR1\0\0\0\x40"):
        with pytest.raises(CourierRefused):
            open_courier(start + data, trust, keys)


def test_without_the_key_it_stays_closed_and_a_plain_one_is_told(bench: Bench) -> None:
    sealed = written(bench.folder, courier_file(bench.box, [frame(1, 1)], bench.platform))
    with pytest.raises(CourierRefused, match="no_key"):
        bench.carried(keys=0).take(sealed)
    plain = written(bench.folder, courier_file(bench.box, [frame(1, 1)]), "plain")
    taken = bench.carried(keys=0).take(plain)
    assert (taken.new, taken.notes) == (1, ("plain",))


@pytest.mark.parametrize(
    ("signed_days", "now_days", "notes"),
    [
        (1, 2, ()),
        (-20_000, 2, ("signed_early",)),
        (20_000, 2, ("signed_late",)),
        (1, 20_000, ("expired",)),
        (19_000, 20_000, ("signed_late", "expired")),
    ],
)
def test_dates_are_told_and_cost_no_data(
    bench: Bench, signed_days: int, now_days: int, notes: tuple[str, ...]
) -> None:
    start = x509.load_pem_x509_certificates(bench.box.certificate.read_bytes())[0].not_valid_before_utc
    at, now = start + signed_days * DAY, start + now_days * DAY
    data = courier_file(bench.box, [frame(1, 1)], bench.platform, at=at.isoformat())
    assert open_courier(data, bench.trust(), [key_of(bench.platform)], now).notes == notes


def test_a_revoked_box_is_refused_where_a_list_is_given(bench: Bench) -> None:
    path = written(bench.folder, courier_file(bench.box, [frame(1, 1)], bench.platform))
    good = bench.authority.crl([bench.authority.gateway("gw-other")]).read_bytes()
    assert bench.carried(good).take(path).new == 1
    revoked = bench.authority.crl([bench.box]).read_bytes()
    for lists, reason in (
        (revoked, "revoked"),
        (bench.authority.crl(life=-2 * DAY).read_bytes(), "old_list"),
        (LabAuthority(bench.folder / "other").crl().read_bytes(), "no_list"),
    ):
        with pytest.raises(CourierRefused, match=reason):
            bench.carried(lists).take(path)
    with pytest.raises(ValueError, match="list"):
        bench.trust(b"nothing")


def test_an_import_cut_in_the_middle_goes_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [
        written(bench.folder, courier_file(bench.box, [frame(n, 2), frame(n + 2, 2)], bench.platform), str(n))
        for n in (1, 5, 9)
    ]
    carried, left = bench.carried(), iter(range(3))
    whole = Archive.add

    def cut(self: Archive, *arguments: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return whole(self, *arguments)

    monkeypatch.setattr(Archive, "add", cut)
    assert carried.take(paths[0]).new == 4
    with pytest.raises(KeyboardInterrupt):
        carried.take(paths[1])
    monkeypatch.setattr(Archive, "add", whole)
    assert bench.rows() == 4
    assert [bench.carried().take(path).new for path in paths] == [0, 4, 4]
    assert bench.carried().ledger()[:4] == (12, 12, 0, 0)


def test_what_is_read_is_bounded_before_it_is_read(bench: Bench) -> None:
    big = bench.folder / "big.courier"
    with big.open("wb") as file:
        file.write(b"JSRCOUR1")
        file.truncate(1 << 36)  # 64 GiB, said and not there
    carried = bench.carried()
    tracemalloc.start()
    try:
        with pytest.raises(CourierRefused, match="too_large"):
            carried.take(big)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    with pytest.raises(CourierRefused, match="not_courier"):
        carried.take(bench.folder)


def test_the_page_is_enough_to_open_one_without_a_library_for_hpke(bench: Bench) -> None:
    """docs/platform/courier.md, step by step, with nothing but ECDH, HMAC and ChaCha20-Poly1305."""
    whole = courier_file(bench.box, [frame(1, 2)], bench.platform)

    def part(at: int) -> tuple[bytes, int]:
        size = int.from_bytes(whole[at : at + 4], "big")
        return whole[at + 4 : at + 4 + size], at + 4 + size

    head, at = part(8)
    body, at = part(at)
    signature, end = part(at)
    assert end == len(whole)
    said = json.loads(head)
    leaf = x509.load_der_x509_certificate(base64.b64decode(said["certificates"][0]))
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, whole[:at], ec.ECDSA(hashes.SHA256()))
    content = unsealed(body, head, key_of(bench.platform))
    size = int.from_bytes(content[:4], "big")
    assert json.loads(content[4 : 4 + size])["first"] == 1
    assert len(content) == 4 + size


def unsealed(body: bytes, info: bytes, private: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import PublicFormat

    def mac(key: bytes, data: bytes) -> bytes:
        made = hmac.HMAC(key or bytes(32), hashes.SHA256())
        made.update(data)
        return made.finalize()

    def extract(suite: bytes, salt: bytes, label: bytes, data: bytes) -> bytes:
        return mac(salt, b"HPKE-v1" + suite + label + data)

    def expand(suite: bytes, secret: bytes, label: bytes, info: bytes, size: int) -> bytes:
        return mac(secret, size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info + b"\x01")[:size]

    kem, suite = b"KEM\x00\x10", b"HPKE\x00\x10\x00\x01\x00\x03"
    point, sealed = body[:65], body[65:]
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    ours = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    dh = private.exchange(ec.ECDH(), theirs)
    shared = expand(kem, extract(kem, b"", b"eae_prk", dh), b"shared_secret", point + ours, 32)
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    secret = extract(suite, shared, b"secret", b"")
    key, nonce = expand(suite, secret, b"key", context, 32), expand(suite, secret, b"base_nonce", context, 12)
    return ChaCha20Poly1305(key).decrypt(nonce, sealed, b"")


def test_which_keys_can_open(bench: Bench) -> None:
    assert read_private_key(bench.platform.key.read_bytes())
    with pytest.raises(ValueError, match="deserialize|PEM|parse|load"):
        read_private_key(b"nothing")
