"""An acknowledgement file brought back from the platform, into the inbox of the box's agent.

Only the agent touches the spool (it holds its lock), so the file is laid where it looks each second; if it is not
running it takes the file at its next start. What is wrong with a file is told here, before it is laid there.
"""

import contextlib
import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec

from gateway.config import Config
from gateway.errors import JisrError
from gateway.inbox import FILE_LIMIT_BYTES, FOLDER, Released, read_messages
from gateway.language import N_
from gateway.spool.reader import SpoolReader
from gateway.uplink.identity import read_ack_key
from gateway.uplink.schema import Malformed, decode_ack, lane_named, split_topic, verify_ack
from provisioning.errors import AskedWrongly

ANSWER_S = 15.0
POLL_S = 0.05


class NotAcknowledgement(AskedWrongly):
    """Another kind of file."""

    sentence = N_("{file}: this is no acknowledgement file. jisr consume --import … --ack-out FILE writes one.")


class CannotRead(AskedWrongly):
    """The operating system refuses."""

    sentence = N_("{file}: cannot be read ({reason}).")


class NotForThisBox(JisrError):
    """It acknowledges nothing of this box's spool."""

    sentence = N_("{file}: it holds nothing for the box {gateway} of site {site} with spool {spool}.")


class NotAuthentic(JisrError):
    """A wrong MAC: edited, or another platform's."""

    sentence = N_(
        "{file}: nothing in it was signed with the key that this box has ({key}). It was edited, or comes from "
        "another platform. Nothing was released."
    )


class NoKey(JisrError):
    """The configuration has no key to check it with."""

    exit_code = 2
    sentence = N_("{file} cannot be checked: the configuration names no ack_key under [uplink].")


class NotLaid(JisrError):
    """The inbox cannot be written."""

    sentence = N_("{path}: cannot be written ({reason}). Run this command as the agent's account, or as root.")


def read(file: Path) -> bytes:
    """An acknowledgement file, if it is one. Raises `NotAcknowledgement`, `CannotRead`."""
    try:
        with file.open("rb") as source:
            data = source.read(FILE_LIMIT_BYTES + 1)
    except OSError as error:
        raise CannotRead(file=file, reason=error.strerror) from error
    messages = read_messages(data)
    is_one = len(data) <= FILE_LIMIT_BYTES and messages and all(_lane(topic) for topic, _payload in messages)
    if not is_one:
        raise NotAcknowledgement(file=file)
    return data


def check(data: bytes, file: Path, config: Config) -> None:
    """Whether anything in it is for this spool, and authentic. Raises the leaves above."""
    gateway, uplink = config.gateway, config.uplink
    spool = SpoolReader(Path(config.spool.path)).id
    if not uplink.ack_key:
        raise NoKey(file=file)
    key, ours, good = read_ack_key(uplink.ack_key), 0, 0
    for topic, payload in read_messages(data):
        place, lane = split_topic(topic), lane_named(_lane(topic))
        if place is None or lane is None or place[:2] != (gateway.site, gateway.id):
            continue
        try:
            ack = decode_ack(payload)
        except Malformed:
            continue
        if ack.spool == spool:
            ours += 1
            good += verify_ack(key, gateway.site, gateway.id, lane, ack)
    if not ours:
        raise NotForThisBox(file=file, gateway=gateway.id, site=gateway.site, spool=spool or "?")
    if not good:
        raise NotAuthentic(file=file, key=uplink.ack_key)


def _lane(topic: str) -> str:
    place = split_topic(topic)
    return place[2].removeprefix("ack/") if place and place[2].startswith("ack/") else ""


def lay(data: bytes, spool: Path) -> Path:
    """Put it into the inbox, whole before it has its name. Raises `NotLaid`."""
    folder = spool / FOLDER
    path = folder / f"{sha256(data).hexdigest()[:16]}.ack"
    beside = path.with_suffix(".part")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        path.with_suffix(".done").unlink(missing_ok=True)
        beside.write_bytes(data)
        owner = spool.stat()
        with contextlib.suppress(PermissionError):  # then we are the agent's account already
            for each in (folder, beside):
                os.chown(each, owner.st_uid, owner.st_gid)
        beside.rename(path)
    except OSError as error:
        raise NotLaid(path=folder, reason=error.strerror) from error
    return path


def answer(path: Path, wait: Callable[[float], None] = time.sleep) -> Released | None:
    """What the agent made of it; None if it did not say so in time."""
    done, end = path.with_suffix(".done"), time.monotonic() + ANSWER_S
    while not done.exists():
        if time.monotonic() >= end:
            return None
        wait(POLL_S)
    return msgspec.json.decode(done.read_bytes(), type=Released)
