"""The rows of the report: what is measured, its target in the design (section 10), and how it is printed."""

from collections.abc import Mapping

from msgspec import Struct


class Row(Struct, frozen=True):
    """One figure. `target` is the design's; `is_floor`: the figure must not be below it, else not above."""

    key: str
    title: str
    target: float
    unit: str = ""
    is_floor: bool = False

    def meets(self, value: float) -> bool:
        """Whether the figure keeps the design's promise."""
        return value >= self.target if self.is_floor else value <= self.target


ROWS = (
    Row("lost", "observations lost: SIGKILL of agent, broker and platform", 0),
    Row("duplicated", "the same, stored twice", 0),
    Row("write_amplification_5k", "bytes to the card per byte kept, 5 kB/s at 1 s commits", 2.0),
    Row("write_amplification_600", "the same, 600 B/s", 9.0),
    Row("flushes_per_commit", "flushes per commit", 1.05),
    Row("rss_mb", "memory of the agent, 8 devices, no screen", 45.0, "MB"),
    Row("cpu_s_per_1000", "CPU of the box for 1,000 numerics, committed, delivered", 0.02, "s"),
    Row("delivered_per_s", "numerics committed and acknowledged, sustained", 25_000, "/s", is_floor=True),
    Row("overload_rss_growth_mb", "memory growth when asked for more than can go", 16.0, "MB"),
    Row("event_latency_p99_ms", "device byte to platform, events, p99", 150.0, "ms"),
    Row("numeric_latency_p99_ms", "device byte to platform, numerics, p99", 1500.0, "ms"),
    Row("wire_bytes_per_monitor_second", "bytes sent per monitor-second (10 numerics), 10 s frames", 20.0, "B"),
    Row("bytes_per_wave_sample", "bytes sent per waveform sample", 1.0, "B"),
    Row("monitor_cpu_percent", "a monitor at full load with curves, whole device task, of a core", 3.0, "%"),
    Row("driver_cpu_percent", "a driver at its full real-time load, share of one core", 2.0, "%"),
    Row("astm_messages_per_cpu_s", "messages of 30 results per CPU-s: ASTM, in a frame", 5000, "/s", is_floor=True),
    Row("hl7_lab_messages_per_cpu_s", "the same: HL7, MLLP", 5000, "/s", is_floor=True),
    Row("python_hl7_messages_per_cpu_s", "the same HL7 parsed by the public library hl7", 0, "/s", is_floor=True),
)


def shown(value: float) -> str:
    """A figure as a person reads it."""
    if value == int(value) and abs(value) < 1000:
        return str(int(value))
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def table(figures: Mapping[str, float]) -> str:
    """Each measured row beside its target."""
    lines = [f"{'':65} {'measured':>10} {'target':>10}"]
    for row in ROWS:
        if row.key in figures:
            value, sign = figures[row.key], ">=" if row.is_floor else "<="
            verdict = "" if row.meets(value) else "  NOT MET"
            target = f"{sign} {shown(row.target)}"
            lines.append(f"{row.title:65} {shown(value) + ' ' + row.unit:>10} {target:>10}{verdict}")
    return "\n".join(lines)


def failures(figures: Mapping[str, float]) -> list[str]:
    """Keys of the rows that were measured and do not meet their target, and of those that were not measured."""
    return [row.key for row in ROWS if row.key not in figures or not row.meets(figures[row.key])]
