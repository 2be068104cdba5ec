"""A made-up map, and a device in memory that answers from it."""

from typing import Any

import msgspec

from drivers import catalog
from drivers.contract import Block, Output, Read
from drivers.observation import Device, Enumeration, Numeric
from drivers.profile import Profile
from drivers.registers.driver import RegistersDriver
from drivers.registers.mapfile import read_map

HEAD = 'vendor = "Acme"\nmodels = ["A1"]\nword_order = "high_first"\npoll_s = 10\n'


def profile(registers: str, head: str = HEAD, *, most: int = 120) -> Profile:
    found = read_map(head + registers)
    protocol = msgspec.structs.replace(
        catalog.profile("registers", "dse_73xx").protocol, max_send_per_minute=most, stale_after_s=60
    )
    return msgspec.structs.replace(found, name="acme", driver="registers", protocol=protocol)


def register(address: int, kind: str = "u16", more: str = "", table: str = "holding") -> str:
    unit = "" if "alert" in more or "values" in more or kind in ("bit", "bits") or "unit" in more else 'unit = "1"\n'
    labels = "" if "field" in more else 'en = "x"\nfr = "x"\n'
    return (
        f'[[register]]\nprinted = "{table} {address}"\ntable = "{table}"\naddress = {address}\ntype = "{kind}"\n'
        f"{unit}{labels}{more}\n"
    )


def engine(registers: str, head: str = HEAD, most: int = 120, **options: Any) -> RegistersDriver:
    driver = catalog.create(profile(registers, head, most=most), options)
    assert isinstance(driver, RegistersDriver)
    return driver


def answer(driver: RegistersDriver, output: Output, now: float, device: dict[int, int], **more: Any) -> list[Output]:
    """Answer every read out of a device's memory, until nothing more is asked; all outputs in order."""
    outputs = [output]
    while outputs[-1].reads:
        (read,) = outputs[-1].reads
        span = range(read.address, read.address + read.count)
        error = more.get("error", "")
        if not error and not all(at in device for at in span):
            error = "exception_2"
        words = () if error else tuple(device[at] for at in span)
        outputs.append(driver.receive(Block(read, words, error), now))
    return outputs


def values(outputs: list[Output]) -> dict[str, str]:
    """Code to value, or to the reason why there is none."""
    found: dict[str, str] = {}
    for each in (seen for output in outputs for seen in output.observations):
        if isinstance(each, Numeric | Enumeration) and each.vendor:
            found[each.vendor.code] = each.reason if each.value is None else str(each.value)
    return found


def links(outputs: list[Output]) -> list[str]:
    return [each.connection for output in outputs for each in output.observations if isinstance(each, Device)]


def one(kind: str, words: tuple[int, ...], more: str = "", table: str = "holding") -> Any:
    driver = engine(register(0, kind, more, table))
    read = Read(table, 0, len(words))  # type: ignore[arg-type]
    seen = driver.receive(Block(read, words), 0.0).observations
    return seen[1] if len(seen) > 1 else None
