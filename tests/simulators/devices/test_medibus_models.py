"""The models of the MEDIBUS simulator: what each one measures, how it prints it, and what it does not know."""

import re
from datetime import UTC, datetime

import pytest

from simulators.devices import medibus_frames as wire
from simulators.devices.breathing import CURVES
from simulators.devices.draeger_medibus import DraegerMedibus
from simulators.devices.medibus_models import CLOCK_STYLES, MODELS, Row, clock_text, printed

MY_NAME = wire.response(0x52, b"0161'JISR'01.00:04.03")


def up(**options: str) -> tuple[DraegerMedibus, float]:
    """A device whose link is up and that knows the box, and the time."""
    device = DraegerMedibus(1, options={"embed_rate": "0", "alarm_every_s": "0"} | options)
    device.wake(100.0)
    device.receive(wire.response(0x51), 100.1)
    device.wake(100.6)
    device.receive(MY_NAME, 100.7)
    assert device.is_identified
    return device, 101.0


def ask(device: DraegerMedibus, code: int, now: float, argument: bytes = b"") -> bytes:
    device.receive(wire.command(code, argument), now)
    return device.wake(now + 0.1)


FORMS = {
    "XX.X": r"[ -]?\d?\d\.\d",
    "X.XX": r"\d\.\d\d",
    "_XXX": r" [ \d]{2}\d",
    "XXX_": r"[ -]*\d+ |\d{4}",
    "XXXX": r"[ \d]{3}\d",
}


def records(model: str, code: int, width: int, now: float = 0.5) -> dict[str, str]:
    device, start = up(model=model)
    said = ask(device, code, start + now)
    assert said.startswith(bytes([1, code]))
    text = said[2:-3].decode()
    return {text[i : i + 2]: text[i + 2 : i + width] for i in range(0, len(text), width)}


@pytest.mark.parametrize(
    ("model", "identity", "check"),
    [
        ("evita_4", b"8240'Evita 4'04.00:04.00", "DA"),
        ("savina", b"8250'Savina'03.00:04.00", "EF"),
        ("evita", b"8210'Evita'04.00:04.00", None),
        ("evita_2", b"8200'Evita 2'04.00:04.00", None),
        ("evita_2_dura", b"8230'Evita 2 dura'04.00:04.00", None),
        ("evita_xl", b"8260'EvitaXL'04.00:04.00", None),
        ("fabius", b"8999'Fabius GS'03.00:04.00", None),
    ],
)
def test_each_model_says_who_it_is(model: str, identity: bytes, check: str | None) -> None:
    device, now = up(model=model)
    said = ask(device, 0x52, now)
    assert said == wire.response(0x52, identity)
    assert check is None or said[-3:-1].decode() == check


@pytest.mark.parametrize(
    ("model", "echoed"),
    [
        ("evita", {0x28, 0x2B, 0x2C, 0x2D, 0x2E}),
        ("evita_2", {0x28, 0x2B, 0x2C, 0x2D, 0x2E}),
        ("evita_2_dura", {0x28, 0x2B, 0x2C, 0x2D}),
        ("evita_xl", {0x28, 0x2B, 0x2C, 0x2D}),
        ("savina", {0x2B, 0x2C, 0x2D}),
        ("fabius", {0x25, 0x26, 0x29, 0x2A, 0x2C, 0x2D, 0x2E}),
    ],
)
def test_what_a_model_does_not_know_gets_its_echo(model: str, echoed: set[int]) -> None:
    device, now = up(model=model, alarm_every_s="30")
    asked = sorted({0x24, 0x25, 0x26, 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x2D, 0x2E, 0x53})
    empty = set()
    for index, code in enumerate(asked):
        if ask(device, code, now + index / 10) == wire.response(code):
            empty.add(code)
    assert empty - {0x2E} == echoed - {0x2E}
    assert device.sent == len(asked) - len(echoed)
    assert not device.illegal


@pytest.mark.parametrize(
    ("model", "has", "has_not"),
    [
        ("evita", {"07", "08", "82", "B7", "B9"}, {"06", "0B", "88", "7A", "B8", "09", "E6", "69"}),
        ("evita_2", {"07", "08", "82", "B7", "B9", "09", "8A"}, {"06", "0B", "88", "7A", "B8"}),
        ("evita_2_dura", {"06", "0B", "88", "B9"}, {"07", "08", "82", "76", "C9"}),
        ("evita_xl", {"06", "0B", "88", "B9", "8D", "C9", "EB"}, {"07", "08", "82", "76"}),
        (
            "savina",
            {"07", "08", "88", "B9", "69", "6F", "76", "C6", "C7", "E7", "E8"},
            {"06", "0B", "82", "71", "72"},
        ),
        ("fabius", {"58", "6B", "83", "AC", "DD", "EF"}, {"06", "07", "08", "0B", "82", "88", "B9", "78"}),
    ],
)
def test_each_model_has_its_own_codes(model: str, has: set[str], has_not: set[str]) -> None:
    values = records(model, 0x24, 6)
    assert has <= set(values)
    assert not has_not & set(values)
    assert set(values) <= {row.code for row in MODELS[model].measured}
    forms = {row.code: row.form for row in MODELS[model].measured}
    for code, text in values.items():
        assert re.fullmatch(FORMS[forms[code]], text), (code, text)


def test_units_differ_by_device() -> None:
    assert re.fullmatch(r"0\.[45]\d", records("evita", 0x24, 6)["82"])  # litres
    assert re.fullmatch(r"[45]\d\d ", records("savina", 0x24, 6)["88"])  # millilitres
    assert records("evita_xl", 0x24, 6)["8D"].lstrip().startswith("-")


@pytest.mark.parametrize("model", sorted(MODELS))
def test_only_one_of_each_pair_is_sent(model: str) -> None:
    rows = MODELS[model].measured
    names = {row.quantity for row in rows}
    for scale in (0.3, 0.9999, 1.0, 3.0, 99.96, 100.0, 999.9, 1000.0):
        values = dict.fromkeys(names, scale) | {"tidal_volume_l": scale / 1000, "volume": scale}
        codes = set(printed(rows, values, frozenset()))
        for pair in ({"82", "88"}, {"B8", "B9"}, {"7A", "B7"}, {"06", "07"}, {"08", "0B"}):
            known = pair & {row.code for row in rows}
            assert len(pair & codes) == (1 if known else 0)


def test_what_is_absent_is_left_out() -> None:
    rows = (Row("72", "p01", "XX.X"), Row("78", "peep", "XXX_"))
    assert printed(rows, {"p01": 1.7, "peep": 5.0}, frozenset({"72"})) == {"78": "  5 "}


def test_limits_and_settings_of_a_savina() -> None:
    assert records("savina", 0x26, 6)["88"] == "700 "
    assert records("savina", 0x29, 7)["4F"] == "  60 "
    assert "15" in records("evita", 0x29, 7)
    assert "4F" not in records("evita", 0x29, 7)


def test_codepage_2_of_the_anaesthesia_machine() -> None:
    assert set(records("fabius", 0x2B, 6)) == {"21", "22", "23"}


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("german", "08:06:0504-MAI-26"),
        ("english", "08:06:0504-MAY-26"),
        ("no_seconds", "08:0604-MAI-26"),
        ("no_zeros", " 8: 6: 5 4-MAI-26"),
        ("space", "08:06:05 04-MAI-26"),
    ],
)
def test_the_clock_of_a_savina(style: str, expected: str) -> None:
    assert clock_text(datetime(2026, 5, 4, 8, 6, 5, tzinfo=UTC), style) == expected
    device, _ = up(model="savina", clock_style=style, started="20260504080604")
    assert ask(device, 0x28, 101.5) == wire.response(0x28, expected.encode())  # switched on at 100
    assert style in CLOCK_STYLES


def test_the_clock_vector() -> None:
    assert wire.response(0x28, b"08:06:0504-MAI-26")[-3:] == bytes.fromhex("43 44 0D")
    assert [clock_text(datetime(2026, month, 1, tzinfo=UTC), "german")[11:14] for month in (3, 10)] == ["MAR", "OKT"]


@pytest.mark.parametrize(
    ("model", "code", "data"),
    [
        ("savina", 0x2E, b"O95STANDBY     "),
        ("evita_xl", 0x2E, b"O95STANDBY     "),
        ("evita", 0x2E, b""),
        ("evita", 0x2A, b"1E7STANDBY\x03205ADULT\x03"),
        ("evita", 0x24, b""),
        ("savina", 0x24, b""),
        ("fabius", 0x24, b""),
        ("fabius", 0x27, b""),
    ],
)
def test_standby(model: str, code: int, data: bytes) -> None:
    device, now = up(model=model, standby="yes")
    assert ask(device, code, now) == wire.response(code, data)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_alarms_and_curves_of_each_model(model: str) -> None:
    device, now = up(model=model, alarm_every_s="30")
    assert ask(device, 0x53, now).count(b"   16000") == len(MODELS[model].curves)
    assert set(MODELS[model].curves) <= set(CURVES)
    ask(device, 0x54, now + 0.2, b"".join(code.encode() + b"01" for code in MODELS[model].curves[:4]))
    device.receive(bytes.fromhex("D0 C1 CF C0 C0"), now + 0.4)
    assert any(byte & 0x80 for byte in device.wake(now + 0.6))
    known = {(alarm.codepage, alarm.code) for alarm in MODELS[model].alarms}
    seen = set()
    for second in range(900):
        device.receive(wire.command(0x30) + wire.response(0x30), now + second)
        for index, code in enumerate((0x27, 0x2E)):
            ask(device, code, now + second + 0.3 + index / 3)
    for answer in device.history:
        for place in range(0, len(answer.data) if answer.code in (0x27, 0x2E) else 0, 15):
            seen.add((1 if answer.code == 0x27 else 2, answer.data[place + 1 : place + 3].decode()))
    assert seen == known


def test_an_evita_4_is_the_default() -> None:
    assert DraegerMedibus().options["model"] == "evita_4"


@pytest.mark.parametrize("options", [{"model": "perseus"}, {"clock_style": "arabic"}, {"started": "today"}])
def test_wrong_model_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="draeger_medibus"):
        DraegerMedibus(options=options)
