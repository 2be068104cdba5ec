"""The live picture in a terminal: devices, last values, spool, delivery."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from drivers.observation import Alert, AnyObservation, Enumeration, Numeric, Result
from gateway.config import Config, resolved_profile
from gateway.language import N_, _
from provisioning.attach import Seen

VALUES_SHOWN = 7
Labels = Mapping[str, Mapping[str, str]]
"""Device name to vendor code to what a person reads."""
LINKS = {
    "connected": ("green", N_("connected")),
    "disconnected": ("red", N_("disconnected")),
    "stale": ("yellow", N_("silent")),
    "unknown": ("yellow", N_("open, nothing understood yet")),
}


def labels_of(config: Config, language: str) -> Labels:
    """What each metric of each configured device is called."""
    return {
        device.name: {metric.code: metric.label(language) for metric in resolved_profile(device).metric}
        for device in config.device
    }


class Board:
    """Takes the feed's lines, draws them."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._values: dict[str, dict[str, str]] = {}
        self._status: dict[str, Any] = {}
        self.notes: list[str] = []
        self.ledger: dict[str, int] = {}

    def take(self, seen: Seen) -> None:
        """One line of the feed."""
        if seen.status is not None:
            self._status = seen.status
        if seen.observation is not None:
            self._take_observation(seen.observation)

    def _take_observation(self, seen: AnyObservation) -> None:
        code = seen.vendor.code if seen.vendor else seen.metric
        text = describe(seen, self._labels.get(seen.device, {}).get(code, code))
        if not text:
            return
        values = self._values.setdefault(seen.device, {})
        values.pop(code, None)  # the newest stands last
        values[code] = text
        while len(values) > VALUES_SHOWN:
            values.pop(next(iter(values)))

    def render(self) -> RenderableType:
        """The picture as it is now."""
        parts: list[RenderableType] = [self._devices(), self._delivery()]
        if self.notes:
            parts.append(Text("\n".join(self.notes[-4:]), style="cyan"))
        return Panel(Group(*parts), title="Jisr جسر", border_style="blue")

    def _devices(self) -> Table:
        table = Table(expand=True, box=None, pad_edge=False)
        for heading in (_("Device"), _("Link"), _("Observations"), _("Last values")):
            table.add_column(heading, overflow="fold")
        for name, state in self._status.get("devices", {}).items():
            colour, word = LINKS.get(state["connection"], ("white", state["connection"]))
            values = "\n".join(self._values.get(name, {}).values()) or state["why"]
            table.add_row(name, Text(_(word), style=colour), str(state["observations"]), values)
        return table

    def _delivery(self) -> Table:
        table = Table(expand=True, box=None, pad_edge=False)
        for heading in (_("Lane"), _("Committed"), _("Waiting"), _("Bytes waiting")):
            table.add_column(heading)
        depth = self._status.get("depth", {})
        for lane, committed in self._status.get("committed", {}).items():
            waiting = depth.get(lane, {"observations": 0, "bytes": 0})
            table.add_row(lane, str(committed), str(waiting["observations"]), str(waiting["bytes"]))
        link = self._status.get("uplink", {})
        up = link.get("connected", False)
        state = Text(_("platform connected") if up else _("platform unreachable"), style="green" if up else "red")
        table.add_row(state, "", "", str(link.get("last_error", "") if not up else ""))
        return table


def describe(seen: AnyObservation, name: str) -> str:
    """One observation in a few words; empty for what a picture does not show."""
    match seen:
        case Numeric():
            value = "—" if seen.value is None else str(seen.value)
            return f"{name}  {value} {'' if seen.unit == '1' else seen.unit}{_doubt(seen)}"
        case Enumeration():
            return f"{name}  {seen.value or '—'}"
        case Result():
            value = "—" if seen.value is None else f"{seen.comparator}{seen.value}"
            return f"{seen.specimen}  {name}  {value} {seen.vendor_unit} [{seen.status}]{_doubt(seen)}"
        case Alert():
            return f"{seen.presence} {seen.priority}  {seen.vendor.text if seen.vendor else name}"
        case _:
            return ""


def _doubt(seen: AnyObservation) -> str:
    return "" if seen.validity == "valid" else f" ({seen.validity}: {seen.reason})"


def plain(rows: Sequence[tuple[str, object]]) -> str:
    """A ledger without a terminal's colours: one line a row."""
    width = max(len(name) for name, _value in rows)
    return "".join(f"{name:<{width}}  {value}\n" for name, value in rows)
