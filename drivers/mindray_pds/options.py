"""What the configuration may say to the driver: which parameters are asked for, units that the monitor can change."""

from typing import Literal

from msgspec import Struct

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

    def __post_init__(self) -> None:
        if not self.group_names or any(name not in GROUPS for name in self.group_names):
            raise ValueError(f"a group is one of {', '.join(GROUPS)}")

    @property
    def group_names(self) -> tuple[str, ...]:
        """The groups as a tuple: the command line gives a single one as a word."""
        return (self.groups,) if isinstance(self.groups, str) else self.groups
