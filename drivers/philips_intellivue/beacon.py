"""The beacon by which a monitor says on the network that it is there: bytes in, who and where out.

    │ nomenclature 4 │ 0001 │ length 2 │ invoke 2 │ 0000 event │ length 2 │ object 6 │ time 4 │ 0D17 │ length 2 │
    │ attributes: count 2, length 2, … │

    F100  network    │ MAC 6 │ address 4 │ mask 4 │
    F101  protocols  │ count 2 │ length 2 │ application 2 │ transport 2 │ port 2 │ options 2 │ …

It is sent to port 24005 as a broadcast, by newer monitors to the multicast group 224.0.23.63. The data port is that
of application 5 (data export) over transport 1 (UDP), as a rule 24105. No patient and no bed is read. mdpnp,
ConnectIndication; Philips, Data Export Interface Programming Guide, section Connect Indication Event.
"""

import struct

from msgspec import Struct

from drivers.philips_intellivue.identity import identity_of
from drivers.philips_intellivue.pdus import Malformed, attribute_list

PORT, GROUP = 24005, "224.0.23.63"
_HEAD = struct.Struct(">4xHHHHH6s4xHH")
_PROTOCOL = struct.Struct(">HHHH")
_PAIR = struct.Struct(">HH")
_INVOKE, _EVENT, _CONNECT = 1, (0, 1), 0x0D17
_NETWORK, _PROTOCOLS = 0xF100, 0xF101
_DATA_EXPORT, _UDP = 5, 1


class Beacon(Struct, frozen=True):
    """What a monitor says of itself; a text that it does not say is empty."""

    address: str
    port: int
    model: str = ""
    serial: str = ""
    mac: str = ""


def parse_beacon(data: bytes) -> Beacon | None:
    """The beacon, if this is a whole one that offers data export over UDP; else None. Raises nothing."""
    try:
        operation, length, _invoke, command, inner, _object, event, size = _HEAD.unpack_from(data)
        body = data[_HEAD.size :]
        is_whole = (length, inner, size) == (len(data) - 8, len(data) - 14, len(body))
        if operation != _INVOKE or command not in _EVENT or event != _CONNECT or not is_whole:
            return None
        attributes, rest = attribute_list(body)
        port = _port(attributes.get(_PROTOCOLS, b""))
    except (struct.error, Malformed):
        return None
    network = attributes.get(_NETWORK, b"")
    if rest or not port or len(network) != 14:  # noqa: PLR2004 (MAC, address, mask)
        return None
    who = identity_of(attributes)
    return Beacon(
        address=".".join(str(byte) for byte in network[6:10]),
        port=port,
        model=who.get("model", ""),
        serial=who.get("serial", ""),
        mac=network[:6].hex(":"),
    )


def _port(data: bytes) -> int:
    """Of the data export; 0 where there is none."""
    count, length = _PAIR.unpack_from(data)
    listed = data[_PAIR.size :]
    if length != len(listed) or length != count * _PROTOCOL.size:
        raise Malformed
    for application, transport, port, _options in _PROTOCOL.iter_unpack(listed):
        if (application, transport) == (_DATA_EXPORT, _UDP):
            return int(port)
    return 0
