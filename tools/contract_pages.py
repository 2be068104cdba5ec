"""What is made anew in the pages of docs/platform: the scripts as they are, and the worked examples of the MACs."""

from pathlib import Path
from typing import Any

from tools.contract_asyncapi import GATEWAY, KEY, SITE, examples

SHELL_LINE = "openssl dgst -sha256 -mac HMAC -macopt hexkey:"


class NoMarkers(LookupError):
    """A page without the two markers between which a section stands."""


def with_section(page: str, name: str, text: str) -> str:
    """The page with `text` between `<!-- name -->` and `<!-- /name -->`. Raises `NoMarkers`."""
    before, begin, rest = page.partition(f"<!-- {name} -->")
    _old, end, after = rest.partition(f"<!-- /{name} -->")
    if not begin or not end:
        raise NoMarkers(name)
    return f"{before}{begin}\n{text}{end}{after}"


def pages(folder: Path) -> dict[str, str]:
    """Every page that has generated sections, by its name, as it should be."""
    sections = {
        "README.md": {"values.sh": _script(folder, "values.sh")},
        "acknowledgement.md": {
            "mac": _acknowledgements(),
            "acknowledge.sh": _script(folder, "acknowledge.sh"),
            "time": _time(),
        },
    }
    made = {}
    for name, parts in sections.items():
        made[name] = (folder / name).read_text(encoding="utf-8")
        for marker, text in parts.items():
            made[name] = with_section(made[name], marker, text)
    return made


def _script(folder: Path, name: str) -> str:
    text = (folder / "examples" / name).read_text(encoding="utf-8")
    return f"[`examples/{name}`](examples/{name}):\n```bash\n{text}```\n"


def _acknowledgements() -> str:
    ack: dict[str, Any] = examples()["ack"]
    key = f"With the key `{KEY.hex()}`:\n"
    with_holes = [SITE, GATEWAY, "numeric", ack["spool"], str(ack["epoch"]), str(ack["upto"])]
    holes = ",".join(f"{first}-{last}" for first, last in ack["holes"])
    whole = examples()["ack-without-holes"]
    return (
        key
        + _worked(["jisr-ack-1", *with_holes, holes], ack["mac"])
        + "\nand the same without holes:\n"
        + _worked(["jisr-ack-1", *with_holes, ""], whole["mac"])
    )


def _time() -> str:
    answer: dict[str, Any] = examples()["time-answer"]
    lines = ["jisr-time-1", SITE, GATEWAY, answer["nonce"], answer["utc"]]
    return "With the same key:\n" + _worked(lines, answer["mac"])


def _worked(lines: list[str], mac: str) -> str:
    said = "\\n".join(lines)
    return f"```console\n$ printf '{said}' | \\\n    {SHELL_LINE}{KEY.hex()}\nSHA2-256(stdin)= {mac}\n```\n"
