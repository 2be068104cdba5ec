"""`make bench`: measures every delivery row of the design, prints it beside its target, writes bench/report.json.

Everything is real: ext4 on a recording block device, Mosquitto with mutual TLS, `jisr run`, `jisr consume`. Timings
are CPU time, that of the box and of the laboratory in seconds of the reference machine (`machine.Pace`; what was
measured stands beside them); or they stand beside what the machine could do at best in the same run. Nothing here is
a test.
"""

import argparse
import compileall
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from bench import bedside, cards, drivers, laboratory, line, loss, machine, ward, wire
from bench.rows import failures, table
from tests.gateway.uplink.monitor_frames import MONITORS, SECONDS, WAVES, sample_frames, wave_frame

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "bench" / "report.json"
FULL_PER_S, CALM_PER_S, OVERLOAD_PER_S = 30_000, 1_000, 200_000
KILLS = 12
WARD_S = 30.0
Figures = dict[str, float]


def _cards(folder: Path) -> Figures:
    large, small = cards.measure(folder, 5000), cards.measure(folder, 600)
    return {
        "write_amplification_5k": large.written,
        "write_amplification_600": small.written,
        "flushes_per_commit": max(large.flushes, small.flushes),
        "x_device_write_amplification_5k": large.device_written or 0.0,
        "x_device_write_amplification_600": small.device_written or 0.0,
        "x_device_flushes_per_commit": max(large.device_flushes or 0.0, small.device_flushes or 0.0),
        "x_commit_bytes_5k": large.payload_bytes,
        "x_commit_bytes_600": small.payload_bytes,
    }


def _line(folder: Path) -> Figures:
    with line.Platform(folder / "line") as platform:
        calm = [platform.load(CALM_PER_S, 10, encoding) for encoding in line.ENCODINGS]
        full = [platform.load(FULL_PER_S, 15, encoding) for encoding in line.ENCODINGS]
        over = platform.load(OVERLOAD_PER_S, 15, "json")
    rates = [one.acknowledged / one.wall_s for one in full]  # the time until the last word came counts
    return {
        "cpu_s_per_1000": max(1000 * one.cpu_s / one.acknowledged for one in (*calm, *full)),
        "x_measured_cpu_s_per_1000": max(1000 * one.measured_cpu_s / one.acknowledged for one in (*calm, *full)),
        "delivered_per_s": min(rates),
        "overload_rss_growth_mb": over.rss_peak_mb - over.rss_start_mb,
        **{
            f"x_cpu_s_per_1000_{one}": 1000 * each.cpu_s / each.acknowledged
            for one, each in zip(line.ENCODINGS, full, strict=True)
        },
        **{f"x_delivered_per_s_{one}": each for one, each in zip(line.ENCODINGS, rates, strict=True)},
        "x_overload_delivered_per_s": over.acknowledged / over.wall_s,
    }


def _ward(folder: Path) -> Figures:
    seen = ward.Ward(folder / "ward", "compact").measure(WARD_S)
    return {
        "rss_mb": seen.rss_mb,
        "event_latency_p99_ms": ward.percentile(seen.event_ms, 0.99),
        "numeric_latency_p99_ms": ward.percentile(seen.numeric_ms, 0.99),
        "x_rss_peak_mb": seen.rss_peak_mb,
        "x_events_timed": len(seen.event_ms),
        "x_numerics_timed": len(seen.numeric_ms),
    }


def _wire(folder: Path) -> Figures:
    frames = sample_frames()
    sent = wire.measure(folder / "wire-numerics", frames)
    per_second = len(frames) * MONITORS * SECONDS
    curves = [wave_frame(name, seed) for name in WAVES for seed in range(4)]
    samples = sum(wire.samples_of(frame) for frame in curves)
    waves = wire.measure(folder / "wire-waves", curves)
    return {
        "wire_bytes_per_monitor_second": sent.wire / per_second,
        "bytes_per_wave_sample": waves.wire / samples,
        "x_payload_bytes_per_monitor_second": sent.payload / per_second,
        "x_payload_bytes_per_wave_sample": waves.payload / samples,
        **_curve_prices(folder / "curve-prices"),
    }


def _curve_prices(folder: Path) -> Figures:
    prices = wire.curve_prices(folder)
    return {f"x_curve_bytes_per_{what}_{one}": each for one, price in prices.items() for what, each in price.items()}


def _loss(folder: Path) -> Figures:
    found = loss.measure(folder / "storm", KILLS)
    return {
        "lost": found.lost,
        "duplicated": found.duplicated,
        "x_kills": found.kills,
        "x_promised": found.promised,
    }


def _bedside(folder: Path) -> Figures:
    costs = bedside.measure(folder / "bedside")
    return {
        "monitor_cpu_percent": max(cost.percent for cost in costs.values()),
        **{f"x_cpu_s_per_hour_{name}": cost.cpu_s_per_hour for name, cost in costs.items()},
        **{f"x_samples_per_s_{name}": cost.samples_per_s for name, cost in costs.items() if cost.samples_per_s},
        **{f"x_numerics_per_s_{name}": cost.numerics_per_s for name, cost in costs.items()},
    }


def _drivers(_folder: Path) -> Figures:
    found = drivers.measure()
    shares = {f"x_driver_cpu_percent_{name}": share for name, share in found.items()}
    return {"driver_cpu_percent": max(found.values()), **shares}


def _laboratory(_folder: Path) -> Figures:
    return laboratory.measure()


def _machine(folder: Path) -> Figures:
    return {
        "x_machine_flushes_per_s": machine.flushes_per_s(folder),
        "x_machine_tls_messages_per_s": machine.tls_messages_per_s(folder),
    }


PARTS: dict[str, Callable[[Path], Figures]] = {
    "machine": _machine,
    "cards": _cards,
    "line": _line,
    "ward": _ward,
    "wire": _wire,
    "loss": _loss,
    "bedside": _bedside,
    "drivers": _drivers,
    "laboratory": _laboratory,
}


def main(words: Iterable[str] | None = None) -> int:
    """Measure, print, write the report; 1 where a row does not meet the design."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("part", nargs="*", help="only these; all without")
    chosen = parser.parse_args(words).part or list(PARTS)
    if set(chosen) - set(PARTS):
        parser.error(f"one of {', '.join(PARTS)}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a box runs compiled files; compiling would count as its memory
    for package in ("drivers", "gateway", "provisioning", "simulators"):
        compileall.compile_dir(str(ROOT / package), quiet=2)
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            sys.stderr.write(f"measuring: {name}\n")
            figures |= PARTS[name](Path(folder))
    report = {"machine": machine.described(), **{key: round(value, 4) for key, value in figures.items()}}
    if set(chosen) == set(PARTS):
        REPORT.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    extra = [f"  {key[2:]}: {value:,.4g}" for key, value in figures.items() if key.startswith("x_")]
    sys.stdout.write("\n".join([machine.described(), table(figures), *extra]) + "\n")
    missed = [key for key in failures(figures) if key in figures or set(chosen) == set(PARTS)]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
