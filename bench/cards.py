"""What the spool costs the card: bytes written and flushes at the block device, for each byte and commit kept."""

import asyncio
from pathlib import Path

from msgspec import Struct

from bench.monitors import numerics
from drivers.observation import AnyObservation, stamp, to_json
from gateway.spool.spool import Spool
from tests.powercut.device import RecordingDevice, missing

COMMITS = 3000
DEVICE_BYTES = 64 << 20
BRACKETS = 2
"""Around the observations of a frame."""


class Cost(Struct, frozen=True):
    """Per byte and per commit. `device_*`: counted at a block device with ext4, its journal included."""

    payload_bytes: int
    flushes: float
    written: float
    device_flushes: float | None = None
    device_written: float | None = None


def measure(folder: Path, payload_bytes: int) -> Cost:
    """Commits of about `payload_bytes` of numerics, acknowledged as they go, so that segments are used again."""
    if missing():
        return asyncio.run(_commit(folder / f"spool-{payload_bytes}", payload_bytes))
    with RecordingDevice(folder / f"device-{payload_bytes}", DEVICE_BYTES, is_kept=False) as device:
        before = device.settle()
        cost = asyncio.run(_commit(device.mount / "spool", payload_bytes))
        used = device.settle() - before
    total = cost.payload_bytes * COMMITS
    return Cost(cost.payload_bytes, cost.flushes, cost.written, used.flushes / COMMITS, used.bytes / total)


async def _commit(folder: Path, payload_bytes: int) -> Cost:
    spool = Spool.open(folder)
    before = spool.counters
    for number in range(1, COMMITS + 1):
        await spool.put([_of_size(number, payload_bytes - BRACKETS)])
        await spool.tick(number)
        spool.acknowledge("numeric", spool.epoch, number - 1)
    after = spool.counters
    await spool.close()
    payload = after.payload_bytes - before.payload_bytes
    return Cost(
        payload_bytes=payload // COMMITS,
        flushes=(after.flushes - before.flushes) / COMMITS,
        written=(after.written_bytes - before.written_bytes) / payload,
    )


def _of_size(number: int, size: int) -> AnyObservation:
    """A numeric of exactly `size` bytes of JSON."""
    bare = stamp(numerics(number, 1)[0], reason="")
    return stamp(bare, reason="-" * (size - len(to_json(stamp(bare, reason="-"))) + 1))
