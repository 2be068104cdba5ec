"""The live picture in a terminal: devices, last values, spool, delivery."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from drivers.observation import Alert, AnyObservation, Enumeration, Numeric, Result
from gateway.config import Config, resolved_profile
from gateway.language import N_, _
from provisioning.attach import Seen

VALUES_SHOWN = 7
NOTES_SHOWN = 4
FRAME_ROWS = 11
"""Border, headings, lanes, the platform's line, and one more for it and for a note that need two."""
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


class _Shown(NamedTuple):
    text: str
    is_live: bool


class Board:
    """Takes the feed's lines, draws them."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._values: dict[str, dict[str, _Shown]] = {}
        self._status: dict[str, Any] = {}
        self.notes: list[str] = []
        self.ledger: dict[str, int] = {}

    def take(self, seen: Seen) -> None:
        """One line of the feed."""
        if seen.status is not None:
            self._status = seen.status
            self._forget_dead_links()
        if seen.observation is not None:
            self._take_observation(seen.observation)

    def _forget_dead_links(self) -> None:
        """The last value of a link that is down must not look like the present one; a laboratory result stays."""
        for name, state in self._status.get("devices", {}).items():
            if state["connection"] != "connected" and name in self._values:
                kept = {code: each for code, each in self._values[name].items() if not each.is_live}
                self._values[name] = kept

    def _take_observation(self, seen: AnyObservation) -> None:
        code = seen.vendor.code if seen.vendor else seen.metric
        text = describe(seen, self._labels.get(seen.device, {}).get(code, code))
        if not text:
            return
        if seen.mds:  # two pumps of one rack have the same codes
            code, text = f"{seen.mds} {code}", f"{seen.mds}  {text}"
        values = self._values.setdefault(seen.device, {})
        values.pop(code, None)  # the newest stands last
        values[code] = _Shown(text, is_live=not isinstance(seen, Result))
        while len(values) > VALUES_SHOWN:
            values.pop(next(iter(values)))

    def render(self, height: int) -> RenderableType:
        """The picture as it is now, for a terminal of that many rows: it shows fewer values rather than no ledger."""
        notes = self.notes[-NOTES_SHOWN if height > 30 else -2 :]
        room = (height - FRAME_ROWS - len(notes)) // max(1, len(self._status.get("devices", {})))
        parts: list[RenderableType] = [self._devices(max(1, min(room, VALUES_SHOWN))), self._lanes(), self._link()]
        if notes:
            parts.append(Text("\n".join(notes), style="cyan"))
        return Panel(Group(*parts), title="Jisr جسر", border_style="blue")

    def _devices(self, rows: int) -> Table:
        table = Table(expand=True, box=None, pad_edge=False)
        for heading in (_("Device"), _("Link"), _("Observations")):
            table.add_column(heading, no_wrap=True)
        table.add_column(_("Last values"), no_wrap=True, overflow="ellipsis", ratio=1)
        for name, state in self._status.get("devices", {}).items():
            colour, word = LINKS.get(state["connection"], ("white", state["connection"]))
            shown = [each.text for each in self._values.get(name, {}).values()][-rows:]
            values = "\n".join(shown) or state["why"]
            table.add_row(name, Text(_(word), style=colour), str(state["observations"]), values)
        return table

    def _lanes(self) -> Table:
        table = Table(expand=True, box=None, pad_edge=False)
        for heading in (_("Lane"), _("Committed"), _("Waiting"), _("Bytes waiting")):
            table.add_column(heading)
        depth = self._status.get("depth", {})
        for lane, committed in self._status.get("committed", {}).items():
            waiting = depth.get(lane, {"observations": 0, "bytes": 0})
            table.add_row(lane, str(committed), str(waiting["observations"]), str(waiting["bytes"]))
        return table

    def _link(self) -> Text:
        link = self._status.get("uplink", {})
        if link.get("connected", False):
            return Text(_("platform connected"), style="green")
        return Text(_("platform unreachable") + "  " + link.get("last_error", ""), style="red")


def describe(seen: AnyObservation, name: str) -> str:
    """One observation in a few words, value and doubt first: a narrow column cuts the name. Empty: not shown."""
    match seen:
        case Numeric():
            value = "—" if seen.value is None else str(seen.value)
            return f"{value} {'' if seen.unit == '1' else seen.unit}{_doubt(seen)}  {name}"
        case Enumeration():
            return f"{seen.value or '—'}  {name}"
        case Result():
            number = "" if seen.value is None else f"{seen.comparator}{seen.value}"
            value = " ".join(filter(None, (seen.answer, number))) or "—"
            return f"{seen.specimen}  {value} {seen.vendor_unit}{_doubt(seen)}  {name} [{seen.status}]"
        case Alert():
            return f"{seen.presence} {seen.priority}  {seen.vendor.text if seen.vendor else name}"
        case _:
            return ""


def _doubt(seen: AnyObservation) -> str:
    return "" if seen.validity == "valid" else f" ({seen.validity}: {seen.reason})"
