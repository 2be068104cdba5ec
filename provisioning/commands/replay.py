"""`jisr replay`: a recording through a driver, to canonical JSON lines. Same bytes, any chunking: same output."""

import argparse
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec

from drivers import catalog
from drivers.contract import Block, Output, Read, RegisterDriver, StreamDriver
from drivers.observation import stamp, to_json
from drivers.profile import Profile
from drivers.quality import Gate
from gateway.config.check import right_for
from gateway.language import _
from provisioning.capture import BITS, Piece, read_capture
from provisioning.errors import (
    BadChunk,
    BadOption,
    BadOptionValue,
    ChooseProfile,
    NoSuchDriver,
    NoSuchOption,
    NoSuchProfile,
    OtherRecording,
    WholeDatagrams,
)


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments of `jisr replay`."""
    parser.add_argument("file", type=Path, metavar=_("FILE"), help=_("what jisr record wrote, or raw bytes (.bin)"))
    parser.add_argument("--driver", required=True, metavar=_("DRIVER"), help=_("driver name, see jisr drivers"))
    parser.add_argument("--profile", default="", metavar=_("PROFILE"), help=_("device family, see jisr drivers"))
    parser.add_argument("--option", action="append", default=[], metavar=_("KEY=VALUE"), help=_("a driver option"))
    parser.add_argument("--chunk", default="", metavar=_("random:SEED"), help=_("cut the bytes elsewhere, at random"))
    parser.add_argument("--faults", action="store_true", help=_("print what was refused as well, and why"))
    parser.epilog = _("Example: jisr replay ward.jsonl --driver draeger_medibus --profile evita_4 --faults")


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each observation (and fault); 0 also when there are none."""
    profile = choose_profile(arguments.driver, arguments.profile)
    cut = _cutter(arguments.chunk)
    if cut and profile.is_datagram:
        raise WholeDatagrams(driver=profile.driver, profile=profile.name)
    driver = make_driver(profile, arguments.option)
    replay = _Replay(profile, driver, sys.stdout.buffer, show_faults=arguments.faults)
    has_registers = "modbus" in profile.ports
    for piece in read_capture(arguments.file):
        if bool(piece.table) != has_registers:
            raise OtherRecording(file=arguments.file, driver=profile.driver)
        replay.play(piece, cut)
    replay.end()
    sys.stdout.flush()
    return 0


def choose_profile(driver: str, name: str) -> Profile:
    """The profile by name or map file. Raises `NoSuchDriver`, `ChooseProfile`, `NoSuchProfile`."""
    try:
        return catalog.profile(driver, name)
    except catalog.UnknownName as error:
        kind = NoSuchDriver if error.kind == "driver" else NoSuchProfile if error.name else ChooseProfile
        raise kind(name=error.name, known=", ".join(error.known)) from error


def make_driver(profile: Profile, options: list[str]) -> StreamDriver | RegisterDriver:
    """A driver with `key=value` options as typed. Raises `NoSuchOption`, `BadOptionValue`, `BadOption`."""
    kind = catalog.driver_class(profile.driver).Options
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    parsed: dict[str, Any] = {}
    for option in options:
        key, _equals, value = option.partition("=")
        if key not in known:
            raise NoSuchOption(owner=profile.driver, name=key, known=", ".join(known))
        parsed[key] = value.split(",") if "," in value else value
        try:
            msgspec.convert(parsed[key], known[key], strict=False)
        except msgspec.ValidationError as error:
            right = right_for(known[key]).text()
            raise BadOptionValue(owner=profile.driver, name=key, value=value, expected=right) from error
    try:
        return catalog.create(profile, parsed, strict=False)
    except msgspec.ValidationError as error:
        raise BadOption(owner=profile.driver, detail=error) from error


def _cutter(chunk: str) -> random.Random | None:
    if not chunk:
        return None
    kind, _colon, seed = chunk.partition(":")
    if kind != "random" or not seed.lstrip("-").isdigit():
        raise BadChunk(found=chunk)
    return random.Random(int(seed))  # noqa: S311 - where to cut, not a secret


def _chunks(data: bytes, cut: random.Random | None) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = cut.randint(1, 40) if cut else len(data)
        yield data[at : at + size]
        at += size


class _Replay:
    """The device task's order of things, with time out of the file and a printer in place of the spool."""

    def __init__(self, profile: Profile, driver: Any, out: Any, *, show_faults: bool) -> None:
        self._profile, self._driver, self._out, self._show_faults = profile, driver, out, show_faults
        self._gate = Gate(profile)
        self._wake_at: float | None = None
        self._now = 0.0
        self._at = ""
        self._take(driver.start(0.0))

    def play(self, piece: Piece, cut: random.Random | None) -> None:
        """Let time go on to the piece, then hand over its bytes (or its register block)."""
        if piece.is_timed:
            self._sleep_until(piece.t)
        self._now, self._at = piece.t, piece.at
        if piece.table:
            width = 1 if piece.table in BITS else 2
            words = tuple(int.from_bytes(piece.data[i : i + width], "big") for i in range(0, len(piece.data), width))
            block = Block(Read(piece.table, piece.address, len(words)), words, piece.error)
            self._take(cast(RegisterDriver, self._driver).receive(block, self._now))
            return
        for chunk in _chunks(piece.data, cut):
            self._take(self._driver.receive(chunk, self._now))

    def end(self) -> None:
        """The recording is over."""
        self._take(self._driver.stop(self._now))

    def _sleep_until(self, t: float) -> None:
        while self._wake_at is not None and self._wake_at <= t:
            self._now = max(self._now, self._wake_at)
            self._wake_at = None
            self._take(self._driver.wake(self._now))

    def _take(self, output: Output) -> None:
        self._wake_at = output.wake_at
        judged = self._gate.check(output, self._now)
        driver = f"{self._profile.driver}/{self._profile.protocol.version}"
        for seen in judged.observations:
            self._out.write(to_json(stamp(seen, driver=driver, at=self._at)) + b"\n")
        if self._show_faults:
            for fault in judged.faults:
                self._out.write(msgspec.json.encode({"kind": "fault", **msgspec.to_builtins(fault)}) + b"\n")
