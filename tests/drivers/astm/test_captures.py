"""Ten sessions recorded on a hospital's Erba line: exactly their ten results, at any split, in one file or ten."""

import random
from pathlib import Path

import pytest

from tests.drivers.astm.wire import ACK, EOT, feed, make, reasons, results_of

CAPTURES = Path(__file__).parents[3] / ".." / "shared" / "captures" / "erba_xl_astm"
EXPECTED = [
    ("1043972", "GLCC", "504", "mg/dL", "20200928131730"),
    ("1044021", "GLCC", "474", "mg/dL", "20200928131743"),
    ("1044022", "GLCC", "250", "mg/dL", "20200928131748"),
    ("1044023", "GLCC", "480", "mg/dL", "20200928131752"),
    ("1044024", "GLCC", "116", "mg/dL", "20200928131757"),
    ("1044025", "CRR", "1.1", "mg/dL", "20200928131801"),
    ("1044025", "CRR", "1.1", "mg/dL", "20200928131806"),
    ("1044025", "ALTT", "17", "U/L", "20200928131828"),
    ("1044025", "CHOO", "188", "mg/dL", "20200928131833"),
    ("1044025", "TGG", "84", "mg/dL", "20200928131855"),
]
pytestmark = pytest.mark.skipif(not CAPTURES.exists(), reason="the recordings are not beside this checkout")


def recordings() -> list[bytes]:
    return [path.read_bytes() for path in sorted(CAPTURES.glob("*.bin"))]


def read_pieces(pieces: list[bytes]) -> list[tuple[str, str, str, str, str]]:
    outputs = feed(make("erba_xl"), pieces)
    assert reasons(outputs) == []
    assert b"".join(output.send for output in outputs) == ACK * 20
    found = results_of(outputs)
    assert all((seen.status, seen.validity, seen.purpose) == ("final", "valid", "patient") for seen in found)
    assert all(seen.comments[0].startswith("Instrument Flag A") and seen.flags == ("A",) for seen in found)
    assert all(seen.specimen_type == "SERUM" for seen in found)
    return [(seen.specimen, seen.test, str(seen.value), seen.unit, seen.completed) for seen in found]


def test_one_session_at_a_time() -> None:
    assert read_pieces(recordings()) == EXPECTED


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 199, 5000])
def test_pieces_of_one_size(size: int) -> None:
    stream = b"".join(recordings())
    assert read_pieces([stream[at : at + size] for at in range(0, len(stream), size)]) == EXPECTED


@pytest.mark.parametrize("seed", range(20))
def test_pieces_of_any_size(seed: int) -> None:
    chance, stream, pieces = random.Random(seed), b"".join(recordings()), []
    while stream:
        size = chance.randint(1, 60)
        pieces.append(stream[:size])
        stream = stream[size:]
    assert read_pieces(pieces) == EXPECTED


def test_every_single_bit_flip() -> None:
    """No flip changes a published value; the frame sent again is read."""
    for recording in recordings()[:2]:
        frame = recording[1:-1]
        (sent,) = results_of(feed(make("erba_xl"), [recording]))
        for bit in range(len(frame) * 8):
            damaged = bytearray(frame)
            damaged[bit // 8] ^= 1 << bit % 8
            driver = make("erba_xl")
            first = feed(driver, [recording[:1], bytes(damaged)])
            assert results_of(first) in ([], [sent])
            again = feed(driver, [EOT, recording])
            assert results_of(first + again) == [sent]
            if first[1].send == ACK:
                assert results_of(first) == [sent], "what was acknowledged was given out"
