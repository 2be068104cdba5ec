"""Cuts a recorded device again and again and tries each image, in a process and a mount namespace of its own.

    python -m tests.powercut.judge FOLDER SCRATCH SEED CUTS PART PARTS
    python -m tests.powercut.judge FOLDER/bad-NUMBER

Images are made in SCRATCH. FOLDER holds `log`, and where the record began with a card that was cut before, `image`
and `ledger`. Verdicts go to standard output, one JSON line each. The image of a bad one stays in FOLDER/bad-NUMBER
with the ledger it was held to; the second form tries it again.
"""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import msgspec

from tests.powercut import mounts
from tests.powercut.cuts import Image, Record
from tests.powercut.ledger import Ledger
from tests.powercut.trial import Trial, Verdict

SIZE = 16 << 20


def main(folder: Path, scratch: Path, seed: int, cuts: int, part: int, parts: int) -> None:
    """This part of the cuts."""
    mounts.go_private()
    record = open_record(folder)
    mount = folder / f"trial-{part}"
    mount.mkdir(exist_ok=True)
    place = scratch / f"{part}.img"
    try:
        for image in record.images(record.choose(seed, range(part, cuts, parts))):
            place.write_bytes(image.content)
            _judge(image, place, mount, folder)
    except BrokenPipeError:  # nobody listens any more, or cleans up
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(1)
    finally:
        place.unlink(missing_ok=True)


def try_again(folder: Path) -> None:
    """The verdict on a kept image."""
    mounts.go_private()
    ledger = msgspec.msgpack.decode((folder / "ledger").read_bytes(), type=Ledger)
    image, mount = folder / "again.img", folder / "mount"
    mount.mkdir(exist_ok=True)
    image.write_bytes((folder / "image").read_bytes())
    _say(asyncio.run(Trial(image, mount, ledger).run()))


def open_record(folder: Path) -> Record:
    """What a campaign left in the folder."""
    before, ledger = folder / "image", folder / "ledger"
    if not before.exists():
        return Record(folder / "log", SIZE)
    return Record(folder / "log", SIZE, before, msgspec.msgpack.decode(ledger.read_bytes(), type=Ledger))


def keep(image: Image, folder: Path) -> None:
    """The image and its ledger, to begin from again."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "image").write_bytes(image.content)
    (folder / "ledger").write_bytes(msgspec.msgpack.encode(image.ledger))


def _judge(image: Image, place: Path, mount: Path, folder: Path) -> None:
    verdict = asyncio.run(Trial(place, mount, image.ledger).run())
    verdict.number, verdict.at, verdict.mode, verdict.pending = (
        image.cut.number,
        image.cut.at,
        image.mode,
        image.pending,
    )
    if not verdict.is_good():
        kept = folder / f"bad-{image.cut.number}"
        keep(image, kept)
        verdict.image = str(kept)
    _say(verdict)


def _say(verdict: Verdict) -> None:
    sys.stdout.write(msgspec.json.encode(verdict).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) == 2:
        try_again(Path(sys.argv[1]))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:7]))
