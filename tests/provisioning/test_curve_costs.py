"""`jisr check` tells what curves will cost: its prices against the encoders, and what it prints in both languages."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import language
from gateway.spool.frame import OVERHEAD_BYTES
from gateway.spool.spool import EVERY_TICKS, TICK_S
from gateway.uplink.budget import wire_bytes
from gateway.uplink.compact import encode_compact
from gateway.uplink.dictionary import newest
from gateway.uplink.envelope import FrameEnvelope, encode_json
from provisioning import curves
from provisioning.command import main
from tests.gateway.config.fakes import HEAD, LAB, lay_out
from tests.gateway.uplink.monitor_frames import BARE, WAVES, samples_of, wave_frame

GE = """
[[device]]
name = "rea-lit5-ge"
driver = "ge_dri"
profile = "s5"
port = "serial:/dev/serial/by-path/pci-0:usb-1.3"
line = "19200 8E1"
first_trial = "no_patient"
options = { curves = ["ECG1", "INVP1", "CO2"] }
"""
VENTILATOR = """
[[device]]
name = "rea-lit4-vent"
driver = "draeger_medibus"
profile = "evita_4"
port = "PORT"
first_trial = "no_patient"
options = { curves = ["00", "01"] }
"""
ON_A_LINE = VENTILATOR.replace("PORT", "serial:/dev/serial/by-path/pci-0:usb-1.2").replace(
    "first_trial", 'line = "19200 8E1"\nfirst_trial'
)
OXIMETER = """
[[device]]
name = "rea-lit7-oxy"
driver = "nonin"
profile = "df2"
port = "serial:/dev/serial/by-path/pci-0:usb-1.5"
options = { curves = "PLETH" }
"""


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    language.choose("en")


def check(capsysbinary: Any, folder: Path, text: str, *words: str) -> tuple[int, str]:
    lay_out(folder)
    file = folder / "jisr.toml"
    file.write_text(text, encoding="utf-8")
    code = main(
        ["--lang", "en", "check", str(file), *words] if "--lang" not in words else ["check", str(file), *words]
    )
    out, err = capsysbinary.readouterr()
    return code, (out or err).decode()


def costs(capsysbinary: Any, folder: Path, text: str) -> dict[str, Any]:
    code, out = check(capsysbinary, folder, text, "--json")
    assert code == 0, out
    found: dict[str, Any] = json.loads(out)["curves"]
    return found


def compact(text: str, budget: str = "") -> str:
    """The head with the compact encoding, and a budget."""
    more = 'encoding = "compact"\n' + (f'budget = "{budget}"\n' if budget else "")
    return text.replace("ack_key =", f"{more}ack_key =", 1)


def linked(frame: FrameEnvelope, encoding: str) -> int:
    """What a frame costs on the link, as the budget counts it."""
    payload = encode_json(frame) if encoding == "json" else encode_compact(frame, newest())
    return wire_bytes("jisr/v1/bench/gw-bench/live/wave", f"application/vnd.jisr.frame+{encoding}", len(payload))


@pytest.mark.parametrize("name", [*WAVES, *BARE])
def test_prices_are_near_what_frames_cost(name: str) -> None:
    """Within a fifth, for one slow curve as for three fast ones: only the samples' own digits differ."""
    frames = [wave_frame(name, seed) for seed in range(4)]
    samples, waves = (sum(each) / len(frames) for each in (map(samples_of, frames), (f.count for f in frames)))
    stored = sum(OVERHEAD_BYTES + len(frame.observations) for frame in frames) / len(frames)
    sent = {encoding: sum(linked(frame, encoding) for frame in frames) / len(frames) for encoding in curves.LINK}
    for price, real in ((curves.DISK, stored), *((curves.LINK[encoding], sent[encoding]) for encoding in sent)):
        told = price.frame + waves * price.waveform + samples * price.sample
        assert told == pytest.approx(real, rel=0.2), price


def test_a_frame_is_a_commit_of_the_wave_lane() -> None:
    assert EVERY_TICKS["wave"] * TICK_S == curves.COMMIT_S


def test_no_curves_no_word(capsysbinary: Any, tmp_path: Path) -> None:
    code, out = check(capsysbinary, tmp_path, HEAD + LAB)
    assert (code, out.count("\n")) == (0, 1)
    assert costs(capsysbinary, tmp_path, HEAD + LAB) is None


def test_what_is_told_of_one_device(capsysbinary: Any, tmp_path: Path) -> None:
    code, out = check(capsysbinary, tmp_path, HEAD + GE)
    assert code == 0
    assert "rea-lit5-ge: curves ECG1, INVP1, CO2, 425 samples a second: about 10.0 MB an hour on the link" in out
    assert "All curves together, encoding json: about 10.0 MB an hour on the link, 7.2 GB in 30 days" in out
    _, out = check(capsysbinary, tmp_path, compact(HEAD + GE))
    assert "about 1.5 MB an hour on the link and 9.7 MB on the disk." in out
    assert "budget" not in out


def test_the_same_in_french(capsysbinary: Any, tmp_path: Path) -> None:
    _, out = check(capsysbinary, tmp_path, compact(HEAD + GE + ON_A_LINE, "2 MiB/h"), "--lang", "fr")
    assert "rea-lit5-ge : courbes ECG1, INVP1, CO2, 425 échantillons par seconde : environ 1,5 Mo par heure" in out
    assert "rea-lit4-vent : courbes 00, 01, au plus 698 échantillons par seconde" in out
    assert "Toutes les courbes ensemble, encodage compact : au plus 3,4 Mo environ par heure" in out
    assert "du budget de 2 MiB/h : ce qu'il ne laisse pas passer attend sur le disque" in out
    assert " an hour" not in out


def test_for_tools(capsysbinary: Any, tmp_path: Path) -> None:
    found = costs(capsysbinary, tmp_path, compact(HEAD + GE + OXIMETER, "20 MiB/h"))
    monitor, oximeter = found["devices"]
    assert monitor["curves"] == ["ECG1", "INVP1", "CO2"]
    assert (monitor["samples_per_s"], monitor["at_most"]) == (425, False)
    assert (oximeter["device"], oximeter["samples_per_s"]) == ("rea-lit7-oxy", 75)
    parts = monitor["link_bytes_per_hour"] + oximeter["link_bytes_per_hour"]
    shared = round(curves.HOUR_S / curves.COMMIT_S * curves.LINK["compact"].frame)
    assert found["link_bytes_per_hour"] == parts - shared  # one frame carries the curves of both
    assert found["link_bytes_per_30_days"] == 720 * found["link_bytes_per_hour"]
    assert (found["encoding"], found["budget"], found["budget_bytes_per_hour"]) == ("compact", "20 MiB/h", 20 << 20)
    assert (found["at_most"], found["is_complete"]) == (False, True)


def test_what_only_the_device_knows(capsysbinary: Any, tmp_path: Path) -> None:
    """On a serial line its speed bounds it; behind a network nothing does, and it is not counted."""
    on_a_line = costs(capsysbinary, tmp_path, HEAD + ON_A_LINE)
    assert (on_a_line["devices"][0]["samples_per_s"], on_a_line["at_most"]) == (698.2, True)
    text = HEAD + GE + VENTILATOR.replace("PORT", "tcp:10.0.0.7:4001")
    _, out = check(capsysbinary, tmp_path, text)
    found = costs(capsysbinary, tmp_path, text)
    assert found["is_complete"] is False
    assert found["devices"][1]["link_bytes_per_hour"] is None
    assert "rea-lit4-vent: curves 00, 01: how many samples a second, only the device tells" in out
    assert "Not counted, because nothing tells how much they send: rea-lit4-vent." in out


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ("20 MiB/h", "That is 7 % of the budget of 20 MiB/h."),
        ("1 MiB/h", "That is 142 % of the budget of 1 MiB/h: what"),
    ],
)
def test_the_budget(capsysbinary: Any, tmp_path: Path, budget: str, told: str) -> None:
    assert told in check(capsysbinary, tmp_path, compact(HEAD + GE, budget))[1]


@pytest.mark.parametrize(
    ("curve", "english_words", "french_words", "nearest"),
    [
        ("ECG9", "ECG9: there is no such curve; there are: ECG1,", "ECG9 : cette courbe n'existe pas", "ECG"),
        ("ecg1", "ecg1: there is no such curve", "ecg1 : cette courbe n'existe pas", "ECG1"),
        ("INVP1", "INVP1: named twice", "INVP1 : nommée deux fois", ""),
    ],
)
def test_a_wrong_curve(
    capsysbinary: Any, tmp_path: Path, curve: str, english_words: str, french_words: str, nearest: str
) -> None:
    text = HEAD + GE.replace('"ECG1"', f'"{curve}"')
    code, out = check(capsysbinary, tmp_path, text)
    assert code == 2
    assert f'curves of [[device]] "rea-lit5-ge": {english_words}' in out
    assert ('did you mean "ECG' in out) == bool(nearest)
    assert french_words in check(capsysbinary, tmp_path, text, "--lang", "fr")[1]
    (problem,) = json.loads(check(capsysbinary, tmp_path, text, "--json")[1])["problems"]
    assert text.splitlines()[problem["line"] - 1].startswith("options")
    assert problem["nearest"].startswith(nearest)
