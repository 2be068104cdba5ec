"""The compact encoding of a frame; docs/platform/compact.md has every byte of it.

| J C | version | dictionary id | one zstd frame of a msgpack document |
  2       1            4
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from zstandard import (
    COMPRESSOBJ_FLUSH_BLOCK,
    CONTENTSIZE_ERROR,
    CONTENTSIZE_UNKNOWN,
    ZstdCompressor,
    ZstdDecompressor,
    ZstdError,
    get_frame_parameters,
)

from drivers.observation import AnyObservation, Lane, stamp
from gateway.uplink.body import MOST_OBSERVATIONS, Body, whole
from gateway.uplink.dictionary import Dictionary
from gateway.uplink.envelope import FrameEnvelope, Malformed, encode_json, read_observations
from gateway.uplink.fold import fold
from gateway.uplink.unfold import unfold

MAGIC = b"JC"
VERSION = 1
HEAD_BYTES = 7
DOCUMENT_LIMIT_BYTES = 256 << 10
"""Of the document. A commit of the spool has 128 KiB of JSON at most, or one observation; a document is shorter."""
TEXT_LIMIT_BYTES = 2 << 20
"""Of the JSON that is looked at at all; nothing unfolds to more."""
LEVEL = 9

HIGHEST = (1 << 53) - 1
"""Of epoch and first number; many languages read larger ones as floats."""

_Number = Annotated[int, Meta(ge=1, le=HIGHEST)]


class _Document(Struct, frozen=True, array_like=True):
    gateway: str
    site: str
    spool: str
    boot: str | None
    epoch: _Number
    lane: Lane
    first: _Number
    count: Annotated[int, Meta(ge=1, le=MOST_OBSERVATIONS)]
    body: Body


_JSON = msgspec.json.Encoder(decimal_format="number")
_PACKER = msgspec.msgpack.Encoder()
_DOCUMENTS = msgspec.msgpack.Decoder(_Document)


def is_compact(payload: bytes) -> bool:
    """Whether a payload claims to be of this encoding, by its first bytes."""
    return payload[:2] == MAGIC


def encode_compact(frame: FrameEnvelope, dictionary: Dictionary | None = None) -> bytes:
    """The frame in few bytes; one that is beyond the format's bounds comes back as JSON."""
    if not _is_within(frame):
        return encode_json(frame)
    said = _document(frame)
    document = _PACKER.encode(said)
    if len(document) > DOCUMENT_LIMIT_BYTES:
        return encode_json(frame)
    tool = ZstdCompressor(
        level=LEVEL, dict_data=dictionary.zstd if dictionary else None, write_checksum=True, write_dict_id=False
    )
    number = dictionary.id if dictionary else 0
    return MAGIC + bytes([VERSION]) + number.to_bytes(4, "big") + _deflate(tool, document, len(said.body.scatter))


def document_of(frame: FrameEnvelope) -> bytes:
    """The document that is compressed; dictionaries are trained on such."""
    return _PACKER.encode(_document(frame))


def decode_compact(
    payload: bytes, dictionaries: Mapping[int, Dictionary]
) -> tuple[FrameEnvelope, tuple[AnyObservation, ...]]:
    """The frame and its observations, stamped. Raises `Malformed`: "dictionary" where its dictionary is not known."""
    if len(payload) < HEAD_BYTES or not is_compact(payload):
        raise Malformed("not_a_frame")
    if payload[2] != VERSION:
        raise Malformed("version")
    number = int.from_bytes(payload[3:HEAD_BYTES], "big")
    if number and number not in dictionaries:
        raise Malformed("dictionary")
    packed = _inflate(payload[HEAD_BYTES:], dictionaries[number] if number else None)
    try:
        document = _DOCUMENTS.decode(packed)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Malformed("document") from error
    seen = unfold(document.body, document.count, TEXT_LIMIT_BYTES)
    where: dict[str, Any] = {"gateway": document.gateway, "epoch": document.epoch, "lane": document.lane}
    stamped = tuple(stamp(one, seq=seq, **where) for seq, one in enumerate(seen, document.first))
    return _envelope(document, Raw(_JSON.encode(seen))), stamped


def _is_within(frame: FrameEnvelope) -> bool:
    return (
        frame.v == 1
        and 1 <= frame.count <= MOST_OBSERVATIONS
        and 1 <= frame.epoch <= HIGHEST
        and 1 <= frame.first <= HIGHEST
        and len(frame.observations) <= TEXT_LIMIT_BYTES
    )


def _document(frame: FrameEnvelope) -> _Document:
    return _Document(
        frame.gateway,
        frame.site,
        frame.spool,
        None if isinstance(frame.boot, UnsetType) else frame.boot,
        frame.epoch,
        frame.lane,
        frame.first,
        frame.count,
        _body(frame),
    )


def _body(frame: FrameEnvelope) -> Body:
    """In columns only if they give back the same JSON: a field or kind that this software does not know is kept."""
    text = bytes(frame.observations)
    try:
        seen = read_observations(text)
    except Malformed:
        return whole(text)
    if len(seen) != frame.count or _JSON.encode(seen) != text:
        return whole(text)
    return fold(seen) or whole(text)


def _envelope(document: _Document, observations: Raw) -> FrameEnvelope:
    return FrameEnvelope(
        document.gateway,
        document.site,
        document.spool,
        document.epoch,
        document.lane,
        document.first,
        document.count,
        observations,
        boot=UNSET if document.boot is None else document.boot,
    )


def _deflate(tool: ZstdCompressor, document: bytes, scatter: int) -> bytes:
    """What is as good as random comes in a block of its own, or the codes for all the rest would be worse."""
    writer = tool.compressobj(size=len(document))
    parts = [writer.compress(document[: len(document) - scatter])]
    if scatter:
        parts += [writer.flush(COMPRESSOBJ_FLUSH_BLOCK), writer.compress(document[len(document) - scatter :])]
    return b"".join([*parts, writer.flush()])


def _inflate(packed: bytes, dictionary: Dictionary | None) -> bytes:
    """One zstd frame whose stated size is checked before anything is allocated: the library ignores its own limit."""
    try:
        size = get_frame_parameters(packed).content_size
        if size in (CONTENTSIZE_UNKNOWN, CONTENTSIZE_ERROR):
            raise Malformed("size")
        if size > DOCUMENT_LIMIT_BYTES:
            raise Malformed("too_large")
        tool = ZstdDecompressor(dict_data=dictionary.zstd if dictionary else None)
        return tool.decompress(packed, max_output_size=DOCUMENT_LIMIT_BYTES, allow_extra_data=False)
    except ZstdError as error:
        raise Malformed("compression") from error
