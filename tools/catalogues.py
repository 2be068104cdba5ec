"""The French catalogue: `python -m tools.catalogues update [MORE.po …]` and `python -m tools.catalogues compile`.

`update` takes every sentence marked `_()` or `N_()` (and `ngettext()`) out of the packages, keeps the translations
there are, adds those of the extra files, drops what no code says any more, and names what is still missing.
"""

import io
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parent.parent
PACKAGES = ("drivers", "gateway", "provisioning")
PO = ROOT / "gateway" / "locale" / "fr" / "LC_MESSAGES" / "jisr.po"
MO = PO.with_suffix(".mo")
ARGPARSE = ROOT / "gateway" / "locale" / "argparse.pot"
"""Sentences of the library that reads the command line: it asks our catalogue for them."""
DATED = datetime(2026, 11, 1, tzinfo=UTC)
"""The headers' dates, fixed: the same sentences give the same file."""
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
HEADER = """\
# The sentences of Jisr in French.
# Written by tools/catalogues.py (make translations): change the msgstr, never the order."""


def extract() -> Catalog:
    """Every sentence the packages say, sorted, untranslated."""
    template = Catalog(domain="jisr")
    for package in PACKAGES:
        found = extract_from_dir(ROOT / package, method_map=[("**.py", "python")], keywords=KEYWORDS)
        for _file, _line, message, comments, context in found:
            template.add(message, auto_comments=comments, context=context)
    for borrowed in read(ARGPARSE):
        if borrowed.id:
            template.add(borrowed.id)
    return template


def read(path: Path) -> Catalog:
    """One catalogue; empty where there is no file yet."""
    if not path.exists():
        return Catalog(locale="fr", domain="jisr")
    with path.open("rb") as file:
        return read_po(file, locale="fr", domain="jisr", abort_invalid=True)


def compiled(catalogue: Catalog) -> bytes:
    """The .mo bytes of a catalogue."""
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def merge(template: Catalog, translated: Iterable[Catalog]) -> Catalog:
    """The template's sentences with the translations found, the first catalogue's first."""
    merged = Catalog("fr", "jisr", HEADER, project="jisr", fuzzy=False, creation_date=DATED, revision_date=DATED)
    known = list(translated)
    for message in template:
        if not message.id:
            continue
        strings = (other.string for catalogue in known if (other := catalogue.get(message.id)) and not other.fuzzy)
        string = next((s for s in strings if s and (isinstance(s, str) or all(s))), None)
        merged.add(message.id, string, auto_comments=message.auto_comments)
    return merged


def missing(catalogue: Catalog) -> list[str]:
    """The sentences without a translation (one of several plural forms counts)."""
    return [
        message.id if isinstance(message.id, str) else message.id[0]
        for message in catalogue
        if message.id
        and not (message.string if isinstance(message.string, str) else message.string and all(message.string))
    ]


def update(more: list[Path]) -> int:
    """Write the .po; 1 where translations are missing."""
    merged = merge(extract(), [read(PO), *map(read, more)])
    PO.parent.mkdir(parents=True, exist_ok=True)
    with PO.open("wb") as file:
        write_po(file, merged, width=118, no_location=True, sort_output=True, omit_header=False, include_lineno=False)
    left = missing(merged)
    for sentence in left:
        sys.stderr.write(f"no French for: {sentence}\n")
    return int(bool(left))


def main(words: list[str]) -> int:
    """Run one of the two commands."""
    match words:
        case ["update", *more]:
            return update([Path(name) for name in more])
        case ["compile"]:
            MO.write_bytes(compiled(read(PO)))
            return 0
    sys.stderr.write(f"{__doc__}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
