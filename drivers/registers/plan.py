"""Which blocks to read for the points that are due: as few as the device allows, never across a learned cut."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from drivers.contract import Read, Table
from drivers.registers.points import BIT_TABLES, Source

Cut = tuple[Table, int]
"""No block may reach over this address: it once held a block that the device refused (exception 2)."""

MAX_REGISTERS = 125
MAX_COILS = 2000
"""MODBUS Application Protocol V1.1b3, sections 6.1 to 6.4: quantity of coils 1 to 2000, of registers 1 to 125."""


class Limits(Struct, frozen=True):
    """How long a block may be, and over how many unwanted addresses two points may be joined."""

    bridge: int
    max_registers: int = MAX_REGISTERS
    max_coils: int = MAX_COILS

    def most(self, table: Table) -> int:
        """Addresses in one block."""
        return self.max_coils if table in BIT_TABLES else self.max_registers


def plan(sources: Iterable[Source], limits: Limits, cuts: set[Cut]) -> list[Read]:
    """Blocks that hold all `sources`, by table and address."""
    blocks: list[Read] = []
    for source in sorted(sources, key=lambda each: (each.table, each.address, each.width)):
        joined = _joined(blocks[-1], source, limits, cuts) if blocks else None
        if joined:
            blocks[-1] = joined
        else:
            blocks.append(Read(source.table, source.address, source.width))
    return blocks


def _joined(block: Read, source: Source, limits: Limits, cuts: set[Cut]) -> Read | None:
    end = block.address + block.count
    count = max(end, source.address + source.width) - block.address
    if block.table != source.table or source.address - end > limits.bridge or count > limits.most(block.table):
        return None
    if any(table == block.table and block.address < at <= source.address for table, at in cuts):
        return None
    return Read(block.table, block.address, count)


def halfway(sources: Sequence[Source]) -> Cut | None:
    """Where to cut a refused block: before the address in the middle; None where one place is left."""
    places = sorted({(source.table, source.address) for source in sources})
    return places[len(places) // 2] if len(places) > 1 else None
