"""The simulated devices of `jisr demo`, as data: what the configuration says of each, how its simulator stands."""

from pathlib import Path
from typing import NamedTuple

from simulators.central.broker import free_port


class Station(NamedTuple):
    """One device of the demo."""

    name: str
    """What the lab calls it; also the name of its line or port in `config`."""
    simulator: str
    config: str
    """The `[[device]]` table; `{port}` is where the agent reaches it."""
    way: str = "pty"
    """`pty`, `listen` (the device is called) or `connect` (the device calls)."""
    options: tuple[str, ...] = ()

    def place(self, folder: Path) -> str:
        """Where it can be: a link in the folder, or a free TCP port."""
        return str(folder / self.name) if self.way == "pty" else str(free_port())

    def words(self, port: str) -> tuple[str, ...]:
        """Arguments of `jisr simulate`."""
        where = f"--pty={port}" if self.way == "pty" else f"--{self.way}=127.0.0.1:{port}"
        return (self.simulator, where, *(f"--option={option}" for option in self.options))


def _serial(name: str, place: str, driver: str, profile: str, line: str, options: str = "") -> str:
    """A device on a serial line that a person has named."""
    more = f"options = {options}\n" if options else ""
    return f"""
[[device]]
name = "{name}"
place = "{place}"
driver = "{driver}"
profile = "{profile}"
port = "serial:{{port}}"
line = "{line}"
mode = "test"
first_trial = "no_patient"
{more}"""


EVITA_4 = Station(
    "ventilator",
    "draeger_medibus",
    _serial("rea-lit4-vent", "REA/lit-4", "draeger_medibus", "evita_4", "19200 8E1", '{{ curves = ["00", "01"] }}'),
    options=("period_s=0.2",),
)
ANALYZER = Station(
    "analyzer",
    "astm",
    """
[[device]]
name = "labo-biochimie"
place = "LABO"
driver = "astm"
profile = "erba_xl"
port = "tcp-listen:127.0.0.1:{port}"
mode = "test"
""",
    way="connect",
    options=("profile=erba_xl", "every_s=1"),
)
GENSET = Station(
    "genset",
    "registers",
    """
[[device]]
name = "groupe-electrogene"
place = "TECHNIQUE"
driver = "registers"
profile = "dse_73xx"
port = "modbus-tcp:127.0.0.1:{port}"
mode = "test"
options = {{ unit = 10 }}
""",
    way="listen",
)
SAVINA = Station(
    "savina",
    "draeger_medibus",
    _serial("rea-lit5-vent", "REA/lit-5", "draeger_medibus", "savina", "19200 8E1"),
    options=("model=savina",),
)
PB_840 = Station(
    "pb840", "puritan_bennett", _serial("rea-lit6-vent", "REA/lit-6", "puritan_bennett", "pb_840", "9600 8N1")
)
SERVO_I = Station("servo-i", "servo_cie", _serial("rea-lit7-vent", "REA/lit-7", "servo_cie", "servo_i", "9600 8E1"))
SERVO_U = Station("servo-u", "servo_sci", _serial("rea-lit8-vent", "REA/lit-8", "servo_sci", "servo_u", "38400 8E1"))
PUMPS = Station(
    "pumps",
    "bbraun_bcc",
    _serial("rea-lit4-pousse", "REA/lit-4", "bbraun_bcc", "space", "9600 8N1"),
    options=("pumps=4", "stuffing=yes"),
)


def _sketch(name: str, driver: str, profile: str, line: str) -> Station:
    """A device whose driver was written from a document only: the configuration must accept it."""
    config = _serial(f"atelier-{name}", "ATELIER", driver, profile, line) + "accept_sketch = true\n"
    return Station(name, driver, config)


SKETCHES = (
    _sketch("v60", "respironics_v60", "v60", "19200 8N1"),
    _sketch("g5", "hamilton_g5", "g5", "9600 8E2"),
    _sketch("aestiva", "ohmeda_com", "aestiva", "19200 7O1"),
    _sketch("agilia", "fresenius_agilia", "base_a", "19200 7E1"),
)

EVERYTHING = "one-of-each"
GROUPS: dict[str, tuple[Station, ...]] = {
    EVERYTHING: (EVITA_4, ANALYZER, GENSET),
    "ventilators": (EVITA_4, SAVINA, PB_840, SERVO_I, SERVO_U, PUMPS, *SKETCHES),
}
"""What `--only` may name. The first station's cable is pulled in the demo."""
