"""Bytes on the wire: frames of monitors and curves that no dictionary has seen, over the uplink's own connection.

Counted by the kernel (TCP_INFO): payload of TLS and MQTT, and 52 bytes of IP and TCP header for each segment.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct

from bench.line import ENCODINGS, GATEWAY, Platform
from drivers.observation import Waveform
from gateway.clock import system_wall
from gateway.spool.frame import OVERHEAD_BYTES
from gateway.uplink import errors
from gateway.uplink.compact import encode_compact
from gateway.uplink.dictionary import newest
from gateway.uplink.envelope import FrameEnvelope, decode_observations, encode_json
from gateway.uplink.identity import TlsFiles
from gateway.uplink.mqtt import Connection, Message
from gateway.uplink.schema import frame_topic, frame_type
from gateway.uplink.tls import connect, parse_broker
from tests.gateway.uplink.monitor_frames import BARE, COMMIT_S, WAVES, wave_frame

HEADER_BYTES = 20 + 32
"""IPv4, and TCP with time stamps."""
_BYTES_SENT, _SEGMENTS_OUT = 200, 136
"""Offsets in struct tcp_info of linux/tcp.h: tcpi_bytes_sent u64 (Linux 4.19), tcpi_segs_out u32."""
CONFIRM_S = 10.0
SEEDS = 4
"""Frames of each kind, each of another box."""
Encode = Callable[[FrameEnvelope], bytes]


class Sent(Struct, frozen=True):
    """What so many frames cost."""

    payload: int
    wire: int


class _Ears:
    """Listens for confirmations."""

    def __init__(self) -> None:
        self.confirmed = asyncio.Event()

    def published(self, mid: int, code: int, reason: str) -> None:
        """PUBACK."""
        self.confirmed.set()

    def received(self, topic: str, payload: bytes) -> None:
        """Not asked for."""

    def subscribed(self, codes: tuple[int, ...]) -> None:
        """Not asked for."""

    def lost(self, error: errors.UplinkError) -> None:
        """Then the confirmation never comes, and the measure fails."""


def _counted(secure: socket.socket) -> tuple[int, int]:
    info = secure.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("<Q", info, _BYTES_SENT)[0], struct.unpack_from("<I", info, _SEGMENTS_OUT)[0]


def encoder(encoding: str) -> Encode:
    """How frames are written in one encoding; compact as the agent does it, with the newest dictionary."""
    dictionary = newest()
    return encode_json if encoding == "json" else lambda frame: encode_compact(frame, dictionary)


async def send(platform: Platform, frames: Sequence[FrameEnvelope], encode: Encode) -> Sent:
    """Send frames one after the other, each confirmed before the next, as a quiet box does."""
    pair = platform.authority.gateway(GATEWAY)
    files = TlsFiles(str(platform.authority.ca), str(pair.certificate), str(pair.key))
    secure = await connect(
        parse_broker(platform.broker.url), files, gateway=GATEWAY, wall=system_wall(), timeout_s=CONFIRM_S
    )
    ears = _Ears()
    will = Message(f"jisr/v1/bench/{GATEWAY}/state", b"{}", "application/json", False)
    connection = Connection(secure, GATEWAY, will, ears)
    payload = 0
    try:
        await connection.start(CONFIRM_S)
        await asyncio.sleep(0.5)
        bytes_before, segments_before = _counted(secure)
        for frame in frames:
            encoded = encode(frame)
            topic = frame_topic(frame.site, GATEWAY, "live", frame.lane)
            message = Message(topic, encoded, frame_type(encoded))
            ears.confirmed.clear()
            payload += len(message.payload)
            connection.publish(message)
            async with asyncio.timeout(CONFIRM_S):
                await ears.confirmed.wait()
        await asyncio.sleep(0.5)
        bytes_after, segments_after = _counted(secure)
    finally:
        connection.drop()
    return Sent(payload, bytes_after - bytes_before + HEADER_BYTES * (segments_after - segments_before))


def samples_of(frame: FrameEnvelope) -> int:
    """How many samples the curves of a frame have."""
    return sum(len(one.samples) for one in decode_observations(frame) if isinstance(one, Waveform))


def measure(folder: Path, frames: Sequence[FrameEnvelope], encoding: str = "compact") -> Sent:
    """The same on a broker of its own."""
    with Platform(folder) as platform:
        return asyncio.run(send(platform, frames, encoder(encoding)))


def curve_prices(folder: Path) -> dict[str, dict[str, float]]:
    """What a frame, a waveform in it and a sample in that cost: on the link in both encodings, and on the disk.

    `provisioning/curves.py` has these figures: `jisr check` tells with them what curves will cost.
    """
    folder.mkdir()

    def sent(encoding: str, name: str, frames: Sequence[FrameEnvelope]) -> int:
        return measure(folder / f"{encoding}-{name}", frames, encoding).wire

    def stored(_name: str, frames: Sequence[FrameEnvelope]) -> int:
        return sum(OVERHEAD_BYTES + len(frame.observations) for frame in frames)

    prices: dict[str, dict[str, float]] = {encoding: _priced(partial(sent, encoding)) for encoding in ENCODINGS}
    return prices | {"disk": _priced(stored)}


def _priced(cost: Callable[[str, Sequence[FrameEnvelope]], int]) -> dict[str, float]:
    mixed = [wave_frame(name, seed) for name in WAVES for seed in range(SEEDS)]
    samples, waves = sum(map(samples_of, mixed)), sum(frame.count for frame in mixed)
    one, eight = (cost(name, [wave_frame(name, seed) for seed in range(SEEDS)]) / SEEDS for name in BARE)
    waveform = (eight - one) / COMMIT_S / (len(BARE["eight"]) - 1)  # with its one sample
    frame = one - COMMIT_S * waveform
    sample = (cost("mixed", mixed) - len(mixed) * frame - waves * waveform) / (samples - waves)
    return {"frame": frame, "waveform": waveform - sample, "sample": sample}
