"""The catalog: what it has, what it says of what it does not have, and options that are refused."""

import msgspec
import pytest

from drivers import catalog
from drivers.nomenclature import terms
from drivers.profile import Allowed, Metric, Profile

EVERY = [(d, p) for d in catalog.DRIVERS for p in catalog.profiles(d)]


@pytest.mark.parametrize("driver", list(catalog.DRIVERS))
def test_every_driver_is_there(driver: str) -> None:
    made = catalog.driver_class(driver)
    assert made.name == driver
    assert made.__name__ == catalog.DRIVERS[driver]
    assert catalog.profiles(driver)
    assert {p.protocol.version for p in catalog.profiles(driver).values()} == {made.version}


@pytest.mark.parametrize(("driver", "profile"), EVERY)
def test_every_profile_makes_a_driver(driver: str, profile: str) -> None:
    found = catalog.profile(driver, profile)
    assert (found.driver, found.name) == (driver, profile)
    assert found.protocol.max_frame_bytes > 0
    assert catalog.create(found).start(0.0) is not None


@pytest.mark.parametrize(("driver", "profile"), EVERY)
def test_options_have_defaults_and_unknown_ones_are_refused(driver: str, profile: str) -> None:
    options = catalog.driver_class(driver).Options
    assert options() == options()
    assert options.__struct_config__.frozen
    assert options.__struct_config__.forbid_unknown_fields
    with pytest.raises(msgspec.ValidationError, match="no_such_option"):
        catalog.create(catalog.profile(driver, profile), {"no_such_option": 1})


def test_unknown_names_come_with_what_is_known() -> None:
    with pytest.raises(catalog.UnknownName) as no_driver:
        catalog.profiles("vscapture")
    assert no_driver.value.known == tuple(catalog.DRIVERS)
    with pytest.raises(catalog.UnknownName):
        catalog.driver_class("vscapture")
    with pytest.raises(catalog.UnknownName) as no_profile:
        catalog.profile("astm", "coulter")
    assert (no_profile.value.kind, no_profile.value.name) == ("profile", "coulter")
    assert "erba_xl" in no_profile.value.known


def test_no_name_means_the_only_profile() -> None:
    for driver in catalog.DRIVERS:
        known = catalog.profiles(driver)
        if len(known) == 1:
            assert catalog.profile(driver) == next(iter(known.values()))
        else:
            with pytest.raises(catalog.UnknownName):
                catalog.profile(driver)


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"vendor": "A", "models": ["x"], "tier": "sketch", "colour": "red"}, "colour"),
        ({"vendor": "A", "models": ["x"], "tier": "golden"}, r"\$\.tier"),
        ({"vendor": "A", "models": ["x"], "tier": "sketch", "metric": [{"code": 1}]}, r"\$\.metric\[0\]\.code"),
        ({"models": ["x"], "tier": "sketch"}, "vendor"),
    ],
)
def test_a_wrong_profile_names_its_key(table: dict[str, object], path: str) -> None:
    protocol = catalog.profile("astm", "erba_xl").protocol
    with pytest.raises(msgspec.ValidationError, match=path):
        catalog.read_profile("x", "astm", protocol, table)


ROWS = {
    "every": [{"code": "24.78", "unit": "mbar"}, {"code": "24.82", "unit": "L"}],
    "more": [{"code": "24.88", "unit": "mL"}],
}


def read(**keys: object) -> Profile:
    table = {"vendor": "A", "models": ["x"], "tier": "sketch", **keys}
    return catalog.read_profile(
        "p", "d", catalog.profile("astm", "erba_xl").protocol, table, catalog.read_rows("d", ROWS)
    )


def test_what_a_family_has_otherwise_than_its_protocol() -> None:
    assert (read().protocol.checksum, read(protocol={"checksum": False}).protocol.checksum) == (True, False)
    assert read(protocol={"checksum": False}).protocol.title == read().protocol.title
    with pytest.raises(msgspec.ValidationError, match=r"d/profile\.toml: profile\.p\.protocol: .*colour"):
        read(protocol={"colour": "red"})
    assert read().ports == read().protocol.ports
    assert read(ports=["tcp"]).ports == ("tcp",)
    for ports in (["modbus"], ["udp"], ["tcp", "udp"]):
        with pytest.raises(msgspec.ValidationError, match=r"profile\.p\.ports: "):
            read(ports=ports)
    assert read(ports=["udp"], protocol={"ports": ["tcp", "udp"]}).is_datagram


def test_shared_rows_come_first_and_in_the_order_they_are_used() -> None:
    found = read(use=["more", "every"], metric=[{"code": "24.C1", "unit": "Cel"}])
    assert [(m.code, m.unit) for m in found.metric] == [
        *(("24.88", "mL"), ("24.78", "mbar"), ("24.82", "L"), ("24.C1", "Cel")),
    ]
    assert (found.use, found.without) == ((), ())
    assert read().metric == ()


def test_a_row_that_is_left_out_may_stand_in_the_profile() -> None:
    found = read(use=["every"], without=["24.82"], metric=[{"code": "24.82", "unit": "mL"}])
    assert [(m.code, m.unit) for m in found.metric] == [("24.78", "mbar"), ("24.82", "mL")]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"use": ["evry"]}, r"d/profile\.toml: profile\.p\.use: no rows named 'evry'; there are: every, more"),
        ({"use": "every"}, r"d/profile\.toml: profile\.p: Expected `array`.*\$\.use"),
        ({"use": ["every"], "without": ["24.88"]}, r"profile\.p\.without: no row of `use` has the code 24\.88"),
        ({"without": ["24.78"]}, r"profile\.p\.without: no row"),
        ({"use": ["every", "every"]}, r"profile\.p: code 24\.78 stands twice, in rows\.every and in rows\.every"),
        ({"use": ["more"], "metric": [{"code": "24.88"}]}, r"24\.88 stands twice, in rows\.more and in metric"),
        ({"metric": [{"code": "24.88"}, {"code": "24.88"}]}, r"24\.88 stands twice, in metric and in metric"),
    ],
)
def test_shared_rows_that_do_not_fit_name_file_and_key(keys: dict[str, object], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        read(**keys)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"every": [{"code": "24.78", "unti": "mbar"}]}, r"d/profile\.toml: rows\.every: .*`unti`.*\$\[0\]"),
        ({"every": {"code": "24.78"}}, r"d/profile\.toml: rows\.every: Expected `array`"),
    ],
)
def test_a_wrong_shared_row_names_its_group(rows: dict[str, object], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        catalog.read_rows("d", rows)


def test_a_rule_is_exact_or_a_template() -> None:
    assert Allowed("esc", hex="1b 2a").regex() == b"\x1b\\*"
    assert Allowed("digits", pattern="[0-9]+").regex() == b"(?:[0-9]+)"


def test_ranges_and_labels_of_a_metric() -> None:
    named = Metric(code="7D", name="spo2", unit="%")
    row = terms()["spo2"]
    assert named.range == (row.low, row.high)
    assert (named.label("en"), named.label("fr")) == (row.en, row.fr)
    assert (named.mdc, named.mdc_code) == (row.mdc, row.code)
    other_unit = Metric(code="7D", name="spo2", unit="{fraction}")
    assert other_unit.range == (None, None)
    bare = Metric(code="7D", en="Mine", fr="Le mien")
    assert (bare.mdc, bare.mdc_code, bare.range) == ("", 0, (None, None))
    assert (bare.label("en"), bare.label("fr"), Metric(code="7D").label("fr")) == ("Mine", "Le mien", "7D")
    with pytest.raises(KeyError):
        _ = Metric(code="7D", name="no_such_term").term


def test_a_word_that_is_not_known_is_absent_and_its_text_stands() -> None:
    mode = Metric(code="MODE", kind="enumeration", values={"1": "ippv"})
    assert mode.enumeration("1", "IPPV").value == "ippv"
    unknown = mode.enumeration("9", "XYZ")
    assert (unknown.value, unknown.validity, unknown.reason) == (None, "not_available", "unknown_code")
    assert unknown.vendor is not None
    assert unknown.vendor.text == "XYZ"


def test_a_profile_by_itself_allows_nothing() -> None:
    assert Profile(vendor="A", models=("x",), tier="sketch").allowed == ()
