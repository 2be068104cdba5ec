"""What the configuration may say to the driver: what is asked for and of whom, units that the monitor can change."""

from ipaddress import IPv4Address
from typing import Annotated, Literal

from msgspec import Meta, Struct

GROUPS: dict[str, tuple[str, ...]] = {
    "vital": ("101&151&160&161", "170&171&172&200"),
    "more": ("102&162&173&201", "202&203"),
    "st": ("103&104&105&106", "107&108&109&110", "111&112&113&114", "115&116&117&118", "119&125&126"),
    "ibp": ("500&501&502&600", "503&504&505&605", "506&507&508&587", "515&516&517"),
    "ibp_unnamed": ("174&175&176", "186&187&188"),
    "co": ("210&211&212&213",),
    "co2": ("220&221&222",),
    "gas": ("250&251&253&254",),
}
"""Parameters that can be asked for, by group, in this order in the query; each text is one QRF, at most four ids."""

NO_ADDRESS = "bed is the IPv4 address of the bed's monitor, such as 192.168.8.188"
_HIGHEST_OF_THIS_NETWORK = 0x00FFFFFF
"""0.x.x.x is no host's address."""


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `mindray_pds` driver."""

    groups: tuple[str, ...] | str = ("vital",)
    """Which groups of parameters the query asks for."""
    temperature: Literal["Cel", "[degF]"] = "Cel"
    """The unit that the monitor is set to: the messages carry none."""
    gas: Literal["mm[Hg]", "kPa", "%"] = "mm[Hg]"
    """The unit of the gas module's CO2 and O2 (250 to 254), as the monitor is set to."""
    encoding: Literal["", "utf-8", "iso-8859-1", "gbk"] = ""
    """Of the texts of alarms; empty: UTF-8 where the bytes are that, else ISO 8859-1."""

    bed: str = ""
    """IPv4 address of the one monitor that is read: behind a gateway, or of all that could call the box."""
    bed_seq: Annotated[int, Meta(ge=0, le=255)] = 0
    """IPSeq of a gateway's bed: of a telemetry transmitter its serial less one. The highest one is our guess."""
    answer: Literal["nothing", "echo", "query"] = "nothing"
    """What a monitor that calls the box hears: nothing, the echo each second, or the query as well."""

    def __post_init__(self) -> None:
        if not self.group_names or any(name not in GROUPS for name in self.group_names):
            raise ValueError(f"a group is one of {', '.join(GROUPS)}")
        if self.bed and not int(_address(self.bed)) > _HIGHEST_OF_THIS_NETWORK:
            raise ValueError(NO_ADDRESS)
        if self.bed_seq and not self.bed:
            raise ValueError("bed_seq goes with bed")

    @property
    def group_names(self) -> tuple[str, ...]:
        """The groups as a tuple: the command line gives a single one as a word."""
        return (self.groups,) if isinstance(self.groups, str) else self.groups

    @property
    def asked_bed(self) -> str:
        """Whom the query asks, as QRF-5 has it: the monitor itself, or the bed behind a gateway."""
        if not self.bed:
            return "0&0"
        return f"{int(_address(self.bed))}&{self.bed_seq}"


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError as error:
        raise ValueError(NO_ADDRESS) from error
