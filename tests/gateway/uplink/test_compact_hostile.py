"""Whatever comes in, the decoder ends with a frame or with `Malformed`, and never grows by more than 16 MiB."""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw
from zstandard import ZstdCompressor

from drivers.observation import LANES, Waveform
from gateway.uplink.columns import Scatter, pack
from gateway.uplink.compact import DOCUMENT_LIMIT_BYTES, document_of, encode_compact
from gateway.uplink.dictionary import newest
from gateway.uplink.envelope import FrameEnvelope, Malformed
from gateway.uplink.schema import canonical, decode_frame
from tests.gateway.uplink import bombs
from tests.gateway.uplink.bombs import wrapped
from tests.gateway.uplink.monitor_frames import monitor_frame, wave_frame
from tests.gateway.uplink.observations import streams

GROWTH_LIMIT_BYTES = 16 << 20
FRAMES = (monitor_frame(1, monitors=2, seconds=3), wave_frame("ventilator", seconds=2))
DOCUMENTS = tuple(map(document_of, FRAMES))


def refused(payload: bytes) -> str:
    with pytest.raises(Malformed) as caught:
        decode_frame(payload)
    return caught.value.reason


def survives(payload: bytes) -> None:
    """A frame, which must then be sound, or Malformed."""
    with contextlib.suppress(Malformed):
        frame, seen = decode_frame(payload)
        assert frame.lane in LANES
        assert [one.seq for one in seen] == list(range(frame.first, frame.first + frame.count))
        for one in seen:
            assert "NaN" not in canonical(one) or '"NaN' in canonical(one)
            if isinstance(one, Waveform):
                assert all(sample is None or isinstance(sample, int) for sample in one.samples)


@given(st.binary(max_size=300))
def test_noise(noise: bytes) -> None:
    survives(noise)
    survives(b"JC\x01\0\0\0\0" + noise)
    survives(wrapped(noise))


@given(st.sampled_from(FRAMES), st.data())
def test_a_flipped_bit_never_makes_another_frame(frame: FrameEnvelope, data: st.DataObject) -> None:
    sent = bytearray(encode_compact(frame, newest()))
    place = data.draw(st.integers(0, 8 * len(sent) - 1))
    sent[place // 8] ^= 1 << place % 8
    with contextlib.suppress(Malformed):  # zstd's header has one bit that means nothing
        assert decode_frame(bytes(sent)) == decode_frame(encode_compact(frame))


@given(st.sampled_from(FRAMES), st.data())
def test_a_frame_cut_short_is_never_a_frame(frame: FrameEnvelope, data: st.DataObject) -> None:
    sent = encode_compact(frame, newest())
    refused(sent[: data.draw(st.integers(0, len(sent) - 1))])
    refused(sent + data.draw(st.binary(min_size=1, max_size=40)))


values = st.recursive(
    st.one_of(
        st.none(), st.integers(-(1 << 63), (1 << 64) - 1), st.floats(), st.text(max_size=5), st.binary(max_size=9)
    ),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=6,
)


@given(st.sampled_from(DOCUMENTS), st.data())
def test_a_document_with_something_else_in_it(document: bytes, data: st.DataObject) -> None:
    said: Any = msgspec.msgpack.decode(document)
    for _ in range(data.draw(st.integers(1, 3))):
        place = said
        while True:
            at = data.draw(st.integers(0, len(place) - 1))
            if not (isinstance(place[at], list) and place[at] and data.draw(st.booleans())):
                break
            place = place[at]
        place[at] = spoilt(place[at], data)
    survives(wrapped(msgspec.msgpack.encode(said)))


def spoilt(value: Any, data: st.DataObject) -> Any:
    """Bytes with a few of them changed, numbers a little off, or anything."""
    if isinstance(value, bytes) and value and data.draw(st.booleans()):
        changed = bytearray(value)
        for _ in range(data.draw(st.integers(1, 3))):
            changed[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
        return bytes(changed[: data.draw(st.integers(0, len(value)))] if data.draw(st.booleans()) else changed)
    if isinstance(value, int) and data.draw(st.booleans()):
        return value + data.draw(st.integers(-2, 2))
    return data.draw(values)


@given(streams().filter(bool), st.data())
def test_bytes_of_any_frame_with_a_few_changed(seen: list[Any], data: st.DataObject) -> None:
    text = msgspec.json.Encoder(decimal_format="number").encode(seen)
    document = bytearray(document_of(FrameEnvelope("g", "s", "0", 1, "numeric", 1, len(seen), Raw(text), boot=UNSET)))
    for _ in range(data.draw(st.integers(1, 4))):
        document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    survives(wrapped(bytes(document)))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"JC", "not_a_frame"),
        (b"JC\x02\0\0\0\0", "version"),
        (b"JC\x01\0\0\0\x09" + ZstdCompressor().compress(DOCUMENTS[0]), "dictionary"),
        (b"JC\x01\0\0\0\0", "compression"),
        (wrapped(DOCUMENTS[0] + b"\0"), "document"),
        (wrapped(b"\x90"), "document"),
        (wrapped(bytes(DOCUMENT_LIMIT_BYTES + 1)), "too_large"),
        (wrapped(DOCUMENTS[0], write_content_size=False), "size"),
        (wrapped(DOCUMENTS[0]) * 2, "compression"),
    ],
)
def test_why_it_is_refused(payload: bytes, reason: str) -> None:
    assert refused(payload) == reason


def larger_than_json() -> bytes:
    """Samples that rise by 2^61 each: the first are in range, the last is not."""
    scatter = Scatter()
    scatter.add([1 << 61] * 9)
    return bombs.columns(bombs.CURVE, 1, shapes=pack([9, 0, 0, 0]), series=pack([1]), scatter=scatter.packed())


@pytest.mark.parametrize(
    "payload",
    [
        bombs.columns(bombs.STEM, 3, series=pack([0, 0])),
        bombs.columns(bombs.STEM, 3, shapes=pack([0])),
        bombs.columns(bombs.STEM, 3, texts=["left"]),
        bombs.columns(bombs.STEM, 3, scatter=bombs.zeros(2, 2, 1, 2) + b"\0"),
        bombs.columns(bombs.STEM, 3, moments=pack([0, 1, 0, 0])),
        bombs.columns(bombs.STEM, 3, face_numbers=pack([0])),
        bombs.columns(bombs.STEM, 3, patterns=pack([1, 1, 0, 0])),
        bombs.columns(bombs.STEM, 3, series=pack([1])),
        bombs.columns(bombs.STEM, 3, series=pack([-1])),
        bombs.columns(bombs.STEM, 3, series=b""),
        bombs.columns(bombs.STEM, 3, forms=[]),
        bombs.columns(bombs.CURVE, 1, series=pack([4]), shapes=pack([0, 0, 0, 0])),
        bombs.columns(bombs.CURVE, 1, (1,), shapes=pack([1, 1 << 62, 0, 0])),
        bombs.columns(bombs.CURVE, 1, (1,), shapes=pack([1, 0, 1, -1, 1, 0])),
        bombs.columns(bombs.CURVE, 1, (1,), shapes=pack([1, 0, 1, 1, 1, 0])),
        bombs.columns(bombs.CURVE, 1, (1,), shapes=pack([1, 0, 0, 1, 0])),
        larger_than_json(),
    ],
)
def test_columns_that_do_not_fit_each_other(payload: bytes) -> None:
    assert refused(payload) == "columns"


@pytest.mark.parametrize("number", ["NaN", "sNaN1", "-Infinity"])
def test_what_is_no_number_does_not_come_in_as_one(number: str) -> None:
    said = f'[{{"kind":"numeric","validity":"valid","value":"{number}","unit":"","category":"setting"}}]'
    frame = FrameEnvelope("g", "s", "0", 1, "numeric", 1, 1, Raw(said.encode()))
    assert refused(encode_compact(frame)) == "observations"
    assert refused(msgspec.json.encode(frame)) == "observations"


@pytest.mark.parametrize("name", bombs.BOMBS)
def test_no_bomb_makes_it_grow(name: str) -> None:
    """In a process of its own, so that the kernel's own high-water mark tells."""
    ran = subprocess.run(
        [sys.executable, "-m", bombs.__name__, name],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(ran.stdout) <= GROWTH_LIMIT_BYTES
