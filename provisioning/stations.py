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
    """`pty`, `listen` (the device is called), `connect` (the device calls) or `udp`."""
    options: tuple[str, ...] = ()

    def place(self, folder: Path) -> str:
        """Where it can be: a link in the folder, or a free port."""
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

MASIMO = Station(
    "masimo", "masimo_ascii", _serial("rea-lit1-spo2", "REA/lit-1", "masimo_ascii", "ascii_1", "9600 8N1")
)
NONIN = Station(
    "nonin",
    "nonin",
    _serial("rea-lit2-spo2", "REA/lit-2", "nonin", "df2", "9600 8N1", '{{ curves = ["PLETH"] }}'),
    options=("format=df2",),
)
NELLCOR = Station(
    "nellcor", "nellcor_ascii", _serial("rea-lit3-spo2", "REA/lit-3", "nellcor_ascii", "npb_290", "9600 8N1")
)
CONTEC = Station(
    "contec", "contec_cms50", _serial("urg-box1-spo2", "URG/box-1", "contec_cms50", "cms50_v5", "4800 8O1")
)
CARESCAPE = Station(
    "carescape",
    "ge_dri",
    _serial(
        "bloc-salle1-scope", "BLOC/salle-1", "ge_dri", "carescape", "19200 8E1", '{{ curves = ["ECG1", "CO2"] }}'
    ),
    options=("model=carescape", "language=fr"),
)
MINDRAY = Station(
    "mindray",
    "mindray_pds",
    """
[[device]]
name = "rea-lit4-scope"
place = "REA/lit-4"
driver = "mindray_pds"
profile = "monitor"
port = "tcp:127.0.0.1:{port}"
mode = "test"
first_trial = "no_patient"
""",
    way="listen",
)
CENTRAL = Station(
    "central",
    "hl7_monitor",
    """
[[device]]
name = "rea-centrale"
place = "REA"
driver = "hl7_monitor"
profile = "generic"
port = "tcp-listen:127.0.0.1:{port}"
mode = "test"
""",
    way="connect",
    options=("dialect=french",),
)


def _udp(name: str, simulator: str, config: str, options: tuple[str, ...]) -> Station:
    """A monitor that is asked by datagrams."""
    table = f"""
[[device]]
{config}
port = "udp:127.0.0.1:{{port}}"
mode = "test"
first_trial = "no_patient"
"""
    return Station(name, simulator, table, way="udp", options=options)


INTELLIVUE = _udp(
    "intellivue",
    "philips_intellivue",
    'name = "rea-lit5-scope"\nplace = "REA/lit-5"\ndriver = "philips_intellivue"\nprofile = "intellivue_lan"\n'
    'options = {{ curves = ["4BB4"] }}',
    ("transport=lan", "language=fr"),
)
DASH = _udp(
    "dash",
    "ge_dash",
    'name = "rea-lit6-scope"\nplace = "REA/lit-6"\ndriver = "ge_dash"\nprofile = "dash_requested"\n'
    "accept_sketch = true",
    ("language=fr",),
)


def _analyzer(
    name: str,
    simulator: str,
    driver: str,
    profile: str,
    options: tuple[str, ...],
    way: str = "connect",
    more: str = "",
) -> Station:
    """An analyzer on the network, or with a line on a serial port."""
    ports = {"connect": "tcp-listen:127.0.0.1:{port}", "listen": "tcp:127.0.0.1:{port}", "pty": "serial:{port}"}
    config = f"""
[[device]]
name = "labo-{name}"
place = "LABO"
driver = "{driver}"
profile = "{profile}"
port = "{ports[way]}"
mode = "test"
{more}"""
    return Station(f"labo-{name}", simulator, config, way, (*options, "every_s=2"))


def _astm(name: str, model: str) -> Station:
    return _analyzer(name, "astm", "astm", model, (f"model={model}",))


LABORATORY = (
    _analyzer("xp300", "astm", "astm", "sysmex_xp", ("model=sysmex_xp",), "pty", 'line = "9600 8N1"\n'),
    _astm("xn330", "sysmex_xn_l"),
    _astm("pentra", "horiba_pentra"),
    _astm("xpert", "genexpert"),
    _astm("c111", "cobas_c111"),
    _analyzer("bc5300", "hl7_lab", "hl7_lab", "mindray_bc", ("model=mindray_bc5300",)),
    _analyzer("bc5800", "hl7_lab", "hl7_lab", "mindray_bc", ("model=mindray_bc5800",), "listen"),
    _analyzer("micros", "horiba_abx", "horiba_abx", "micros_60", (), "pty", 'line = "9600 8N1"\n'),
    _analyzer("vidas", "biomerieux_bci", "biomerieux_bci", "vidas", (), "pty", 'line = "9600 8N1"\n'),
    _analyzer("kx21", "sysmex_kx", "sysmex_kx", "kx_21", (), "pty", 'line = "9600 8N1"\naccept_sketch = true\n'),
)

EVERYTHING = "one-of-each"
GROUPS: dict[str, tuple[Station, ...]] = {
    EVERYTHING: (EVITA_4, ANALYZER, GENSET),
    "laboratory": LABORATORY,
    "monitors": (
        MASIMO,
        NONIN,
        NELLCOR,
        CONTEC,
        CARESCAPE,
        MINDRAY,
        CENTRAL,
        _sketch("capnostream", "capnostream", "capnostream_20", "115200 8N1"),
        _sketch("bis", "bis_vista", "bis_vista", "57600 8N1"),
        INTELLIVUE,
        DASH,
    ),
    "ventilators": (EVITA_4, SAVINA, PB_840, SERVO_I, SERVO_U, PUMPS, *SKETCHES),
}
"""What `--only` may name. The first station's cable is pulled in the demo."""
