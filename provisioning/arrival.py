"""`jisr consume --import`: courier files into the platform's store, each told with what it brought or why not."""

import argparse
import contextlib
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from gateway.errors import OS_WORDS, JisrError
from gateway.language import N_, _
from gateway.uplink.schema import decode_key
from provisioning.errors import AskedWrongly
from provisioning.inspection import number_text
from simulators.central.carried import Carried, Taken
from simulators.central.courier import CourierRefused, Trust, read_private_key

REFUSED = {
    "not_courier": N_("this is no courier file"),
    "version": N_("it is of a later version than this program can read"),
    "too_large": N_("it is larger than any courier file"),
    "truncated": N_("it ends too early; copy it again from the stick"),
    "header": N_("its header cannot be read"),
    "unsigned": N_("it is not signed"),
    "signature": N_("it was edited or damaged: its signature does not hold"),
    "authority": N_("it was not signed by a box of this programme (see --ca)"),
    "purpose": N_("it was signed with a certificate that is no box's"),
    "name": N_("it says it is of another box than the one that signed it ({detail})"),
    "revoked": N_("the box that signed it was revoked"),
    "no_list": N_("no revocation list of {detail} is in the file given with --crl"),
    "old_list": N_("the revocation list of {detail} is out of date"),
    "no_key": N_("it is encrypted: give the key with --key"),
    "recipient": N_("it is encrypted to another key than the one given ({detail}…)"),
    "decrypt": N_("it cannot be decrypted: its header is not the one it was encrypted with"),
    "content": N_("what is inside is not whole"),
    "frame": N_("what is inside is not of the published contract ({detail})"),
}
NOTES = {
    "plain": N_("was not encrypted"),
    "signed_early": N_("was signed before the box's certificate began, as its clock says ({at})"),
    "signed_late": N_("was signed after the box's certificate ended, as its clock says ({at})"),
    "expired": N_("comes from a box whose certificate has ended by now"),
}


class BadImportFile(AskedWrongly):
    """A file that the import itself needs."""

    sentence = N_("{file}: cannot be used ({reason}).")


class StoreFailed(JisrError):
    """The database refuses in the middle."""

    sentence = N_("{file}: the store refused ({reason}). What was told as taken is stored; run the import again.")


class NotWritten(JisrError):
    """The acknowledgement file."""

    sentence = N_("{file}: cannot be written ({reason}). What was imported is stored; run it again for the file.")


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of an import."""
    group = parser.add_argument_group(_("courier files"))
    group.add_argument(
        "--import",
        dest="paths",
        nargs="+",
        type=Path,
        metavar=_("PATH"),
        help=_("take files that jisr spool export wrote, or folders of them, and end; needs --store and --ca"),
    )
    group.add_argument(
        "--crl", metavar=_("FILE"), type=Path, help=_("revocation lists, PEM: files of these boxes are refused")
    )
    group.add_argument(
        "--ack-out", metavar=_("FILE"), type=Path, help=_("where to write the word for jisr spool acknowledge")
    )
    group.add_argument("--json", action="store_true", help=_("with --import: one JSON object, for tools"))


def example() -> str:
    """How it is typed."""
    return _(
        "Or: jisr consume --import /media/usb --ca ca.pem --key courier.key --store platform.sqlite \\\n"
        "  --ack-key ack.key --ack-out /media/usb/word.ack"
    )


def run(arguments: argparse.Namespace) -> int:
    """0 if every file was taken, 1 if one was refused."""
    key = _read(arguments.ack_key, lambda data: decode_key(data.decode("ascii"))) if arguments.ack_key else b""
    crl = _read(arguments.crl, bytes) if arguments.crl else b""
    trust = _read(arguments.ca, lambda data: Trust(data, crl))
    keys = [_read(arguments.key, read_private_key)] if arguments.key else []
    files = list(_files(arguments.paths))
    try:
        with contextlib.closing(Carried(arguments.store, trust, keys)) as carried:
            told = [_take(carried, path, is_quiet=arguments.json) for path in files]
            lines = list(carried.acknowledgements(key)) if key else []
            ledger = carried.ledger()
    except sqlite3.Error as error:
        raise StoreFailed(file=arguments.store, reason=error) from error
    if arguments.ack_out:
        _write(arguments.ack_out, b"".join(lines))
    if arguments.json:
        found = {"files": told, "rows": ledger.rows, "duplicates": ledger.duplicates, "missing": ledger.missing}
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    elif not files:
        sys.stdout.write(_("No courier file is there.") + "\n")
    elif arguments.ack_out and lines:
        carry = _("{file}: carry it back to the box, and there: jisr spool acknowledge {name}")
        sys.stdout.write(carry.format(file=arguments.ack_out, name=arguments.ack_out.name) + "\n")
    return int(not files or any(not one["ok"] for one in told))


def _read(path: Path, parse: Any) -> Any:
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise BadImportFile(file=path, reason=error.strerror) from error
    except ValueError as error:
        raise BadImportFile(file=path, reason=_("it holds something else")) from error


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.glob("*.courier")) if path.is_dir() else (path,)


def _take(carried: Carried, path: Path, *, is_quiet: bool) -> dict[str, object]:
    """One file; what came of it is told at once."""
    told: dict[str, object]
    try:
        taken = carried.take(path)
    except CourierRefused as error:
        told = {"file": str(path), "ok": False, "reason": error.reason, "detail": error.detail}
        sentence = _(REFUSED[error.reason]).format(detail=error.detail)
        line = _("{file}: refused, nothing of it is stored: {why}.").format(file=path.name, why=sentence)
    except OSError as error:
        word = error.strerror or ""
        told = {"file": str(path), "ok": False, "reason": "unreadable", "detail": word}
        why = _(word) if word in OS_WORDS else word
        line = _("{file}: cannot be read ({reason}).").format(file=path.name, reason=why)
    else:
        told = {"file": str(path), "ok": True, "gateway": taken.header.gateway, "site": taken.header.site}
        told |= {
            "observations": taken.observations,
            "new": taken.new,
            "signed": taken.header.at,
            "notes": taken.notes,
        }
        line = _line(path, taken)
    if not is_quiet:
        stream = sys.stdout if told["ok"] else sys.stderr
        stream.write(line + "\n")
        stream.flush()
    return told


def _line(path: Path, taken: Taken) -> str:
    line = _("{file}: {gateway}, {count} observations, {new} of them new.").format(
        file=path.name,
        gateway=taken.header.gateway,
        count=number_text(taken.observations),
        new=number_text(taken.new),
    )
    for note in taken.notes:
        line += "\n" + _("  It {note}.").format(note=_(NOTES[note]).format(at=taken.header.at))
    return line


def _write(path: Path, data: bytes) -> None:
    """Whole before it has its name."""
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise NotWritten(file=path, reason=error.strerror) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
