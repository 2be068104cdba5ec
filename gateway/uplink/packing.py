"""A departure becomes a message that broker and link take: encoded, and shortened where it came out too large."""

from msgspec import UNSET, Raw, Struct

from gateway.uplink.budget import wire_bytes
from gateway.uplink.mqtt import HEADROOM_BYTES, PACKET_LIMIT_BYTES, Message
from gateway.uplink.schedule import Departure, Schedule
from gateway.uplink.schema import FrameEnvelope, frame_type
from gateway.uplink.terms import Identity
from gateway.uplink.topics import frame_topic
from gateway.uplink.wire import Wire

OVERSIZE = 1.5
"""What came out larger than wanted by no more than this goes all the same."""


class Packed(Struct, frozen=True):
    """A departure and its message."""

    departure: Departure
    message: Message
    size: int
    """On the wire, with everything around it."""


class Misfit(Struct, frozen=True):
    """A single observation that the broker never takes, or a content this version does not know."""

    departure: Departure
    size: int


class Packer:
    """Remembers the last message, so that what waits for room is encoded once."""

    def __init__(self, me: Identity, spool: str, schedule: Schedule, wire: Wire, packet_bytes: int) -> None:
        self._me, self._spool, self._schedule, self._wire = me, spool, schedule, wire
        self.limit = min(packet_bytes, PACKET_LIMIT_BYTES) - HEADROOM_BYTES
        """Bytes of a payload that the broker takes."""
        self._last: Packed | None = None
        self._key: object = None

    def pack(self, departure: Departure) -> Packed | Misfit:
        """The message for a departure, or for its first part."""
        if not departure.is_readable:
            return Misfit(departure, departure.content_bytes)
        wanted = self._schedule.wanted(departure)
        while True:
            packed = self._message(departure)
            size = len(packed.message.payload)
            if size <= min(self.limit, wanted * OVERSIZE):
                return packed
            shorter = self._schedule.shorten(departure, size)
            if shorter is None:
                return packed if size <= self.limit else Misfit(departure, size)
            departure = shorter

    def _message(self, departure: Departure) -> Packed:
        dictionary = self._wire.dictionary
        key = (departure.era, departure.lane, departure.epoch, departure.first, departure.last, dictionary)
        if self._last is None or key != self._key:
            self._key, self._last = key, self._encode(departure)
        return Packed(departure, self._last.message, self._last.size)

    def _encode(self, departure: Departure) -> Packed:
        me = self._me
        payload = self._wire.encode(
            FrameEnvelope(
                gateway=me.gateway,
                site=me.site,
                spool=self._spool,
                epoch=departure.epoch,
                lane=departure.lane,
                first=departure.first,
                count=departure.last - departure.first + 1,
                observations=Raw(departure.array()),
                boot=departure.frames[0].boot or UNSET,
            )
        )
        topic = frame_topic(me.site, me.gateway, departure.era, departure.lane)
        message = Message(topic, payload, frame_type(payload))
        return Packed(departure, message, wire_bytes(topic, message.content_type, len(payload)))
