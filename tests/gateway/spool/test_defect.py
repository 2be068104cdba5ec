"""A defect in the writer itself: nobody waits for ever, nothing is called stored, and the error is not hidden."""

import asyncio
from pathlib import Path

import pytest

from drivers.observation import Device
from gateway.spool.disk import CommitRefused
from gateway.spool.spool import Spool


def test_a_defect_in_the_worker_is_told_to_whoever_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Device(connection="connected", validity="valid")

    async def go() -> None:
        spool = Spool.open(tmp_path)
        problems: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))

        def broken(*_: object) -> None:
            raise KeyError("defect")

        with monkeypatch.context() as patch:
            patch.setattr("gateway.spool.committer.frames_of", broken)
            async with asyncio.timeout(5):
                with pytest.raises(CommitRefused, match="KeyError"):
                    await spool.put((seen,))
        await spool.put((seen,))
        assert spool.committed["event"] == 1
        await spool.close()

    asyncio.run(go())
