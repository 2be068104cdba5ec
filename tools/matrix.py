"""Write docs/supported-devices.md from the profiles of all drivers: `python -m tools.matrix`."""

import sys
from collections import Counter
from pathlib import Path

from drivers import catalog
from drivers.profile import Profile

PAGE = Path(__file__).parent.parent / "docs" / "supported-devices.md"
HEAD = """\
# Supported devices

Written from the profiles (`make matrix`). A device that is not here may still speak one of these protocols:
`jisr record` keeps what it says.

| evidence | what was seen |
|---|---|
| sketch | written from a document or another program only, never seen with a device; needs `accept_sketch = true` |
| bench | the document's own frames, and a simulator written from it by another hand |
| captured | a recording of a real device replays right |
| field | thirty days on site, error rates recorded |

"Asks" means that the box sends the questions of the driver's allow-list, and nothing else. Counts are of what the
profile knows: numbers with their unit, words (modes, states), curves, alerts. What it does not know comes raw, with
the device's own code.

"""
COLUMNS = (
    *("vendor", "models", "driver · profile", "evidence", "connection", "the box"),
    *("numbers", "words", "curves", "alerts", "cable, settings"),
)
TABLE = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"
SKETCHES = "\n## Sketches\n\n"


def page() -> str:
    """The whole page."""
    found = [profile for driver in catalog.DRIVERS for profile in catalog.profiles(driver).values()]
    found.sort(key=lambda profile: (profile.vendor.casefold(), profile.driver, profile.name))
    seen = [profile for profile in found if profile.tier != "sketch"]
    sketches = [profile for profile in found if profile.tier == "sketch"]
    text = HEAD + TABLE + "".join(map(_row, seen))
    return text + (SKETCHES + TABLE + "".join(map(_row, sketches)) if sketches else "")


def _row(profile: Profile) -> str:
    protocol = profile.protocol
    kinds = Counter(metric.kind for metric in profile.metric if metric.kind != "numeric" or metric.unit)
    readme = f"../drivers/{profile.driver}/README.md"
    cells = (
        profile.vendor,
        ", ".join(profile.models),
        f"`{profile.driver}` · `{profile.name}`",
        profile.tier,
        ", ".join(profile.ports) + (f", {profile.line}" if profile.line else ""),
        "asks" if protocol.asks else "listens",
        *(_count(kinds[kind]) for kind in ("numeric", "enumeration", "waveform", "alert")),
        f"[cable]({readme}#cable-and-pinout), [settings]({readme}#settings-on-the-device)",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _count(number: int) -> str:
    return str(number) if number else ""


def main() -> int:
    """Rewrite the page where it differs."""
    new = page()
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != new:
        PAGE.write_text(new, encoding="utf-8")
        sys.stdout.write("docs/supported-devices.md\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
