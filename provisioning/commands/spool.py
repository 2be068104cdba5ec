"""`jisr spool`: what lies on the box's disk: look at it, verify it, carry it away, bring the platform's word back."""

import argparse
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from drivers.observation import LANES
from gateway import language
from gateway.clock import Clock
from gateway.config import BESIDE, Config, load
from gateway.language import N_, _
from gateway.spool.cipher import SecretMissing, read_secret
from gateway.spool.reader import SpoolReader
from provisioning import handover
from provisioning.commands.check import DEFAULT
from provisioning.courier import Recipient, read_recipient, read_signer
from provisioning.errors import AskedWrongly
from provisioning.export import Box, Export, Tally
from provisioning.inspection import (
    DAMAGE,
    damage,
    facts,
    number_text,
    opened,
    seen_lanes,
    size_text,
    tables,
    verdict,
)
from provisioning.stick import Stick

Run = Callable[[argparse.Namespace], int]


class ChooseProtection(AskedWrongly):
    """Neither a recipient nor the explicit wish for none."""

    sentence = N_(
        "What is carried holds patients' results: name the platform's courier certificate with --to FILE, and nobody "
        "but the platform can read it. To write it readable all the same, say --plain."
    )


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of `jisr spool` and of its four commands."""
    commands = parser.add_subparsers(dest="what", metavar=_("COMMAND"), required=True)
    _add_reading(commands, "inspect", N_("what lies in the spool, lane by lane"), inspect)
    _add_reading(commands, "verify", N_("read every frame and check it; exit code 1 if something is damaged"), verify)
    _add_export(commands)
    sub = _command(
        commands, "acknowledge", N_("the platform's word, brought back: what it has is released"), acknowledge
    )
    sub.add_argument("file", type=Path, metavar=_("FILE"), help=_("what jisr consume --import --ack-out wrote"))
    _add_config(sub)
    sub.epilog = _("Example: jisr spool acknowledge /media/usb/word.ack --config jisr.toml")
    parser.epilog = _("Example: jisr spool inspect /data/spool")


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, line: str, run: Run
) -> argparse.ArgumentParser:
    sub = commands.add_parser(
        name, help=_(line), description=_(line), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sub.add_argument("--lang", choices=language.LANGUAGES, help=_("language of what is said"))
    sub.add_argument("--json", action="store_true", help=_("one JSON object, for tools"))
    sub.set_defaults(work=run)
    return sub


def _add_config(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--config", type=Path, default=DEFAULT, metavar=_("FILE"), help=_("configuration file"))


def _add_reading(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, line: str, run: Run
) -> None:
    sub = _command(commands, name, line, run)
    sub.add_argument("folder", type=Path, nargs="?", metavar=_("FOLDER"), help=_("the spool's folder"))
    sub.add_argument(
        "--secret",
        type=Path,
        metavar=_("FILE"),
        help=_("the file with its secret (else that beside the folder, or the configuration's)"),
    )
    _add_config(sub)
    sub.epilog = _("Example: jisr spool {name} --config jisr.toml").format(name=name)


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    line = N_("what the platform does not have yet, into signed files for a USB stick")
    sub = _command(commands, "export", line, export)
    sub.add_argument("out", type=Path, metavar=_("FOLDER"), help=_("where to write, for example /media/usb"))
    _add_config(sub)
    sub.add_argument("--to", type=Path, metavar=_("FILE"), help=_("the platform's courier certificate, PEM"))
    sub.add_argument("--plain", action="store_true", help=_("do not encrypt: whoever finds the stick reads it"))
    sub.add_argument(
        "--lane", action="append", choices=LANES, help=_("only this lane; may be given again (default: all)")
    )
    sub.add_argument(
        "--since",
        choices=("released", "all"),
        default="released",
        help=_("released: what the platform has not acknowledged; all: everything that is still on disk"),
    )
    sub.epilog = _(
        "Example: jisr spool export /media/usb --to platform.pem --config jisr.toml\n"
        "It can be interrupted and run again: it goes on where it stopped.\n"
        "Then, at the platform: jisr consume --import /media/usb …"
    )


def run(arguments: argparse.Namespace) -> int:
    """One of the four."""
    return int(arguments.work(arguments))


def _folder(arguments: argparse.Namespace) -> Path:
    return arguments.folder or Path(load(arguments.config).spool.path)


def _secret(arguments: argparse.Namespace) -> bytes | None:
    """What opens it, or None: then what is sealed is told and not read."""
    if arguments.secret:
        return read_secret(arguments.secret)
    if not arguments.folder:
        return _box_secret(load(arguments.config))
    beside = arguments.folder.absolute().parent / BESIDE
    if beside.exists():
        return read_secret(beside)
    return _box_secret(load(arguments.config)) if arguments.config.exists() else None


def _box_secret(config: Config) -> bytes | None:
    try:
        return read_secret(Path(config.spool.secret))
    except SecretMissing:
        return None


def _say_json(found: object) -> None:
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


def inspect(arguments: argparse.Namespace) -> int:
    """Show it; 0 also where something is damaged, for it says so."""
    reader, progress = opened(_folder(arguments), _secret(arguments))
    lanes = seen_lanes(reader, progress)
    if arguments.json:
        _say_json(facts(reader, lanes))
    else:
        sys.stdout.write("\n".join(tables(reader, lanes)) + "\n")
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """0 if every frame is good, 1 if not."""
    reader, progress = opened(_folder(arguments), _secret(arguments))
    lanes = seen_lanes(reader, progress)
    found = damage(reader, lanes)
    frames = sum(segment.frames for lane in lanes for segment in lane.segments)
    size = sum(segment.bytes for lane in lanes for segment in lane.segments)
    if arguments.json:
        aside = {lane.lane: len(lane.aside) for lane in lanes if lane.aside}
        _say_json({"ok": not found, "frames": frames, "bytes": size, "damage": found, "set_aside": aside})
        return int(bool(found))
    for name, counts in found.items():
        for reason, count in counts.items():
            sys.stdout.write(_(DAMAGE[reason]).format(lane=name, count=number_text(count)) + "\n")
    told = _("{frames} frames read ({size}): {verdict}")
    sys.stdout.write(told.format(frames=number_text(frames), size=size_text(size), verdict=verdict(found)) + "\n")
    return int(bool(found))


def export(arguments: argparse.Namespace) -> int:
    """0 if all that is in the spool is on the stick now, else 1."""
    if bool(arguments.to) == arguments.plain:
        raise ChooseProtection
    config, clock = load(arguments.config), Clock()
    now = datetime.fromisoformat(clock.now().at)
    signer = read_signer(config.uplink.tls, config.gateway.id, now)
    recipient = read_recipient(arguments.to, config.uplink.tls.ca, now) if arguments.to else None
    reader, progress = opened(Path(config.spool.path), _box_secret(config))
    stick = Stick(arguments.out, config.gateway.id, reader.id, reader.folder)
    box = Box(config.gateway.id, config.gateway.site, signer, recipient, config.uplink.encoding)
    stick.look(signer, recipient)
    _announce(recipient, stick, now)
    work = Export(box, reader, stick, clock.now)
    try:
        tally = work.run(arguments.lane or LANES, arguments.since)
    finally:
        progress.end()
    if arguments.json:
        _say_json(tally)
    else:
        sys.stdout.write("\n".join(_told(tally, arguments.out)) + "\n")
    return int(tally.is_full or bool(tally.unreadable))


def _announce(recipient: Recipient | None, stick: Stick, now: datetime) -> None:
    """What a person should know before it is written."""
    room, notices = stick.room, []
    if recipient is None:
        notices.append(
            _("Not encrypted: whoever finds the stick reads what is on it. Do not let it out of your hands.")
        )
    elif recipient.ends < now:
        ended = _("The platform's certificate ended on {day}: make sure that the platform still has its key.")
        notices.append(ended.format(day=f"{recipient.ends:%Y-%m-%d}"))
    if room.is_own_disk:
        notices.append(
            _("{path} is on the box's own disk, not on a stick. Is the stick mounted?").format(path=stick.folder)
        )
    notices.append(_("{free} free on {path}.").format(free=size_text(room.free), path=stick.folder))
    sys.stderr.write("\n".join(notices) + "\n")


def _told(tally: Tally, out: Path) -> Iterator[str]:
    """What was done, for people."""
    if tally.files:
        written = _("Files written: {files} ({size}). Observations: {observations}, {earliest} to {latest}.")
        yield written.format(
            files=number_text(tally.files),
            size=size_text(tally.bytes),
            observations=number_text(tally.observations),
            earliest=tally.earliest or "?",
            latest=tally.latest or "?",
        )
        yield "  " + ", ".join(f"{lane} {number_text(count)}" for lane, count in tally.lanes.items())
    else:
        yield _("Nothing to write.")
    if tally.skipped:
        yield _("{count} observations were on it already.").format(count=number_text(tally.skipped))
    if tally.unreadable:
        unreadable = _("{count} observations cannot be read and stay here; jisr spool verify tells why.")
        yield unreadable.format(count=number_text(tally.unreadable))
    if tally.is_full:
        full = _("{path} is full. What is on it is whole: carry it, and run this again on a stick with more room.")
        yield full.format(path=out)


def acknowledge(arguments: argparse.Namespace) -> int:
    """0 if it was taken, or will be at the agent's next start; 1 if nothing in it was believed."""
    config = load(arguments.config)
    data = handover.read(arguments.file)
    handover.check(data, arguments.file, config)
    folder = Path(config.spool.path)
    path = handover.lay(data, folder)
    is_running = SpoolReader(folder).is_running()
    released = handover.answer(path) if is_running else None
    if arguments.json:
        _say_json({"taken": released is not None, "running": is_running, "result": released})
        return int(is_running and released is None)
    if not is_running:
        told = _("No agent is running: it takes the platform's word at its next start.")
    elif released is None:
        told = _("The agent did not answer; it takes the platform's word as soon as it can.")
    else:
        count = sum(released.released.values())
        told = _("The agent took it: {count} observations released.").format(count=number_text(count))
    sys.stdout.write(told + "\n")
    return int(is_running and released is None)
