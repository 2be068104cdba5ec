"""`"20 MiB"`: a number of bytes as people write it, with the one unit that means what it says."""

import re

from gateway.config.problem import BadValue, shown
from gateway.language import N_

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

_SIZE = re.compile(r"([1-9][0-9]{0,8}) ?(KiB|MiB|GiB)")
_LOOSE = re.compile(r"\s*0*([1-9][0-9]{0,8})\s*([kmg])i?b?\s*", re.IGNORECASE)


class BadSize(BadValue):
    """Not a number of bytes."""

    sentence = N_("{found} is not a size")
    expected = N_('a whole number and KiB, MiB or GiB, for example "20 MiB"')


def parse_size(text: str) -> int:
    """Bytes of "20 MiB". Raises `BadSize`."""
    exact = _SIZE.fullmatch(text)
    if not exact:
        raise BadSize(found=shown(text), nearest=nearest_size(text))
    return int(exact[1]) * UNITS[exact[2]]


def nearest_size(text: str) -> str:
    """What somebody meant who wrote "20MB", or nothing."""
    loose = _LOOSE.fullmatch(text)
    return f"{loose[1]} {loose[2].upper()}iB" if loose else ""
