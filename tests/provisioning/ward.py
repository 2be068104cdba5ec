"""A box with a configuration, an identity and a spool, and the platform's side of it."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from drivers.observation import AnyObservation, Result, Vendor, stamp
from gateway.spool.cipher import device_secret
from gateway.spool.spool import Spool
from provisioning.command import main
from simulators.central.lab_ca import LabAuthority
from simulators.central.store import Archive
from tests.gateway.spool.harness import alert, no_flush, numeric

GATEWAY, SITE = "gw-rabat-017", "chu-rabat"
SPECIMEN = "SPECIMEN-4711"
CONFIG = """\
[gateway]
id = "{gateway}"
site = "{site}"
language = "en"

[uplink]
broker = "mqtts://localhost:8883"
{ack}
tls = {{ ca = "pki/ca.pem", certificate = "pki/{gateway}.pem", key = "pki/{gateway}.key" }}

[spool]
path = "{folder}/spool"
"""


def result(number: int) -> Result:
    """What a laboratory analyzer says of somebody."""
    return Result(
        validity="valid",
        specimen=SPECIMEN,
        test="GLU",
        value=Decimal(number),
        status="final",
        identity=f"glu-{number}",
        vendor=Vendor("GLU", "5.4"),
    )


class Ward:
    """Everything under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = LabAuthority(folder / "pki")
        self.authority.gateway(GATEWAY)
        self.courier = self.authority.courier()
        self.ack_key = self.authority.ack_key()
        self.spool, self.config = folder / "spool", folder / "jisr.toml"
        self.store, self.stick = folder / "platform.sqlite", folder / "stick"
        self.stick.mkdir()
        self.write_config('ack_key = "pki/ack.key"')

    def write_config(self, ack: str) -> None:
        text = CONFIG.format(gateway=GATEWAY, site=SITE, folder=self.folder, ack=ack)
        self.config.write_text(text, encoding="utf-8")

    @property
    def secret(self) -> bytes:
        return device_secret(self.folder / "spool.secret")

    def opened(self, segment_bytes: int = 1 << 16) -> Spool:
        return Spool.open(self.spool, secret=self.secret, flush=no_flush, segment_bytes=segment_bytes)

    def fill(self, commits: int = 5, each: int = 4) -> None:
        """One epoch: results, alerts and numerics."""

        async def work() -> None:
            spool = self.opened()
            for number in range(commits):
                await spool.put(dated([result(number), alert(number), *map(numeric, range(each))], number))
                await spool.commit_now()
            await spool.close()

        asyncio.run(work())

    def export(self, *more: str) -> int:
        """`jisr spool export`, encrypted."""
        to = () if "--plain" in more else ("--to", str(self.courier.certificate))
        return main(["spool", "export", str(self.stick), "--config", str(self.config), *to, *more])

    def take(self, *more: str) -> int:
        """`jisr consume --import`, with the word."""
        words = ["--store", str(self.store), "--ca", str(self.authority.ca), "--key", str(self.courier.key)]
        word = ["--ack-key", str(self.ack_key), "--ack-out", str(self.stick / "word.ack")]
        return main(["consume", "--import", str(self.stick), *words, *word, *more])

    @property
    def files(self) -> list[Path]:
        return sorted(self.stick.glob("*.courier"))

    def rows(self) -> list[tuple[str, int, int]]:
        """Lane, epoch and number of each row at the platform."""
        archive = Archive(self.store)
        try:
            return archive._db.execute("SELECT lane,epoch,seq FROM observations ORDER BY 1,2,3").fetchall()
        finally:
            archive.close()


def dated(observations: Sequence[AnyObservation], second: int) -> list[AnyObservation]:
    """Received at that second."""
    at = f"2026-11-25T10:{second // 60:02d}:{second % 60:02d}.000Z"
    return [stamp(one, at=at) for one in observations]


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file under a folder, with its content and time of change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    try:
        code = main(list(words))
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def spoil(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x20
    path.write_bytes(data)
