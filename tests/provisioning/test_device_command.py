"""`jisr device` as it is typed: list and commission, in both languages, and everything that stores nothing."""

import asyncio
import errno
import json
import os
import sys
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from drivers.observation import AnyObservation, Result, Vendor, stamp
from gateway import commissioning, language
from gateway.clock import Clock, Source
from gateway.commissioning import Proofs, proof_path
from gateway.config import load, resolved_profile
from gateway.journal import Journal
from gateway.spool.spool import Spool
from tests.provisioning.ward import SPECIMEN, Ward, said, tree

DEVICES = """
[[device]]
name = "labo"
driver = "astm"
profile = "sysmex_xp"
port = "tcp-listen:127.0.0.1:4001"

[[device]]
name = "vent"
driver = "draeger_medibus"
profile = "evita_4"
port = "tcp:127.0.0.1:4002"
"""
SHOWN = ("WBC=7.2 10^3/uL", "RBC=4.31 10^6/µL", "HGB=13.5 g/dl")
FRENCH = tuple(each.replace(".", ",") for each in SHOWN)
RESULTS = (("WBC", "7.2", "10*3/uL"), ("RBC", "4.310", "10*6/uL"), ("HGB", "13.5", "g/dL"), ("PLT", "388", "10*3/uL"))


def result(test: str, value: str, unit: str, **more: Any) -> Result:
    return Result(
        validity="questionable",
        reason="not_commissioned",
        specimen=SPECIMEN,
        test=test,
        value=Decimal(value),
        text=value,
        unit=unit,
        status="questionable",
        identity=f"{test}-{value}",
        vendor=Vendor(test, value),
        **{"device": "labo", "driver": "astm/1", "at": "2026-11-25T10:00:00.000Z", "completed": "20261125095900"}
        | more,
    )


class Bench(Ward):
    """A box with an analyzer, whose agent has run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.change(DEVICES)

    def change(self, devices: str) -> None:
        self.write_config('ack_key = "pki/ack.key"')
        self.config.write_text(self.config.read_text(encoding="utf-8") + devices, encoding="utf-8")
        os.utime(self.config, (0, 0))

    def measure(self, *results: AnyObservation) -> None:
        """One run of the agent."""

        async def work() -> None:
            spool: Spool = self.opened()
            await spool.put(results)
            await spool.close()

        asyncio.run(work())

    @property
    def proof(self) -> Path:
        return proof_path(self.spool, "labo")

    def is_commissioned(self, device: str = "labo") -> bool:
        """What an agent that starts now thinks of it."""
        config = load(self.config)
        chosen = next(each for each in config.device if each.name == device)
        proofs = Proofs(self.spool, self.secret, Journal(StringIO()))
        return proofs.add(device, resolved_profile(chosen), chosen.options)()


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Where no language is asked for, whatever the machine's is."""
    monkeypatch.setenv("LC_ALL", "C")
    yield
    language.choose("en")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.measure(*(result(*each) for each in RESULTS))
    return made


def commission(bench: Bench, capsys: Any, *more: str, shown: tuple[str, ...] = SHOWN) -> tuple[int, str, str]:
    words = [word for each in shown for word in ("--shown", each)]
    return said(capsys, "device", "commission", "labo", "--config", str(bench.config), *words, *more)


BY = ("--by", "A. Naciri")


# -- it works --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "shown", "words"),
    [
        ("en", SHOWN, ("WBC: the same", "labo is commissioned", "from the next one on")),
        ("fr", FRENCH, ("WBC : identique", "labo est mis en service", "à partir du prochain")),
    ],
)
def test_three_results_that_are_the_same(
    bench: Bench, capsys: Any, lang: str, shown: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert not bench.is_commissioned()
    code, out, err = commission(bench, capsys, *BY, "--lang", lang, shown=shown)
    assert (code, err) == (0, "")
    assert all(word in out for word in words)
    assert str(bench.proof) in out
    assert bench.is_commissioned()
    assert SPECIMEN not in out + bench.proof.read_text(encoding="utf-8")


def test_the_proof_says_who_when_and_what(bench: Bench, capsys: Any) -> None:
    code, out, _ = commission(bench, capsys, *BY, "--json")
    told = json.loads(out)
    assert (code, told["commissioned"], told["file"]) == (0, True, str(bench.proof))
    proof = json.loads(bench.proof.read_bytes())["proof"]
    assert proof == told["proof"]
    assert (proof["device"], proof["by"], proof["basis"]["driver"]) == ("labo", "A. Naciri", "astm/1")
    assert proof["basis"]["profile"] == "sysmex_xp"
    assert proof["at"].startswith("20")
    assert proof["clock"]["quality"]
    assert [each["test"] for each in proof["comparisons"]] == ["WBC", "RBC", "HGB"]
    assert proof["comparisons"][1]["box"] == {"value": "4.310", "unit": "10*6/uL"}


@pytest.mark.parametrize(("lang", "question", "name"), [("en", "received", "Your name"), ("fr", "reçu", "Votre nom")])
def test_asked_one_by_one(
    bench: Bench, capsys: Any, monkeypatch: pytest.MonkeyPatch, lang: str, question: str, name: str
) -> None:
    """The box does not say what it reads before a person has typed what is shown; what is unclear is asked again."""
    typed = "7 2\n7.2 10^3/uL\n4.31 10^6/uL\n\n13.5 g/dL\n\nA. Naciri\n"
    monkeypatch.setattr(sys, "stdin", StringIO(typed))
    code, out, err = commission(bench, capsys, "--lang", lang, shown=())
    assert code == 0
    assert err.count(question) == 5
    assert err.count(name) == 2
    assert not [value for _test, value, _unit in RESULTS if value in err.replace("7 2", "")]
    assert SPECIMEN not in err + out
    assert bench.is_commissioned()


def test_the_list(bench: Bench, capsys: Any) -> None:
    words = ("device", "list", "--config", str(bench.config))
    code, out, _ = said(capsys, *words)
    assert code == 0
    assert "nobody has compared its results" in out
    assert "gives no laboratory results" in out
    commission(bench, capsys, *BY)
    assert "par A. Naciri" in said(capsys, *words, "--lang", "fr")[1]
    labo, vent = json.loads(said(capsys, *words, "--json")[1])
    assert (labo["commissioned"], labo["by"], vent["commissioned"]) == (True, "A. Naciri", None)
    bench.proof.write_bytes(bench.proof.read_bytes().replace(b"Naciri", b"Narici"))
    labo, _vent = json.loads(said(capsys, *words, "--json")[1])
    assert (labo["commissioned"], labo["why"]) == (False, "ProofNotOurs")


def test_the_list_of_a_box_that_never_ran(tmp_path: Path, capsys: Any) -> None:
    bench = Bench(tmp_path)
    code, out, _ = said(capsys, "device", "list", "--config", str(bench.config))
    assert code == 0
    assert "nobody has compared" in out
    assert not bench.spool.exists()


# -- it does not, and nothing is stored ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", ("WBC: the box reads 7.2 10*3/uL, the display shows 72 10^3/uL: the scale is wrong", "nothing was")),
        ("fr", ("WBC : le boîtier lit 7,2 10*3/uL, l'écran montre 72 10^3/uL : l'échelle est fausse", "1 sur 3")),
    ],
)
def test_a_wrong_scale(bench: Bench, capsys: Any, lang: str, words: tuple[str, ...]) -> None:
    before = tree(bench.folder)
    code, out, err = commission(bench, capsys, *BY, "--lang", lang, shown=("WBC=72 10^3/uL", *SHOWN[1:]))
    assert (code, out) == (1, "")
    assert all(word in err for word in words)
    assert tree(bench.folder) == before
    assert not bench.is_commissioned()


def test_a_wrong_one_keeps_the_proof_that_was_there(bench: Bench, capsys: Any) -> None:
    commission(bench, capsys, *BY)
    before = bench.proof.read_bytes()
    code, out, _ = commission(bench, capsys, *BY, "--json", shown=("WBC=7.2 %", *SHOWN[1:]))
    told = json.loads(out)
    assert (code, told["commissioned"], [each["kind"] for each in told["problems"]]) == (1, False, ["OtherUnit"])
    assert bench.proof.read_bytes() == before


WRONGLY = {
    "two": ((*BY,), SHOWN[:2], "given 2 times"),
    "no name": ((), SHOWN, "Who compared?"),
    "long name": (("--by", "x" * 65), SHOWN, "Who compared?"),
    "escape in a name": (("--by", "a\x1b[2J"), SHOWN, "Who compared?"),
    "no test": ((*BY,), ("7.2", *SHOWN[1:]), "write TEST=VALUE UNIT"),
    "unknown test": ((*BY,), ("XYZ=1", *SHOWN[1:]), "There are: PLT, HGB, RBC, WBC"),
    "the same one twice": ((*BY,), (SHOWN[0], *SHOWN[:2]), "no (further) result WBC"),
    "a comma": ((*BY,), FRENCH, "two ways"),
    "empty": ((*BY,), ("WBC=", *SHOWN[1:]), "type what the display shows"),
}


@pytest.mark.parametrize("case", WRONGLY)
def test_asked_wrongly(bench: Bench, capsys: Any, case: str) -> None:
    more, shown, words = WRONGLY[case]
    before = tree(bench.folder)
    code, out, err = commission(bench, capsys, *more, shown=shown)
    assert (code, out) == (2, "")
    assert words in err
    assert tree(bench.folder) == before


@pytest.mark.parametrize(("name", "words"), [("vent", "gives no laboratory results"), ("labp", "no device named")])
def test_another_device(bench: Bench, capsys: Any, name: str, words: str) -> None:
    code, _, err = said(capsys, "device", "commission", name, "--config", str(bench.config))
    assert code == 2
    assert words in err


@pytest.mark.parametrize(("lang", "words"), [("en", "Run a control"), ("fr", "Passez un contrôle")])
def test_too_few_results(tmp_path: Path, capsys: Any, lang: str, words: str) -> None:
    bench = Bench(tmp_path)
    code, _, err = commission(bench, capsys, *BY, "--lang", lang)
    assert (code, words.lower() in err.lower()) == (1, True)  # no spool at all
    bench.measure(result(*RESULTS[0]), result(*RESULTS[0]), result("HCT", "0", "%"))
    code, _, err = commission(bench, capsys, *BY, "--lang", lang)
    assert (code, words in err) == (1, True)
    assert "1 of the 3" in err or "1 sur les 3" in err
    assert not bench.proof.exists()


FOREIGN: dict[str, dict[str, Any]] = {
    "of another device": {"device": "other"},
    "of an older driver": {"driver": "astm/0"},
    "masked": {"value": None, "reason": "masked"},
}


@pytest.mark.parametrize("case", FOREIGN)
def test_results_that_prove_nothing(tmp_path: Path, capsys: Any, case: str) -> None:
    bench = Bench(tmp_path)
    bench.measure(*(stamp(result(*each), **FOREIGN[case]) for each in RESULTS))
    code, _, err = commission(bench, capsys, *BY)
    assert code == 1
    assert "0 of the 3" in err


def test_results_of_an_earlier_run_prove_nothing(bench: Bench, capsys: Any) -> None:
    """It may have read by another configuration."""
    bench.measure(result(*RESULTS[0]))
    code, _, err = commission(bench, capsys, *BY)
    assert code == 1
    assert "1 of the 3" in err


def test_a_configuration_that_the_agent_has_not_read(bench: Bench, capsys: Any) -> None:
    os.utime(bench.config)
    code, _, err = commission(bench, capsys, *BY)
    assert code == 1
    assert "was changed after the agent was started" in err


def test_options_that_change_after_it(bench: Bench, capsys: Any) -> None:
    commission(bench, capsys, *BY)
    bench.change(DEVICES.replace('port = "tcp-listen', 'options = { decimal_comma = true }\nport = "tcp-listen'))
    assert not bench.is_commissioned()
    assert "its options, or what its profile says" in said(capsys, "device", "list", "--config", str(bench.config))[1]
    bench.change(DEVICES.replace('port = "tcp-listen', 'place = "labo/2"\nport = "tcp-listen'))
    assert bench.is_commissioned()


def test_a_full_disk(bench: Bench, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(commissioning, "_write_all", full)
    code, out, err = commission(bench, capsys, *BY, "--lang", "fr")
    assert (code, out) == (1, "")
    assert "Rien n'a été enregistré" in err
    assert not list(bench.proof.parent.iterdir())


def test_input_that_ends(bench: Bench, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(bench.folder)
    for typed in ("", "7.2 10^3/uL\n4.31 10^6/uL\n", "7.2 10^3/uL\n4.31 10^6/uL\n13.5 g/dL\n"):
        monkeypatch.setattr(sys, "stdin", StringIO(typed))
        code, _, err = commission(bench, capsys, shown=())
        assert code == 1
        assert "Nothing was stored" in err
    assert tree(bench.folder) == before


class _Interrupted:
    """A person who answers once and then wants no more."""

    def __init__(self) -> None:
        self._lines = ["7.2 10^3/uL\n"]

    def readline(self) -> str:
        if not self._lines:
            raise KeyboardInterrupt
        return self._lines.pop()


def test_ctrl_c(bench: Bench, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(bench.folder)
    monkeypatch.setattr(sys, "stdin", _Interrupted())
    code, _, err = commission(bench, capsys, shown=())
    assert code == 130
    assert "Nothing was stored." in err
    assert tree(bench.folder) == before


def test_a_device_cannot_write_on_the_terminal(bench: Bench, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "W\x1b[2JC"
    bench.measure(*(result(*each, completed="\x1b[31m") for each in ((evil, "7.2", "g/dL"), *RESULTS[1:3])))
    monkeypatch.setattr(sys, "stdin", StringIO("72 g/dL\n1 10^6/uL\n1 g/dL\n"))
    _, out, err = commission(bench, capsys, shown=())
    assert "W·[2JC" in err
    assert "\x1b" not in out + err
    assert "\x1b" not in commission(bench, capsys, *BY, shown=("XYZ=1", *SHOWN[1:]))[2]


@pytest.mark.parametrize("wait", ["nan", "-5", "0"])
def test_no_wait(tmp_path: Path, capsys: Any, wait: str) -> None:
    bench = Bench(tmp_path)
    bench.measure(result(*RESULTS[0]))
    assert commission(bench, capsys, *BY, f"--wait={wait}")[0] == 1


@pytest.mark.parametrize("is_terminal", [True, False])
def test_waiting_for_results(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool
) -> None:
    bench = Bench(tmp_path)
    bench.measure(result(*RESULTS[0]))
    monkeypatch.setattr("provisioning.commands.device.LOOK_S", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        bench.measure(*(result(*each) for each in RESULTS))

    monkeypatch.setattr("provisioning.commands.device.time.sleep", sleep)
    code, _, err = commission(bench, capsys, *BY, "--wait", "600")
    assert code == 0
    assert ("results: 1 of 3" in err) is is_terminal
    assert len(slept) == 1


def test_a_secret_that_does_not_fit(bench: Bench, capsys: Any) -> None:
    secret = bench.folder / "spool.secret"
    secret.chmod(0o600)
    secret.write_text("ab" * 32, encoding="ascii")
    secret.chmod(0o400)
    code, _, err = commission(bench, capsys, *BY)
    assert code == 1
    assert "does not open the spool" in err


def test_a_clock_that_is_not_set_is_told(bench: Bench, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for quality, is_told in ((None, True), (12, False)):

        def sync(found: int | None = quality) -> int | None:
            return found

        def clock(memory: Path, source: Source = Source(sync=sync)) -> Clock:  # noqa: B008
            return Clock(memory, source)

        monkeypatch.setattr("provisioning.commands.device.Clock", clock)
        out = commission(bench, capsys, *BY, "--lang", "fr", shown=FRENCH)[1]
        assert ("L'horloge du boîtier n'est pas réglée" in out) is is_told
