"""A box that writes courier files by hand, from docs/platform/courier.md, so that a test can write wrong ones."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from gateway.uplink.schema import FrameEnvelope, encode
from simulators.central.courier import fingerprint
from simulators.central.lab_ca import Pair

SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def key_of(pair: Pair) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pair.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def behind_length(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def courier_file(
    signer: Pair,
    payloads: Sequence[bytes | FrameEnvelope],
    to: Pair | None = None,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    magic: bytes = b"JSRCOUR1",
    body: bytes | None = None,
    **header: Any,
) -> bytes:
    """A file of box gw-test; `header` overrides fields, `key` signs instead of the certificate's own."""
    whole = [one if isinstance(one, bytes) else encode(one) for one in payloads]
    chain = x509.load_pem_x509_certificates(signer.certificate.read_bytes())
    said = {
        "gateway": "gw-test",
        "site": "site-1",
        "spool": "00ff",
        "at": "2026-11-25T10:00:00.000Z",
        "clock": "none",
        "frames": len(whole),
        "observations": 0,
        "certificates": [base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in chain],
        "recipient": fingerprint(key_of(to).public_key()) if to else "",
        "v": 1,
        **header,
    }
    head = json.dumps(said).encode()
    content = b"".join(behind_length(one) for one in whole) if body is None else body
    sealed = SUITE.encrypt(content, key_of(to).public_key(), info=head) if to else content
    signed = magic + behind_length(head) + behind_length(sealed)
    signature = (key or key_of(signer)).sign(signed, ec.ECDSA(hashes.SHA256()))
    return signed + behind_length(signature)


def written(folder: Path, data: bytes, name: str = "a") -> Path:
    path = folder / f"{name}.courier"
    path.write_bytes(data)
    return path
