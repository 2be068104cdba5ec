"""Write the Metrics section of every driver's README from its profiles: `python -m tools.metrics_table`."""

import sys
from decimal import Decimal
from pathlib import Path

from drivers import catalog
from drivers.profile import Metric, Profile

DRIVERS = Path(catalog.__file__).parent
BEGIN, END = "<!-- metrics -->", "<!-- /metrics -->"
HEAD = """\
| code | metric | unit | IEEE 11073 | plausible | step |
|---|---|---|---|---|---|
"""


class NoMarkers(LookupError):
    """A README without the two markers between which the tables stand."""


def section(driver: str) -> str:
    """The tables of all profiles of a driver, as Markdown."""
    parts = ["Generated from the profiles (`make docs`); `code` is the device's own.\n"]
    parts += [_profile_table(profile) for profile in catalog.profiles(driver).values()]
    return "\n".join(parts)


def _profile_table(profile: Profile) -> str:
    title = f"### `{profile.name}`: {profile.vendor} {', '.join(profile.models)}\n\n"
    if not profile.metric:
        return title + "No table of metrics: what the device sends is published under the device's own codes.\n"
    return title + HEAD + "".join(_row(metric) for metric in profile.metric)


def _row(metric: Metric) -> str:
    low, high = metric.range
    cells = (
        f"`{metric.code}`",
        metric.label("en"),
        f"`{metric.unit}`" if metric.unit else metric.kind,
        f"{metric.mdc} ({metric.mdc_code})" if metric.mdc else "not confirmed",
        "" if low is None and high is None else f"{_number(low)} … {_number(high)}",
        _number(metric.step),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _number(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}"


def with_section(readme: str, text: str) -> str:
    """The README with `text` between its markers. Raises `NoMarkers`."""
    before, begin, rest = readme.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise NoMarkers(BEGIN if not begin else END)
    return f"{before}{BEGIN}\n{text}{END}{after}"


def main() -> int:
    """Rewrite what differs; names each file it wrote."""
    for driver in catalog.DRIVERS:
        path = DRIVERS / driver / "README.md"
        readme = path.read_text(encoding="utf-8")
        new = with_section(readme, section(driver))
        if new != readme:
            path.write_text(new, encoding="utf-8")
            sys.stdout.write(f"drivers/{driver}/README.md\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
