"""Commissioning: whose proof holds, what is refused and how it is said, and what the agent does with results."""

import ast
import asyncio
import errno
import json
import os
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import msgspec
import pytest

from drivers import catalog
from drivers.contract import Output
from drivers.observation import AnyObservation, ClockTrust, Result, Vendor
from drivers.profile import Metric, Profile
from gateway import language
from gateway.clock import Clock
from gateway.commissioning import (
    Basis,
    Comparison,
    NotCommissioned,
    OptionsChanged,
    Proof,
    ProofDamaged,
    ProofNotOurs,
    ProofNotStored,
    ProofOfAnother,
    ProofOutdated,
    Proofs,
    ProofUnreadable,
    Side,
    basis_of,
    doubted,
    is_laboratory,
    never,
    proof_path,
    public_key,
    read_proof,
    sign,
    store,
)
from gateway.device import Setup, StreamDevice
from gateway.journal import Journal
from gateway.ports.gate import GatedPort, SendGate
from tests.gates.sources import ROOT
from tests.gateway.test_device import SEEN, Port, Script, Sink, profile

SECRET = bytes(range(32))
BASIS = Basis("astm/1", "erba_xl", "ab" * 32)
SAME = Comparison("GLU", Side("5.4", unit="mmol/L"), Side("5.4", unit="mmol/L"))


def proof(**changed: Any) -> Proof:
    made = Proof(
        device="labo",
        gateway="gw-1",
        basis=BASIS,
        comparisons=(SAME, SAME, SAME),
        by="A. Naciri",
        at="2026-11-25T10:00:00.000Z",
        clock=ClockTrust("ntp", 12),
        software="jisr 0.1.0",
    )
    return msgspec.structs.replace(made, **changed)


def result(validity: str = "valid", reason: str = "", status: str = "final", number: int = 1) -> Result:
    return Result(
        validity=validity,  # type: ignore[arg-type]
        reason=reason,
        specimen="S-4711",
        test="GLU",
        value=Decimal("5.40"),
        unit="mmol/L",
        status=status,  # type: ignore[arg-type]
        identity=f"glu-{number}",
        vendor=Vendor("GLU", "5.40"),
    )


def reread(path: Path, *, device: str = "labo", basis: Basis = BASIS, secret: bytes = SECRET) -> Proof:
    return read_proof(path, device, basis, public_key(secret))


@pytest.fixture(autouse=True)
def english() -> Any:
    language.choose("en")
    yield
    language.choose("en")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return proof_path(tmp_path / "spool", "labo")


# -- the proof -------------------------------------------------------------------------------------------------------


def test_a_proof_comes_back_as_it_was_stored(path: Path) -> None:
    store(path, sign(proof(), SECRET), "labo")
    assert reread(path) == proof()
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in path.parent.iterdir()] == ["labo.json"]


def test_the_agents_account_can_read_it_whatever_the_umask(path: Path) -> None:
    before = os.umask(0o077)
    try:
        store(path, sign(proof(), SECRET), "labo")
    finally:
        os.umask(before)
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o755, 0o644)


def test_blanks_do_not_matter(path: Path) -> None:
    store(path, msgspec.json.format(sign(proof(), SECRET), indent=-1), "labo")
    assert reread(path) == proof()


def test_a_later_version_may_say_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Longer(Proof, frozen=True):
        more: str = "of a later version"

    store(path, sign(Longer(**{name: getattr(proof(), name) for name in Proof.__struct_fields__}), SECRET), "labo")
    assert reread(path).by == "A. Naciri"


EDITS: dict[str, tuple[bytes, bytes]] = {
    "name": (b"A. Naciri", b"B. Naciri"),
    "device": (b'"labo"', b'"lab2"'),
    "value": (b'"5.4"', b'"54"'),
    "profile": (b"erba_xl", b"sysmex_xp"),
    "options": (b"abab", b"abac"),
    "time": (b"2026-11-25", b"2025-11-25"),
    "clock": (b'"ntp"', b'"signed"'),
    "added": (b'"version": 1', b'"version": 1, "more": 1'),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_proof_is_not_believed(path: Path, edit: str) -> None:
    was, now = EDITS[edit]
    data = sign(proof(), SECRET)
    assert was in data
    store(path, data.replace(was, now), "labo")
    with pytest.raises(ProofNotOurs):
        reread(path)


def test_an_own_key_in_the_file_does_not_help(path: Path) -> None:
    """Whoever signs with a key of his own and writes it in is not believed: the key is the box's."""
    other = sign(proof(), bytes(32))
    assert public_key(bytes(32)).hex().encode() in other
    store(path, other, "labo")
    with pytest.raises(ProofNotOurs):
        reread(path)


REFUSED: dict[str, tuple[Proof, type[NotCommissioned]]] = {
    "another device": (proof(device="labo-2"), ProofOfAnother),
    "older driver": (proof(basis=Basis("astm/0", "erba_xl", BASIS.options)), ProofOutdated),
    "another profile": (proof(basis=Basis("astm/1", "sysmex_xp", BASIS.options)), ProofOutdated),
    "other options": (proof(basis=Basis("astm/1", "erba_xl", "cd" * 32)), OptionsChanged),
    "two comparisons": (proof(comparisons=(SAME, SAME)), ProofDamaged),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_proof_of_something_else_is_refused(path: Path, case: str) -> None:
    signed, kind = REFUSED[case]
    store(path, sign(signed, SECRET), "labo")
    with pytest.raises(NotCommissioned) as raised:
        reread(path)
    assert type(raised.value) is kind


def test_a_proof_cut_anywhere_is_damaged_and_never_a_traceback(path: Path) -> None:
    whole = sign(proof(), SECRET)
    path.parent.mkdir()
    for end in range(len(whole) - 2):
        path.write_bytes(whole[:end])
        with pytest.raises(ProofDamaged):
            reread(path)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"null",
        b"[]",
        b'{"proof":{},"key":"","signature":"zz"}',
        b"[" * 60_000,
        b'{"proof":' + b"[" * 60_000,
        bytes(70_000),
    ],
)
def test_another_file_in_its_place(path: Path, data: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(data)
    with pytest.raises(NotCommissioned):
        reread(path)


def test_nothing_there_and_nothing_readable(path: Path) -> None:
    with pytest.raises(NotCommissioned) as raised:
        reread(path)
    assert type(raised.value) is NotCommissioned
    path.mkdir(parents=True)
    with pytest.raises(ProofUnreadable):
        reread(path)


# -- storing ---------------------------------------------------------------------------------------------------------


def _fails(number: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(("call", "number"), [("write", errno.ENOSPC), ("fsync", errno.EIO), ("open", errno.EROFS)])
def test_a_disk_that_refuses_leaves_the_old_proof(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    store(path, sign(proof(), SECRET), "labo")
    with monkeypatch.context() as broken:
        broken.setattr(os, call, _fails(number))
        with pytest.raises(ProofNotStored) as raised:
            store(path, sign(proof(by="B"), SECRET), "labo")
    assert os.strerror(number) in raised.value.text()
    language.choose("fr")
    assert "Rien n'a été enregistré" in raised.value.text()
    assert os.strerror(number) not in raised.value.text()
    assert reread(path).by == "A. Naciri"
    assert [each.name for each in path.parent.iterdir()] == ["labo.json"]


def test_ctrl_c_in_the_middle_leaves_nothing_half_done(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_fd: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store(path, sign(proof(), SECRET), "labo")
    assert not list(path.parent.iterdir())


def test_on_the_medium_before_it_has_its_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def flushed(fd: int) -> None:
        order.append("fsync")
        fsync(fd)

    def renamed(self: Path, to: Path) -> Path:
        order.append("rename")
        return rename(self, to)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "rename", renamed)
    store(path, sign(proof(), SECRET), "labo")
    assert order == ["fsync", "rename", "fsync", "fsync"]


# -- what it holds for -----------------------------------------------------------------------------------------------


def test_what_is_read_otherwise_has_another_basis() -> None:
    plain = catalog.profile("astm", "sysmex_xp")
    first = basis_of(plain, {})
    assert first == basis_of(plain, {"decimal_comma": False})  # what the driver does anyway
    assert first != basis_of(plain, {"decimal_comma": True})
    scaled = tuple(msgspec.structs.replace(row, extra={"scale": "0.1"}) for row in plain.metric)
    assert first != basis_of(msgspec.structs.replace(plain, metric=scaled), {})
    worded = tuple(msgspec.structs.replace(row, fr="autrement") for row in plain.metric)
    assert first == basis_of(msgspec.structs.replace(plain, metric=worded), {})


def test_an_option_that_a_later_version_has_changes_nothing_while_it_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Before(msgspec.Struct):
        comma: bool = False

    class After(Before):
        masks: dict[str, str] = {}
        model: Literal["", "a"] = ""

    chosen, found = profile(), []
    for options in (Before, After):
        monkeypatch.setattr(catalog, "driver_class", lambda _name, kind=options: SimpleNamespace(Options=kind))
        found.append(basis_of(chosen, {"comma": True}))
    assert found[0] == found[1]
    assert basis_of(chosen, {"comma": True, "model": "a"}) != found[1]


@pytest.mark.parametrize("driver", catalog.DRIVERS)
def test_every_driver_has_a_basis_and_is_a_laboratory_where_it_makes_results(driver: str) -> None:
    sources = (ROOT / "drivers" / driver).glob("*.py")
    imports = [
        alias.name
        for source in sources
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "drivers.observation"
        for alias in node.names
    ]
    for each in catalog.profiles(driver).values():
        assert is_laboratory(each) == ("Result" in imports), each.name
        assert len(basis_of(each, {"unit": 1} if driver == "registers" else {}).options) == 64


def test_a_map_with_numbered_words_has_a_basis() -> None:
    row = Metric(code="1", unit="1", extra={"scale": Decimal("0.1"), "words": {1: "on"}})
    own = msgspec.structs.replace(catalog.profile("registers", "dse_73xx"), metric=(row,))
    assert basis_of(own, {"unit": 1}) == basis_of(own, {"unit": 1})


# -- the agent -------------------------------------------------------------------------------------------------------

MARKED = [
    (result(), "questionable", "not_commissioned", "questionable"),
    (result("overflow", "out_of_range_high"), "questionable", "not_commissioned", "questionable"),
    (result(status="preliminary"), "questionable", "not_commissioned", "preliminary"),
    (result("questionable", "line_noise", "questionable"), "questionable", "line_noise", "questionable"),
    (result("not_available", "masked"), "not_available", "masked", "final"),
    (result("invalid", "x"), "invalid", "x", "final"),
]


@pytest.mark.parametrize(("seen", "validity", "reason", "status"), MARKED)
def test_what_a_result_becomes(seen: Result, validity: str, reason: str, status: str) -> None:
    (marked,) = doubted((seen,), never)
    assert isinstance(marked, Result)
    assert (marked.validity, marked.reason, marked.status) == (validity, reason, status)
    assert (marked.value, marked.unit, marked.vendor, marked.identity) == (
        seen.value,
        seen.unit,
        seen.vendor,
        seen.identity,
    )
    assert doubted((seen,), lambda: True) == (seen,)


def test_nothing_but_results_is_marked_or_asked_about() -> None:
    def must_not_be_asked() -> bool:
        raise AssertionError

    assert doubted((SEEN,), must_not_be_asked) == (SEEN,)
    assert doubted((SEEN, result()), never)[0] == SEEN


def played(monkeypatch: pytest.MonkeyPatch, setup: Callable[[Profile], Setup]) -> list[AnyObservation]:
    """What a device task commits of one result."""
    script = Script({b"frame": Output(observations=(result(),), frames=1)})
    monkeypatch.setattr(catalog, "create", lambda *_: script)
    chosen = profile()
    sink = Sink([])

    async def go() -> None:
        port = GatedPort(Port([b"frame"], []), SendGate(chosen.allowed, 100, may_send=True))  # type: ignore[arg-type]
        device = StreamDevice(setup(chosen), port, sink, Clock(), Journal(StringIO()))
        task = asyncio.create_task(device.run())
        while not sink.kept:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())
    return sink.kept


def test_a_device_task_marks_before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    (seen, *_) = played(monkeypatch, lambda chosen: Setup("labo", chosen, {}))
    assert (seen.validity, seen.reason, seen.device) == ("questionable", "not_commissioned", "labo")
    (seen, *_) = played(monkeypatch, lambda chosen: Setup("labo", chosen, {}, is_commissioned=lambda: True))
    assert (seen.validity, seen.reason) == ("valid", "")


def test_a_simulated_device_is_not_exempt(monkeypatch: pytest.MonkeyPatch) -> None:
    (seen, *_) = played(monkeypatch, lambda chosen: Setup("labo", chosen, {}, mode="test"))
    assert (seen.mode, seen.validity) == ("test", "questionable")


def test_a_proof_that_comes_changes_or_goes_counts_at_once(tmp_path: Path) -> None:
    spool, chosen = tmp_path / "spool", catalog.profile("astm", "erba_xl")
    path, said = proof_path(spool, "labo"), StringIO()
    good = sign(proof(basis=basis_of(chosen, {})), SECRET)
    is_commissioned = Proofs(spool, SECRET, Journal(said)).add("labo", chosen, {})
    assert not is_commissioned()
    store(path, good, "labo")
    assert is_commissioned()
    assert is_commissioned()
    store(path, good.replace(b"Naciri", b"Narici"), "labo")
    assert not is_commissioned()
    assert not is_commissioned()
    store(path, good, "labo")
    assert is_commissioned()
    path.unlink()
    assert not is_commissioned()
    events = [json.loads(line) for line in said.getvalue().splitlines()]
    assert [event.get("kind", event["event"]) for event in events] == [
        "not_commissioned",
        "commissioned",
        "ProofNotOurs",
        "settled",
        "commissioned",
        "not_commissioned",
    ]


def test_a_refused_proof_is_said_once_at_the_start_in_french(tmp_path: Path) -> None:
    language.choose("fr")
    spool, chosen, said = tmp_path / "spool", catalog.profile("astm", "erba_xl"), StringIO()
    old = proof(basis=Basis("astm/0", "erba_xl", basis_of(chosen, {}).options))
    store(proof_path(spool, "labo"), sign(old, SECRET), "labo")
    is_commissioned = Proofs(spool, SECRET, Journal(said)).add("labo", chosen, {})
    for _ in range(3):
        assert not is_commissioned()
    (line,) = said.getvalue().splitlines()
    assert "ont été comparés en tant que astm/0 erba_xl" in json.loads(line)["sentence"]
    assert "Naciri" not in line


def test_a_device_that_is_no_laboratory_says_nothing(tmp_path: Path) -> None:
    said = StringIO()
    Proofs(tmp_path / "spool", SECRET, Journal(said)).add("vent", catalog.profile("draeger_medibus", "evita_4"), {})
    assert not said.getvalue()
