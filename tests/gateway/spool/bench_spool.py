"""What the spool costs the card: flushes per commit, and bytes written for each byte kept. Counts, not times.

`python -m tests.gateway.spool.bench_spool [folder]` prints them for a folder on the file system in question; there
the kernel's own count of written bytes (/proc/self/io) stands beside ours.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from msgspec import Struct

from gateway.spool.spool import Spool
from tests.gateway.spool.harness import numeric

BARE = 117
"""Bytes of a frame's payload with one numeric without padding."""


class Cost(Struct, frozen=True):
    """Per commit and per byte."""

    payload_bytes: int
    flushes_per_commit: float
    written_per_byte: float
    kernel_per_byte: float


def kernel_written() -> int:
    """Bytes this process caused to be written, as the kernel counts them."""
    io = Path("/proc/self/io")
    lines = io.read_text(encoding="ascii").splitlines() if io.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("write_bytes")), 0)


async def measure(folder: Path, payload_bytes: int, commits: int, *, acknowledged: bool) -> Cost:
    """Commit after commit of the numeric lane; with `acknowledged`, the platform keeps up."""
    spool = Spool.open(folder)
    before, kernel = spool.counters, kernel_written()
    for number in range(1, commits + 1):
        await spool.put([numeric(1, payload_bytes - BARE)])
        await spool.tick(number)
        if acknowledged:
            spool.acknowledge("numeric", spool.epoch, number - 1)
    after, kernel = spool.counters, kernel_written() - kernel
    await spool.close()
    payload = after.payload_bytes - before.payload_bytes
    return Cost(
        payload_bytes=payload // commits,
        flushes_per_commit=(after.flushes - before.flushes) / (after.commits - before.commits),
        written_per_byte=(after.written_bytes - before.written_bytes) / payload,
        kernel_per_byte=kernel / payload,
    )


def main() -> None:
    """Print the figures beside their targets (design, section 10)."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as root:
        for size, target in ((600, 9.0), (5000, 2.0)):
            for acknowledged in (False, True):
                cost = asyncio.run(
                    measure(Path(root) / f"{size}-{acknowledged}", size, 4000, acknowledged=acknowledged)
                )
                sys.stdout.write(
                    f"{cost.payload_bytes:5} B a commit, acknowledged {acknowledged!s:5}: "
                    f"{cost.flushes_per_commit:.3f} flushes a commit (1.05), "
                    f"{cost.written_per_byte:.2f} bytes written a byte ({target}), "
                    f"kernel {cost.kernel_per_byte:.2f}\n"
                )


if __name__ == "__main__":
    main()
