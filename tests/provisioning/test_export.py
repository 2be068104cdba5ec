"""`jisr spool export`: what is written onto a stick, for whom, and what happens when it does not work."""

import asyncio
import json
import re
import shutil
import stat
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drivers.observation import LANES
from gateway.clock import Clock
from gateway.spool.reader import SpoolReader
from gateway.uplink.identity import TlsFiles
from gateway.uplink.wire import Encoding
from provisioning.command import main
from provisioning.courier import read_signer
from provisioning.export import Box, Export
from provisioning.stick import Stick
from simulators.central.lab_ca import SERVER, LabAuthority
from tests.gateway.spool.harness import run as loop
from tests.provisioning.ward import GATEWAY, SITE, SPECIMEN, Ward, said, spoil, tree

PKI = ("ca.pem", f"{GATEWAY}.pem", f"{GATEWAY}.key")
NAME = re.compile(rf"jisr-{GATEWAY}-[0-9a-f]{{16}}-\d{{6}}\.courier")


def segment(ward: Ward, lane: str) -> Path:
    return sorted((ward.spool / lane).glob("*.seg"))[0]


def test_the_round_trip(ward: Ward, capsys: Any) -> None:
    before = tree(ward.spool)
    assert ward.export() == 0
    out = capsys.readouterr().out
    assert "Observations: 30, 2026-11-25T10:00:00.000Z to 2026-11-25T10:00:04.000Z" in out
    assert all(NAME.fullmatch(path.name) for path in ward.files)
    assert ward.take() == 0
    assert f"{GATEWAY}, 30 observations, 30 of them new" in capsys.readouterr().out
    expected = [("event", 1, n) for n in range(1, 11)] + [("numeric", 1, n) for n in range(1, 21)]
    assert ward.rows() == expected
    assert ward.take() == 0
    assert "0 of them new" in capsys.readouterr().out
    assert ward.rows() == expected
    assert tree(ward.spool) == before


def test_nothing_on_the_stick_can_be_read(ward: Ward) -> None:
    ward.export()
    for path in ward.files:
        data = path.read_bytes()
        assert SPECIMEN.encode() not in data
        assert b'"kind"' not in data
        assert SPECIMEN not in path.name


def test_plain_only_when_it_is_said(ward: Ward, capsys: Any) -> None:
    words = ("spool", "export", str(ward.stick), "--config", str(ward.config))
    code, _, err = said(capsys, *words)
    assert (code, ward.files) == (2, [])
    assert "--plain" in err
    code, _, err = said(capsys, *words, "--plain", "--to", str(ward.courier.certificate))
    assert (code, ward.files) == (2, [])
    code, _, err = said(capsys, *words, "--plain")
    assert code == 0
    assert "Not encrypted" in err
    assert SPECIMEN.encode() in ward.files[0].read_bytes()
    assert stat.S_IMODE(ward.files[0].stat().st_mode) == 0o600
    assert ward.take() == 0
    assert "was not encrypted" in capsys.readouterr().out


def test_to_whom_nothing_is_encrypted(ward: Ward, capsys: Any) -> None:
    authority = ward.authority
    garbage = ward.folder / "garbage.pem"
    garbage.write_text("nothing")
    cases = {
        authority.gateway("gw-other").certificate: "not made for that",
        authority.consumer().certificate: "not made for that",
        authority.issue("web", "web", purposes=SERVER).certificate: "not made for that",
        authority.issue("ca2", "ca2", is_authority=True, agrees=True).certificate: "not made for that",
        authority.ca: "not made for that",
        LabAuthority(ward.folder / "other").courier().certificate: "not issued by the programme's CA",
        garbage: "not issued by the programme's CA",
    }
    for certificate, why in cases.items():
        words = ("spool", "export", str(ward.stick), "--config", str(ward.config), "--to", str(certificate))
        code, out, err = said(capsys, *words)
        assert (code, out, ward.files) == (2, "", [])
        assert why in err, certificate
    code, _, err = said(capsys, *words[:-1], str(ward.folder / "absent.pem"))
    assert (code, "absent.pem" in err) == (1, True)


def test_again_and_after_more_came(ward: Ward, capsys: Any) -> None:
    ward.export()
    first = ward.files
    capsys.readouterr()
    assert ward.export() == 0
    assert "30 observations were on it already" in capsys.readouterr().out
    assert ward.files == first
    ward.fill(commits=1)
    assert ward.export("--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["files"], told["observations"], told["skipped"]) == (1, 6, 30)
    assert ward.files[0] == first[0]
    assert ward.take() == 0
    assert len(ward.rows()) == 36


def test_what_lies_there_counts_only_if_it_is_whole_ours_and_for_the_same_reader(ward: Ward, capsys: Any) -> None:
    ward.export("--plain")
    assert ward.export("--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["observations"] == 30
    plain, sealed = ward.files
    spoil(sealed, 2000)
    assert ward.export("--json") == 0
    assert json.loads(capsys.readouterr().out)["observations"] == 30
    assert [path.name[-14:] for path in ward.files] == ["000001.courier", "000002.courier", "000003.courier"]
    assert plain.exists()


def test_an_export_that_was_interrupted_goes_on(ward: Ward, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr("provisioning.export.CONTENT_BYTES", 1500)
    monkeypatch.setattr("provisioning.export.JOINED_BYTES", 600)
    whole, left = Stick.write, iter(range(2))

    def cut(self: Stick, data: bytes, *, is_secret: bool) -> Path:
        if next(left, None) is None:
            (self.folder / f".{next(self.folder.glob('*.courier')).name}.part").write_bytes(data[:100])
            raise KeyboardInterrupt
        return whole(self, data, is_secret=is_secret)

    monkeypatch.setattr(Stick, "write", cut)
    assert ward.export() == 130
    assert len(ward.files) == 2
    monkeypatch.setattr(Stick, "write", whole)
    capsys.readouterr()
    assert ward.export("--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["observations"] + told["skipped"] == 30
    assert told["skipped"] > 0
    assert not list(ward.stick.glob(".*"))
    assert ward.take() == 0
    assert len(ward.rows()) == len(set(ward.rows())) == 30


def test_a_full_stick(ward: Ward, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr("provisioning.export.CONTENT_BYTES", 1500)
    monkeypatch.setattr("provisioning.export.JOINED_BYTES", 600)
    room = iter([1 << 30, 6000, 100])
    monkeypatch.setattr(
        Stick, "room", property(lambda _self: SimpleNamespace(free=next(room, 100), is_own_disk=False))
    )
    assert ward.export() == 1
    out = capsys.readouterr().out
    assert "is full" in out
    assert len(ward.files) == 1
    assert ward.take() == 0
    assert 0 < len(ward.rows()) < 30


def test_a_disk_that_refuses(ward: Ward, monkeypatch: Any, capsys: Any) -> None:
    def no_space(_fd: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("provisioning.stick.os.write", no_space)
        assert ward.export() == 1
    assert "is full" in capsys.readouterr().out
    assert not list(ward.stick.iterdir())
    code, _, err = said(
        capsys, "spool", "export", str(ward.folder / "unplugged"), "--config", str(ward.config), "--plain"
    )
    assert code == 2
    assert "Is the USB stick plugged in" in err


def test_the_boxs_own_disk_is_told_and_a_tenth_is_left(ward: Ward, monkeypatch: Any, capsys: Any) -> None:
    usage = shutil.disk_usage(ward.stick)
    monkeypatch.setattr(
        "provisioning.stick.shutil.disk_usage", lambda _path: usage._replace(free=usage.total // 10 + 10)
    )
    assert ward.export() == 1
    out, err = capsys.readouterr()
    assert "Is the stick mounted?" in err
    assert "is full" in out
    assert not ward.files


def test_lanes_and_since(ward: Ward, capsys: Any) -> None:
    async def acknowledge() -> None:
        spool = ward.opened()
        spool.acknowledge("numeric", 1, 8, ())
        await spool.close()

    loop(acknowledge())
    for words, count in (
        (("--lane", "numeric"), 12),
        (("--lane", "event", "--lane", "wave"), 10),
        (("--lane", "numeric", "--since", "all"), 20),
    ):
        capsys.readouterr()
        for path in ward.files:
            path.unlink()
        assert ward.export("--json", *words) == 0
        assert json.loads(capsys.readouterr().out)["observations"] == count


def test_what_cannot_be_read_is_counted_and_the_rest_is_carried(ward: Ward, capsys: Any) -> None:
    spoil(segment(ward, "numeric"), 250)
    assert ward.export() == 1
    assert "4 observations cannot be read and stay here" in capsys.readouterr().out
    assert ward.take() == 0
    assert len(ward.rows()) == 26


@pytest.mark.parametrize("encoding", ["json", "compact"])
def test_in_either_encoding(ward: Ward, encoding: Encoding) -> None:
    clock, files = Clock(), TlsFiles(*(str(ward.folder / "pki" / name) for name in PKI))
    signer = read_signer(files, GATEWAY, datetime.fromisoformat(clock.now().at))
    reader = SpoolReader(ward.spool, secret=ward.secret)
    stick = Stick(ward.stick, GATEWAY, reader.id, ward.spool)
    tally = Export(Box(GATEWAY, SITE, signer, None, encoding), reader, stick, clock.now).run(LANES, "released")
    assert tally.observations == 30
    assert (b'"kind"' in ward.files[0].read_bytes()) == (encoding == "json")
    assert ward.take() == 0
    assert len(ward.rows()) == 30


def test_while_the_agent_runs_nothing_of_its_spool_is_touched(ward: Ward, capsys: Any) -> None:
    async def work() -> None:
        spool = ward.opened()
        before = tree(ward.spool)
        assert await asyncio.to_thread(ward.export) == 0
        assert tree(ward.spool) == before
        code = await asyncio.to_thread(main, ["spool", "inspect", str(ward.spool), "--json"])
        assert code == 0
        assert tree(ward.spool) == before
        await spool.close()

    loop(work())
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["running"] is True


def test_the_clock_of_an_export_is_the_boxs(ward: Ward) -> None:
    assert ward.export() == 0
    head = ward.files[0].read_bytes()
    said_at = json.loads(head[12 : 12 + int.from_bytes(head[8:12], "big")])
    now = Clock().now()
    assert (said_at["at"][:10], said_at["clock"]) == (now.at[:10], now.trust.quality)
