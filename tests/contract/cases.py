"""Every driver and profile of the catalog, and the test data in their folders: the contract's tests walk these."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast, get_args

import pytest

from drivers import catalog
from drivers.contract import Block, Read, RegisterDriver, StreamDriver, Table
from drivers.profile import Profile

DRIVERS = Path(catalog.__file__).parent
TABLES: tuple[Table, ...] = get_args(Table)
BITS = ("coil", "discrete")


@dataclass(frozen=True)
class Step:
    """One line of wire.hex: bytes, or a register block, at a time; `rx` is from device to box."""

    t: float
    direction: str
    data: bytes
    block: Block | None = None


@dataclass(frozen=True)
class Case:
    """One folder of test data."""

    folder: Path
    profile: Profile
    options: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.profile.driver}-{self.folder.name}"

    def steps(self) -> list[Step]:
        """The lines of wire.hex."""
        lines = (self.folder / "wire.hex").read_text(encoding="utf-8").splitlines()
        return [_step(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]

    def received(self) -> list[Step]:
        """What the device sent, without the box's own bytes."""
        return [step for step in self.steps() if step.direction == "rx"]

    def expected(self) -> list[str]:
        """The lines of expected.jsonl."""
        return (self.folder / "expected.jsonl").read_text(encoding="utf-8").splitlines()


def _step(line: str) -> Step:
    time, direction, *rest = line.split()
    if rest and rest[0] in TABLES:
        table, address, *cells = rest
        return Step(float(time), direction, b"", _block(cast(Table, table), int(address), cells))
    return Step(float(time), direction, bytes.fromhex("".join(rest)))


def _block(table: Table, address: int, cells: list[str]) -> Block:
    """`holding 1024 00e6 0000`, or `holding 1024 !exception_2 4`: the reason, and how many were asked for."""
    if cells[0].startswith("!"):
        return Block(Read(table, address, int(cells[1])), error=cells[0][1:])
    data = bytes.fromhex("".join(cells))
    width = 1 if table in BITS else 2
    words = tuple(int.from_bytes(data[i : i + width], "big") for i in range(0, len(data), width))
    return Block(Read(table, address, len(words)), words)


@cache
def cases() -> tuple[Case, ...]:
    """All folders of test data of all drivers, sorted."""
    folders = (f for driver in catalog.DRIVERS for f in sorted((DRIVERS / driver / "testdata").glob("*/")))
    return tuple(_case(folder) for folder in folders if (folder / "wire.hex").exists())


def _case(folder: Path) -> Case:
    notes = (folder / "notes.md").read_text(encoding="utf-8")
    named = re.search(r"^\W*profile: *`?(\w+)", notes, re.M)
    options = dict(re.findall(r"^\W*option: *`?(\w+)=([^`\n]*)", notes, re.M))
    profile = catalog.profile(folder.parent.parent.name, named[1] if named else "")
    return Case(folder, profile, {k: v.split(",") if "," in v else v for k, v in options.items()})


@cache
def profiles() -> tuple[Profile, ...]:
    """All profiles of all drivers."""
    return tuple(p for driver in catalog.DRIVERS for p in catalog.profiles(driver).values())


def is_stream(profile: Profile) -> bool:
    """Whether the profile's device is on a byte stream (else it is read by registers, or speaks by datagrams)."""
    return "modbus" not in profile.ports and not profile.is_datagram


STREAMS = [pytest.param(p, id=f"{p.driver}-{p.name}") for p in profiles() if is_stream(p)]
DATAGRAMS = [pytest.param(p, id=f"{p.driver}-{p.name}") for p in profiles() if p.is_datagram]
REGISTERS = [pytest.param(p, id=f"{p.driver}-{p.name}") for p in profiles() if "modbus" in p.ports]


def cases_of(profile: Profile) -> list[Case]:
    """The profile's own test data."""
    return [case for case in cases() if case.profile == profile]


def stream(profile: Profile, options: dict[str, object] | None = None) -> StreamDriver:
    """A fresh driver on a byte stream or on datagrams."""
    return cast(StreamDriver, catalog.create(profile, options, strict=False))


def registers(profile: Profile, options: dict[str, object] | None = None) -> RegisterDriver:
    """A fresh driver of registers."""
    return cast(RegisterDriver, catalog.create(profile, options, strict=False))


def wires(profile: Profile) -> Iterator[bytes]:
    """What the device sent in each of the profile's cases, as one piece."""
    for case in cases_of(profile):
        yield b"".join(step.data for step in case.received())
