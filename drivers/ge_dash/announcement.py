"""The announcement that each node of the network broadcasts on UDP 7000. The patient's name in it is not read.

    │ 4 │ address 4 │ counter 4 │ WARD|BED, zeros: 16 │ the patient's name, never read: 16 │ services 44 │   88 octets

mindleaving/gedash, `DiscoveryMessageParser.cs` and `DiscoveryMessageGenerator.cs`; the label's form also in Vocera,
Carescape Adapter reference, section "GE Carescape Network Traffic".
"""

import re

from msgspec import Struct

PORT = 7000
SIZE_BYTES = 88
_ADDRESS, _LABEL = slice(4, 8), slice(12, 28)
_FORM = re.compile(rb"([ -{}~\xa0-\xff]{1,14})\|([ -{}~\xa0-\xff]{0,14})\0*")
_NOBODY = (bytes(4), b"\xff" * 4)


class Announcement(Struct, frozen=True):
    """A node: its address and its place."""

    address: str
    ward: str
    bed: str

    @classmethod
    def from_bytes(cls, data: bytes) -> "Announcement | None":
        """A whole datagram; None where it is no announcement. Octets 28 to 43 are not looked at."""
        address, label = data[_ADDRESS], _FORM.fullmatch(data[_LABEL])
        if len(data) != SIZE_BYTES or address in _NOBODY or label is None:
            return None
        ward, bed = (part.decode("latin-1").strip() for part in label.groups())
        return cls(".".join(map(str, address)), ward, bed)
