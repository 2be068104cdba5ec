"""The box under load, alone in its process: the real spool and the real uplink, fed with monitors' numerics.

`python -m bench.load ORDER` reads one JSON object (`Order`) and prints one (`Outcome`). CPU is this process's own.
"""

import asyncio
import gc
import resource
import sys
import time
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from bench.machine import Pace
from bench.monitors import numerics
from gateway.errors import JisrError
from gateway.health import rss_mb
from gateway.spool.spool import Spool
from gateway.uplink.schema import Birth, Health
from gateway.uplink.uplink import TlsFiles, Uplink, UplinkSettings

SLICES = 10
"""A second's load is handed over in so many pieces, as devices do; all at once would measure a burst."""
WARM_S = 2.0
DRAIN_S = 60.0


class Order(Struct, frozen=True):
    """What to do."""

    folder: str
    gateway: str
    broker: str
    ca: str
    certificate: str
    key: str
    ack_key: str
    encoding: Literal["json", "compact"]
    numerics_per_s: int
    seconds: float


class Outcome(Struct, frozen=True):
    """What it took."""

    acknowledged: int
    cpu_s: float
    """In seconds of the reference machine."""
    measured_cpu_s: float
    wall_s: float
    asked: int
    seconds: float
    put: int
    rss_start_mb: float
    rss_end_mb: float
    rss_peak_mb: float


class Quiet:
    """A journal that keeps what went wrong."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def event(self, name: str, **facts: Any) -> None:
        """Machines do not look here."""

    def say(self, error: JisrError, subject: str = "") -> None:
        """A sentence, for the one who wonders why a figure is bad."""
        self.sentences.append(f"{subject}: {error.text()}")

    def settle(self, subject: str) -> None:
        """Over."""


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def work(order: Order) -> Outcome:
    """Feed for `seconds`, and wait until everything put is acknowledged."""
    spool = Spool.open(Path(order.folder))
    journal = Quiet()
    settings = UplinkSettings(
        site="bench",
        gateway=order.gateway,
        broker=order.broker,
        tls=TlsFiles(order.ca, order.certificate, order.key),
        ack="platform",
        encoding=order.encoding,
        ack_key=order.ack_key,
    )
    uplink = Uplink(settings, spool, Birth, Health, journal)
    tasks = [asyncio.create_task(spool.run()), asyncio.create_task(uplink.run())]
    while not uplink.link.connected:
        await asyncio.sleep(0.05)
    await _feed(spool, order.numerics_per_s, WARM_S, Pace())
    await _drained(spool)
    gc.freeze()  # as the agent does
    before, start, rss = _cpu_s(), time.perf_counter(), rss_mb()
    known = uplink.counters.acknowledged
    pace = Pace()
    put, peak = await _feed(spool, order.numerics_per_s, order.seconds, pace)
    full = rss_mb()
    await _drained(spool)
    spent = _cpu_s() - before - pace.spent_s
    outcome = Outcome(
        acknowledged=uplink.counters.acknowledged - known,
        cpu_s=spent * pace.ratio,
        measured_cpu_s=spent,
        wall_s=time.perf_counter() - start,
        asked=int(order.numerics_per_s * order.seconds),
        seconds=order.seconds,
        put=put,
        rss_start_mb=rss,
        rss_end_mb=full,
        rss_peak_mb=max(peak, full),
    )
    await uplink.stop(2.0)
    await spool.close()
    for task in tasks:
        task.cancel()
    for sentence in journal.sentences:
        sys.stderr.write(sentence + "\n")
    return outcome


async def _feed(spool: Spool, per_s: int, seconds: float, pace: Pace) -> tuple[int, float]:
    """Put `per_s` a second; where the spool makes us wait, less. Returns how many, and the highest memory seen."""
    start, put, peak = time.perf_counter(), 0, 0.0
    for number in range(int(seconds * SLICES)):
        await spool.put(numerics(number, per_s // SLICES))
        put += per_s // SLICES
        if number % SLICES == 0:  # looking costs a quarter of a millisecond, which is not the line's
            peak = max(peak, rss_mb())
            pace.look()
        spent = time.perf_counter() - start
        if spent >= seconds:
            break
        await asyncio.sleep(max(0.0, (number + 1) / SLICES - spent))
    return put, peak


async def _drained(spool: Spool) -> None:
    await spool.commit_now()
    end = time.perf_counter() + DRAIN_S
    while time.perf_counter() < end and spool.depth()["numeric"].observations:
        await asyncio.sleep(0.02)


def main() -> None:
    """One order in, one outcome out."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    sys.stdout.write(msgspec.json.encode(asyncio.run(work(order))).decode() + "\n")


if __name__ == "__main__":
    main()
