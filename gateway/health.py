"""What the box tells of itself: who it is (birth) and how it fares each minute (health)."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.clock import Clock
from gateway.config import Config, DeviceConfig, may_send, resolved_profile
from gateway.device import LinkState
from gateway.spool.spool import Spool
from gateway.uplink.schema import Birth, DeviceBirth, DeviceLink, Health, MetricBirth
from gateway.version import VERSION

TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def rss_mb() -> float:
    """Resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * PAGE_BYTES / 1e6, 1)


def birth(config: Config, clock: Clock) -> Birth:
    """Software, devices and their metrics; the uplink adds spool, epoch and session."""
    now = clock.now()
    return Birth(
        software=f"jisr {VERSION}",
        language=config.gateway.language,
        boot=now.trust.boot,
        at=now.at,
        devices=tuple(_device(device) for device in config.device),
    )


def _device(device: DeviceConfig) -> DeviceBirth:
    profile = resolved_profile(device)
    return DeviceBirth(
        name=device.name,
        driver=f"{profile.driver}/{profile.protocol.version}",
        profile=profile.name,
        place=device.place,
        mode=device.mode,
        evidence=profile.tier,
        port=device.port,
        sends=may_send(device),
        metrics=tuple(
            MetricBirth(
                vendor_code=metric.code,
                metric=metric.mdc,
                code=metric.mdc_code,
                unit=metric.unit,
                category=metric.category,
                label_en=metric.label("en"),
                label_fr=metric.label("fr"),
            )
            for metric in profile.metric
        ),
    )


def health(spool: Spool, spool_path: Path, clock: Clock, devices: Mapping[str, LinkState]) -> Health:
    """Counters, disk, clock, temperature, and the link of each device; the uplink adds its own."""
    now = clock.now()
    disk = shutil.disk_usage(spool_path)
    return Health(
        epoch=spool.epoch,
        at=now.at,
        uptime_s=round(now.mono_s, 1),
        clock=msgspec.to_builtins(now.trust),
        spool={lane: msgspec.to_builtins(depth) for lane, depth in spool.depth().items()},
        counters={f"committed_{lane}": count for lane, count in spool.committed.items()}
        | {name: int(value) for name, value in msgspec.to_builtins(spool.counters).items()},
        disk={"total_bytes": disk.total, "free_bytes": disk.free},
        rss_mb=rss_mb(),
        load=round(os.getloadavg()[0], 2),
        temperature_c=_temperature(),
        devices={name: link(state) for name, state in devices.items()},
    )


def link(state: LinkState) -> DeviceLink:
    """A device's link as the published contract has it."""
    return DeviceLink(
        connection=state.connection,
        why=state.why,
        observations=state.observations,
        faults=dict(state.faults),
        unsent=dict(state.unsent),
        rejected_share=round(state.rejected_share, 4),
    )


def _temperature() -> float | None:
    """The processor's temperature in degrees Celsius, where the board tells it."""
    try:
        return int(TEMPERATURE.read_text(encoding="ascii")) / 1000
    except (OSError, ValueError):
        return None
