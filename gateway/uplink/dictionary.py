"""Dictionaries of the compact encoding: shipped with the software, named by their own hash, kept for ever.

A box compresses with a dictionary only after it has read it on `jisr/v1/meta/dict/<id>`, where the platform keeps
those that it can read. Without one it sends id 0.
"""

import hashlib
from functools import cache
from pathlib import Path

from zstandard import DICT_TYPE_FULLDICT, ZstdCompressionDict, ZstdCompressor, ZstdError

from gateway.uplink.envelope import Malformed

FOLDER = Path(__file__).parent / "dictionaries"
DICTIONARY_TYPE = "application/vnd.jisr.dictionary"
"""MQTT content type."""
NEWEST = "dc77d0b7"
"""Hexadecimal id of the one a new box uses; older ones stay readable beside it."""
LIMIT_BYTES = 64 << 10
MAGIC = b"\x37\xa4\x30\xec"
"""Of a zstd dictionary with its tables (RFC 8878, section 5)."""


class Dictionary:
    """A zstd dictionary and its id: the first four bytes of its SHA-256, big endian; never 0."""

    def __init__(self, content: bytes) -> None:
        if len(content) > LIMIT_BYTES:
            raise Malformed("dictionary_too_large")
        self.id = int.from_bytes(hashlib.sha256(content).digest()[:4], "big")
        self.content = content
        if self.id == 0 or not content.startswith(MAGIC):
            raise Malformed("dictionary_content")
        self.zstd = ZstdCompressionDict(content, dict_type=DICT_TYPE_FULLDICT)
        try:
            ZstdCompressor(dict_data=self.zstd).compress(b"")  # its tables are read only now
        except ZstdError as error:
            raise Malformed("dictionary_content") from error

    @property
    def name(self) -> str:
        """The id as eight hexadecimal digits, as in its topic and its file name."""
        return f"{self.id:08x}"


def read_dictionary(name: str, content: bytes) -> Dictionary:
    """A dictionary that came in under `name` (eight hexadecimal digits). Raises `Malformed` if it is not that one."""
    found = Dictionary(content)
    if found.name != name:
        raise Malformed("dictionary_hash")
    return found


@cache
def shipped() -> dict[int, Dictionary]:
    """All dictionaries that came with this software, by id."""
    read = (read_dictionary(path.stem, path.read_bytes()) for path in sorted(FOLDER.glob("*.zdict")))
    return {one.id: one for one in read}


def newest() -> Dictionary | None:
    """The shipped one that a box of this version uses."""
    return shipped().get(int(NEWEST, 16)) if NEWEST else None
