"""What the curves of a configuration will cost: bytes an hour on the link and on the disk, before any is sent.

How many samples a second there are, the drivers tell (`drivers/curves.py`); what one costs is measured.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from drivers.curves import CurveStream, curve_stream
from gateway.config import Config, DeviceConfig, driver_options, line_settings, parse_budget, parse_port
from gateway.config.problem import listed
from gateway.language import N_, _
from gateway.uplink.budget import CONFIRM_COST
from provisioning.inspection import number_text, size_text

HOUR_S, MONTH_H = 3600, 30 * 24
COMMIT_S = 5
"""The spool commits the wave lane each five seconds: one frame, with the curves of all devices."""


class Price(Struct, frozen=True):
    """Bytes: of a frame, of each waveform in it, and of each sample in that."""

    frame: float
    waveform: float
    sample: float

    def per_hour(self, stream: CurveStream, per_s: float) -> int:
        """Of so many samples a second, in frames of their own."""
        return round(HOUR_S * (self.frame / COMMIT_S + stream.arrays_per_s * self.waveform + per_s * self.sample))


LINK: Mapping[str, Price] = {
    "json": Price(350 + CONFIRM_COST, 411, 3.43),
    "compact": Price(386 + CONFIRM_COST, 1.9, 0.74),
}
"""Sent over TLS and TCP, by encoding: `curve_bytes_per_…` of `make bench`; and the confirmation of each frame."""
DISK = Price(72, 407, 3.41)
"""In the spool, the same rows. It keeps JSON, whatever is sent."""

DEVICE = N_(
    "{device}: curves {codes}, {rate} samples a second: about {link} an hour on the link and {disk} on the disk."
)
DEVICE_MOST = N_(
    "{device}: curves {codes}, at most {rate} samples a second: "
    "at most about {link} an hour on the link and {disk} on the disk."
)
DEVICE_OPEN = N_(
    "{device}: curves {codes}: how many samples a second, only the device tells; "
    "what they cost is not known beforehand."
)
TOTAL = N_(
    "All curves together, encoding {encoding}: about {link} an hour on the link, {month} in 30 days; "
    "about {disk} an hour on the disk until the platform has them."
)
TOTAL_MOST = N_(
    "All curves together, encoding {encoding}: at most about {link} an hour on the link, {month} in 30 days; "
    "at most about {disk} an hour on the disk until the platform has them."
)
NOT_COUNTED = N_("Not counted, because nothing tells how much they send: {devices}.")
WITHIN_BUDGET = N_("That is {percent} % of the budget of {budget}.")
OVER_BUDGET = N_(
    "That is {percent} % of the budget of {budget}: what it does not carry waits on the disk, and over the cap of "
    "[spool] caps the oldest curves are given up."
)


class DeviceCurves(Struct, frozen=True):
    """The curves of one device. `samples_per_s` and the bytes are null where nothing tells or bounds them."""

    device: str
    curves: tuple[str, ...]
    samples_per_s: float | None
    at_most: bool
    """Only the device knows how many there are: the figures are a bound."""
    link_bytes_per_hour: int | None
    disk_bytes_per_hour: int | None


class CurveCosts(Struct, frozen=True):
    """The curves of a box. The sums are of what is known, in frames that the devices share."""

    encoding: str
    devices: tuple[DeviceCurves, ...]
    link_bytes_per_hour: int
    link_bytes_per_30_days: int
    disk_bytes_per_hour: int
    at_most: bool
    is_complete: bool
    """False where the curves of a device are not counted, because nothing bounds them."""
    budget: str
    """As the configuration has it; empty: none."""
    budget_bytes_per_hour: int | None


def curve_costs(config: Config) -> CurveCosts | None:
    """What the curves that a configuration asks for will cost; None where it asks for none."""
    link = LINK[config.uplink.encoding]
    devices, shared = list[DeviceCurves](), 0
    for device in config.device:
        stream = curve_stream(driver_options(device))
        if stream is None:
            continue
        rate = _rounded(stream.most(_line_bytes_per_s(device)))
        on_link, on_disk = (None if rate is None else price.per_hour(stream, rate) for price in (link, DISK))
        devices.append(DeviceCurves(device.name, stream.codes, rate, stream.per_s is None, on_link, on_disk))
        shared += rate is not None
    if not devices:
        return None
    again = max(0, shared - 1) * HOUR_S / COMMIT_S  # frames that were counted for each device
    on_link = round(sum(each.link_bytes_per_hour or 0 for each in devices) - again * link.frame)
    on_disk = round(sum(each.disk_bytes_per_hour or 0 for each in devices) - again * DISK.frame)
    return CurveCosts(
        encoding=config.uplink.encoding,
        devices=tuple(devices),
        link_bytes_per_hour=on_link,
        link_bytes_per_30_days=on_link * MONTH_H,
        disk_bytes_per_hour=on_disk,
        at_most=any(each.at_most and each.samples_per_s is not None for each in devices),
        is_complete=shared == len(devices),
        budget=config.uplink.budget,
        budget_bytes_per_hour=parse_budget(config.uplink.budget) or None,
    )


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 1)


def _line_bytes_per_s(device: DeviceConfig) -> float:
    """What the line of a device carries, 0 where it has none: a start bit, the data, the parity, the stop bits."""
    if not parse_port(device.port).needs_line:
        return 0.0
    line = line_settings(device)
    return line.baud / (1 + line.bits + (line.parity != "N") + line.stop)


def curve_lines(costs: CurveCosts) -> Iterator[str]:
    """The same for people."""
    for each in costs.devices:
        sentence = DEVICE_MOST if each.at_most else DEVICE
        yield _(DEVICE_OPEN if each.samples_per_s is None else sentence).format(
            device=each.device,
            codes=listed(each.curves),
            rate=number_text(round(each.samples_per_s or 0)),
            link=size_text(each.link_bytes_per_hour or 0),
            disk=size_text(each.disk_bytes_per_hour or 0),
        )
    if not costs.link_bytes_per_hour:
        return
    yield _(TOTAL_MOST if costs.at_most else TOTAL).format(
        encoding=costs.encoding,
        link=size_text(costs.link_bytes_per_hour),
        month=size_text(costs.link_bytes_per_30_days),
        disk=size_text(costs.disk_bytes_per_hour),
    )
    if costs.budget_bytes_per_hour:
        percent = round(100 * costs.link_bytes_per_hour / costs.budget_bytes_per_hour)
        sentence = WITHIN_BUDGET if costs.link_bytes_per_hour <= costs.budget_bytes_per_hour else OVER_BUDGET
        yield _(sentence).format(percent=max(1, percent), budget=costs.budget)
    open_ones = [each.device for each in costs.devices if each.samples_per_s is None]
    if open_ones:
        yield _(NOT_COUNTED).format(devices=listed(open_ones))
