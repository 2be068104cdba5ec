"""Who announces itself on the network, and how it would stand in the configuration. No patient is read."""

import json

from msgspec import Struct

from drivers import catalog
from drivers.ge_dash import announcement as dash
from drivers.mindray_pds import announcement as mindray
from drivers.philips_intellivue import beacon as intellivue
from gateway.ports.beacons import Ear, Heard

EARS = (Ear(intellivue.PORT, intellivue.GROUP), Ear(mindray.PORT), Ear(dash.PORT))
MINDRAY_PORT = 4601
"""Of the realtime interface, where the announcement does not tell it."""
PLACE_LENGTH = 64


class Announced(Struct, frozen=True):
    """One monitor that was heard; a text that it does not say is empty."""

    driver: str
    profile: str
    port: str
    """As the configuration writes it."""
    address: str
    sender: str
    """Who the datagram came from; another one than `address` behind a gateway."""
    heard_on: int
    place: str = ""
    """Ward and bed, as a person typed them into the monitor."""
    model: str = ""
    serial: str = ""

    @property
    def name(self) -> str:
        """A device name that can be used until somebody has a better one."""
        return f"{self.driver.replace('_', '-')}-{self.address.replace('.', '-')}"

    @property
    def tier(self) -> str:
        """How sure the profile is."""
        return catalog.profile(self.driver, self.profile).tier

    def block(self) -> str:
        """A `[[device]]` table to paste; nothing is sent to it before a person adds `first_trial`."""
        keys = {"name": self.name, "place": self.place[:PLACE_LENGTH]}
        keys |= {"driver": self.driver, "profile": self.profile, "port": self.port}
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items() if value]
        return "\n".join(("[[device]]", *lines))


def read(heard: Heard) -> Announced | None:
    """The monitor behind a datagram; None where it is no announcement that is known."""
    if heard.port == EARS[0].port:
        return _intellivue(heard)
    if heard.port == EARS[1].port:
        return _mindray(heard)
    return _dash(heard)


def _intellivue(heard: Heard) -> Announced | None:
    seen = intellivue.parse_beacon(heard.data)
    if seen is None:
        return None
    port = f"udp:{seen.address}:{seen.port}"
    return Announced(
        *("philips_intellivue", "intellivue_lan", port, seen.address, heard.sender, heard.port),
        model=seen.model,
        serial=seen.serial,
    )


def _mindray(heard: Heard) -> Announced | None:
    seen = mindray.Announcement.from_bytes(heard.data)
    if seen is None:
        return None
    address = seen.address or heard.sender
    port = f"tcp:{address}:{seen.port or MINDRAY_PORT}"
    place = "/".join(part for part in (seen.department, seen.bed) if part)
    return Announced("mindray_pds", "monitor", port, address, heard.sender, heard.port, place)


def _dash(heard: Heard) -> Announced | None:
    seen = dash.Announcement.from_bytes(heard.data)
    if seen is None:
        return None
    place = "/".join(part for part in (seen.ward, seen.bed) if part)
    port = f"udp:{seen.address}:7001:7001"  # its alarms are broadcast there; parameters come to who asks
    return Announced("ge_dash", "dash", port, seen.address, heard.sender, heard.port, place)
