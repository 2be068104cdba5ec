"""Map files: a right one becomes a profile; of a wrong one every mistake is told at once, with line and spelling."""

import ast
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.registers import MapProblem, check_map
from drivers.registers import mapcheck as mapcheck_module
from drivers.registers.driver import RegistersOptions
from drivers.registers.mapcheck import BadMap
from drivers.registers.mapfile import read_map
from drivers.registers.maprules import MORE_UNITS, units
from drivers.registers.points import Source

FOLDER = Path(catalog.__file__).parent / "registers"

GOOD = """\
vendor = "Acme"
models = ["F-80", "F-86"]
tier = "sketch"
firmware = ["2.1"]
line = "9600 8E1"
modem = { rts = "lower" }
unit = 7
poll_s = 30
word_order = "low_first"
bridge = 4
max_registers = 60
max_coils = 100

[sentinels.i16]
sensor_off = [0x7FFF, -32768]

[[register]]
printed = "40001"           # the manual counts from one
table = "holding"
address = 0
type = "i16"
scale = 0.1
unit = "Cel"
name = "env_temp_freezer"

[[register]]
printed = "40002"
table = "holding"
address = 1
type = "i16"
unit = "Cel"
low = -20
high = 60.5
step = 5
category = "setting"
sentinels = { not_fitted = [0] }
en = "Cooling water"
fr = "Eau de refroidissement"
poll_s = 2.5

[[register]]
printed = "30010"
table = "input"
address = 9
type = "bits"

[[register.field]]
bit = 9
en = "Door"
fr = "Porte"
values = { 0 = "closed", 1 = "open" }

[[register.field]]
bits = [0, 3]
code = "mode"
unit = "1"
en = "Mode"
fr = "Mode"

[[register]]
printed = "1"
table = "coil"
address = 0
type = "bit"
alert = "technical"
priority = "low"
en = "Mains failed"
fr = "Coupure du secteur"
"""


def test_a_map_is_a_profile() -> None:
    assert check_map(GOOD) == []
    profile = read_map(GOOD)
    assert (profile.vendor, profile.models, profile.tier) == ("Acme", ("F-80", "F-86"), "sketch")
    assert (profile.firmware, profile.line, profile.modem.rts) == (("2.1",), "9600 8E1", "lower")
    assert profile.options == {"unit": 7, "bridge": 4, "max_registers": 60, "max_coils": 100}
    assert [(each.code, each.kind, each.unit) for each in profile.metric] == [
        ("40001", "numeric", "Cel"),
        ("40002", "numeric", "Cel"),
        ("30010.9", "enumeration", ""),
        ("mode", "numeric", "1"),
        ("1", "alert", ""),
    ]
    freezer, water, door, mode, mains = (each.extra["source"] for each in profile.metric)
    assert freezer == Source(
        table="holding",
        address=0,
        type="i16",
        poll_s=30.0,
        word_order="low_first",
        scale=Decimal("0.1"),
        sentinels={0x7FFF: "sensor_off", 0x8000: "sensor_off"},
    )
    assert (water.sentinels, water.poll_s) == ({0: "not_fitted"}, 2.5)
    assert (door.bits, mode.bits) == ((9, 9), (0, 3))
    assert (mains.alert, mains.priority, mains.sentinels) == ("technical", "low", {})
    assert profile.metric[1].range == (Decimal(-20), Decimal("60.5"))
    assert profile.metric[2].values == {"0": "closed", "1": "open"}


def test_a_map_of_ones_own_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "my_freezer.toml"
    path.write_text(GOOD, encoding="utf-8")
    profile = catalog.load_map(path)
    assert (profile.name, profile.driver) == ("my_freezer", "registers")
    assert profile.protocol == catalog.profile("registers", "dse_73xx").protocol
    assert isinstance(catalog.create(profile, {"unit": 9, "confirmed": ["40001"]}), object)
    path.write_text(GOOD.replace('"Cel"', '"Celsius"'), encoding="utf-8")
    with pytest.raises(BadMap, match="line 23: unit = ") as bad:
        catalog.load_map(path)
    assert len(bad.value.problems) == 2


@pytest.mark.parametrize("path", sorted((FOLDER / "maps").glob("*.toml")), ids=lambda path: path.stem)
def test_every_map_of_ours_is_right(path: Path) -> None:
    assert check_map(path.read_text(encoding="utf-8")) == []


def test_every_example_of_the_guide_is_right() -> None:
    text = (FOLDER / "MAPS.md").read_text(encoding="utf-8")
    examples = [part.split("```")[0] for part in text.split("```toml\n")[1:]]
    maps = [each for each in examples if each.startswith("vendor")]
    assert maps
    for each in maps:
        assert check_map(each) == []


def elsewhere(line: int, key: str) -> tuple[int, str, str]:
    return line, f"{key}: it does not belong to this register", ""


def told(text: str) -> list[tuple[int, str, str]]:
    return [(each.line, each.found, each.nearest) for each in check_map(text)]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("unit = 7", "unti = 7", (7, '"unti": this key is not known here', "unit")),
        ("unit = 7", "unit = 256", (7, "unit = 256", "")),
        ("unit = 7", "unit = true", (7, "unit = true", "")),
        ('models = ["F-80", "F-86"]', "models = []", (2, "models = []", "")),
        ('vendor = "Acme"\n', "", (1, "vendor is missing", "")),
        ('tier = "sketch"', 'tier = "skech"', (3, 'tier = "skech"', "sketch")),
        ('line = "9600 8E1"', 'line = "9600,8,E,1"', (5, 'line = "9600,8,E,1"', "")),
        ('rts = "lower"', 'rts = "low"', (6, "modem = { … }", "")),
        ("poll_s = 30", "poll_s = 0.1", (8, "poll_s = 0.1", "")),
        ("poll_s = 30", "poll_s = inf", (8, "poll_s = Infinity", "")),
        ('word_order = "low_first"', 'word_order = "little"', (9, 'word_order = "little"', "low_first")),
        ("[sentinels.i16]", "[sentinels.s16]", (14, "s16: this key is not known here", "i16")),
        ("sensor_off = [0x7FFF, -32768]", "sensor_off = [0x17FFF]", (15, "sensor_off = [98303]", "")),
        ("sensor_off = [0x7FFF, -32768]", '"Sensor off" = [1]', (15, '"Sensor off": this key is not known here', "")),
        ('table = "holding"', 'table = "Holdings"', (19, 'table = "Holdings"', "holding")),
        ("address = 0\ntype = \"i16\"", "address = 65536\ntype = \"i16\"", (20, "address = 65536", "")),
        ("address = 0\ntype = \"i16\"", "address = 4.5\ntype = \"i16\"", (20, "address = 4.5", "")),
        ('type = "i16"\nscale', 'type = "s16"\nscale', (21, 'type = "s16"', "i16")),
        ("scale = 0.1", 'scale = "0.1"', (22, 'scale = "0.1"', "")),
        ("scale = 0.1", "scale = 0", (22, "scale = 0", "")),
        ('unit = "Cel"\nname', 'unit = "°C"\nname', (23, 'unit = "°C"', "Cel")),
        ('unit = "Cel"\nname', 'unit = "cel"\nname', (23, 'unit = "cel"', "Cel")),
        ('unit = "Cel"\nname', "name", (17, "unit is missing", "")),
        ('"env_temp_freezer"', '"env_temp_frezer"', (24, 'name = "env_temp_frezer"', "env_temp_freezer")),
        ('name = "env_temp_freezer"', 'name = "vent_mode"', (24, 'name = "vent_mode"', "")),
        ('name = "env_temp_freezer"', 'en = "Freezer"', (17, "name is missing", "")),
        ("low = -20", "low = 70", (32, "low = 70", "")),
        ("sentinels = { not_fitted = [0] }", "sentinels = { not_fitted = [] }", (36, "not_fitted = []", "")),
        ("address = 1\n", "address = 0\n", (26, "holding 0 is already taken on line 17", "")),
        ('printed = "40002"', 'printed = "40001"', (26, '"40001" is already taken on line 17', "")),
        ("bits = [0, 3]", "bits = [3, 9]", (53, "input 9 bit 9 is already taken on line 47", "")),
        ("bits = [0, 3]", "bits = [3, 0]", (54, "bits = [3, 0]", "")),
        ("bits = [0, 3]\n", "", (53, "bit is missing", "")),
        ("bit = 9\n", "bit = 9\nbits = [8, 9]\n", elsewhere(47, "bit")),
        ("bit = 9", "bit = 16", (48, "bit = 16", "")),
        ('type = "bits"', 'type = "u16"\nunit = "1"\nname = "env_temp"', elsewhere(49, "field")),
        ('type = "bit"\n', 'type = "bit"\nbit = 3\n', elsewhere(65, "bit")),
        ('type = "bit"\n', 'type = "u16"\n', (64, 'type = "u16"', "bit")),
        ('alert = "technical"', 'alert = "technical"\nvalues = { 1 = "x" }', elsewhere(66, "values")),
        ('alert = "technical"', 'alert = "technical"\nunit = "1"', elsewhere(66, "unit")),
        ('values = { 0 = "closed", 1 = "open" }', 'values = { off = "closed" }', (51, "values = { … }", "")),
    ],
)  # fmt: skip
def test_one_mistake(old: str, new: str, found: tuple[int, str, str]) -> None:
    assert GOOD.count(old), old
    text = GOOD.replace(old, new, 1)
    assert told(text) == [found]
    assert all(each.expected for each in check_map(text))


PLACE = '[[register]]\nprinted = "1"\ntable = "input"\naddress = {at}\ntype = "{kind}"\n'
WIDE = PLACE + 'unit = "1"\nname = "gen_starts"\n{more}\n'
WORD = PLACE + 'en = "x"\nfr = "y"\n{more}\n'
HEAD = 'vendor = "A"\nmodels = ["B"]\n'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (HEAD, [(1, "register is missing", "")]),
        (HEAD + "register = []", [(3, "register = []", "")]),
        (HEAD + "register = [1]", [(3, "register = 1", "")]),
        (HEAD + WIDE.format(at=1, kind="u32", more=""), [(3, "word_order is missing", "")]),
        (
            HEAD + WIDE.format(at=65535, kind="f32", more='word_order = "high_first"'),
            [(6, "address = 65535", "")],
        ),
        (HEAD + WORD.format(at=1, kind="bit", more=""), [(3, "bit is missing", "")]),
        (HEAD + WIDE.format(at=1, kind="u16", more="bit = 2"), [elsewhere(10, "bit")]),
        (HEAD + WORD.format(at=1, kind="u16", more='alert = "technical"'), [elsewhere(10, "alert")]),
        (
            HEAD + 'word_order = "high_first"\n' + WORD.format(at=1, kind="f32", more='values = { 1 = "x" }'),
            [elsewhere(11, "values")],
        ),
        (HEAD + PLACE.format(at=1, kind="bits"), [(3, "field is missing", "")]),
        (HEAD + PLACE.format(at=1, kind="bits") + "field = [3]\n", [(8, "field = 3", "")]),
        (HEAD + "[[register]]\n", [(3, f"{key} is missing", "") for key in ("printed", "table", "address", "type")]),
        (HEAD + '[[register]]\nprinted = "1"\ntable = "input"\naddress = "x"\ntype = "bits"\n[[register.field]]\n'
         'bit = 1\nname = "env_temp"\n', [(6, 'address = "x"', ""), (10, 'name = "env_temp"', "")]),
        (HEAD + "sentinels = 3\n" + WIDE.format(at=1, kind="u16", more=""), [(3, "sentinels = 3", "")]),
        (HEAD + WIDE.format(at=1, kind="u16", more="note = 1") + WIDE.format(at=1, kind="u17", more="pol_s = 1"),
         [(10, '"note": this key is not known here', ""), (15, 'type = "u17"', "u16"),
          (18, '"pol_s": this key is not known here', "poll_s")]),
        ('vendor = "A\n', [(1, "this is not TOML: Illegal character '\\n'", "")]),
        ("a = 1\na = 2\n", [(2, "this is not TOML: Cannot overwrite a value", "")]),
    ],
)  # fmt: skip
def test_all_mistakes_at_once(text: str, found: list[tuple[int, str, str]]) -> None:
    assert told(text) == found


def test_a_mistake_can_be_told_in_another_language() -> None:
    (problem,) = check_map(GOOD.replace("unit = 7", "unit = 999"))
    assert problem == MapProblem(
        line=7,
        found="unit = 999",
        expected="the Modbus unit id, a whole number from 0 to 255",
        template="{key} = {value}",
        facts={"key": "unit", "value": "999"},
    )
    assert problem.template.format(**problem.facts) == problem.found


def test_what_is_shown_is_short_and_printable() -> None:
    (problem,) = check_map(GOOD.replace('vendor = "Acme"', 'vendor = "' + "x" * 500 + '"'))
    assert len(problem.facts["value"]) == 60
    (problem,) = check_map(GOOD.replace('vendor = "Acme"', 'vendor = "a\\u001b[2Jb"'))
    assert problem.found.isprintable()


def test_lines_are_right_in_awkward_layouts() -> None:
    text = GOOD.replace('models = ["F-80", "F-86"]', 'models = [\n  "F-80", # [\n  "F-86",\n]').replace("\n", "\r\n")
    assert [(each.line, each.found) for each in check_map(text.replace("unit = 7", "'unti' = 7"))] == [
        (10, '"unti": this key is not known here')
    ]


def test_units_hold_those_of_the_code_table() -> None:
    assert {"Cel", "kPa", "%", "1", "[in_i'H2O]"} <= set(units())
    assert len(set(MORE_UNITS)) == len(MORE_UNITS)


def test_the_options_are_those_of_the_engine() -> None:
    assert set(read_map(GOOD).options) == set(RegistersOptions.__struct_fields__) - {"confirmed"}


def test_sentences_are_marked_for_translation() -> None:
    """Whatever a problem expects is a marked sentence: gettext finds it in the source."""
    found: set[str] = set()
    for name in ("mapcheck.py", "maprules.py"):
        tree = ast.parse((FOLDER / name).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "N_":
                found.add(ast.literal_eval(node.args[0]))
    broken = GOOD.replace('"', "7").replace("7Acme7", '"Acme"')
    for problem in check_map(broken) + check_map(GOOD.replace('"holding"', '"x"').replace("unit", "unti")):
        assert problem.expected in found
        assert problem.template in found
    assert mapcheck_module.NEEDS_ORDER in found


@given(
    st.text(max_size=300)
    | st.builds(lambda at, new: GOOD[:at] + new + GOOD[at + 5 :], st.integers(0, 1200), st.text(max_size=8))
)
def test_any_text_is_judged(text: str) -> None:
    problems = check_map(text)
    lines = text.count("\n") + 1
    assert all(1 <= each.line <= lines and each.found and each.expected for each in problems)
    if not problems:
        assert read_map(text).metric
    else:
        with pytest.raises(BadMap):
            read_map(text)


_VALUES = st.recursive(
    st.one_of(st.integers(-3, 70000), st.booleans(), st.sampled_from(["u16", "bits", "coil", "holding", "x"])),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


def _toml(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


@given(st.data())
def test_any_value_of_any_key_is_judged(data: st.DataObject) -> None:
    lines = GOOD.split("\n")
    keyed = [at for at, line in enumerate(lines) if "=" in line]
    for at in data.draw(st.lists(st.sampled_from(keyed), min_size=1, max_size=5, unique=True)):
        lines[at] = lines[at].split("=")[0] + "= " + _toml(data.draw(_VALUES))
    text = "\n".join(lines)
    if not check_map(text):
        assert read_map(text).metric
