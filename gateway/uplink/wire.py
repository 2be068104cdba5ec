"""How frames are written on this box's link: readable, or compact with a dictionary the platform is known to have."""

from typing import Literal

from gateway.uplink.compact import encode_compact
from gateway.uplink.dictionary import Dictionary, newest
from gateway.uplink.envelope import FrameEnvelope, encode_json
from gateway.uplink.topics import dictionary_topic

Encoding = Literal["json", "compact"]


class Wire:
    """One for the life of the agent: what was once proven about the platform's dictionaries stays proven."""

    def __init__(self, encoding: Encoding) -> None:
        self.encoding: Encoding = encoding
        self.dictionary: Dictionary | None = None
        """In use; None until the platform was seen to have it."""
        self._shipped = newest() if encoding == "compact" else None

    @property
    def topic(self) -> str:
        """Where the platform would show that it has our dictionary; "" when there is nothing to look for."""
        awaits = self._shipped is not None and self.dictionary is None
        return dictionary_topic(self._shipped.name) if awaits and self._shipped else ""

    def received(self, topic: str, payload: bytes) -> bool:
        """A message from the platform; True if it is the dictionary itself, byte for byte, and so may be used."""
        if self._shipped is None or not self.topic or topic != self.topic or payload != self._shipped.content:
            return False
        self.dictionary = self._shipped
        return True

    def encode(self, frame: FrameEnvelope) -> bytes:
        """The bytes to publish."""
        return encode_json(frame) if self.encoding == "json" else encode_compact(frame, self.dictionary)
