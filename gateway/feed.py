"""The feed: what the agent shows to people on the same machine, over a Unix socket; it takes no orders.

A client sends one JSON line, `{"want":["observation","status","bytes"],"device":"name or empty"}`, and gets JSON
lines back: `{"observation":{…}}` after a commit, `{"status":{…}}` each second, `{"bytes":{…}}` as they pass.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from drivers.observation import AnyObservation, Lane, stamp
from gateway.errors import JisrError
from gateway.language import N_

CLIENTS = 16
BACKLOG_BYTES = 1 << 20
"""A client that does not read loses lines beyond this; the agent never waits for one."""
REQUEST_BYTES = 4096
STATUS_S = 1.0
CLOSE_S = 1.0
"""A client that does not take its last bytes is not waited for longer."""

_ENCODER = msgspec.json.Encoder(decimal_format="number")
Kind = Literal["observation", "status", "bytes"]


class Want(Struct, frozen=True):
    """What a client asked for; an empty device means all."""

    want: tuple[Kind, ...] = ("observation",)
    device: str = ""


class FeedUnusable(JisrError):
    """The socket cannot be made."""

    sentence = N_(
        "socket = {path}: cannot be made ({detail}). The devices are read all the same; "
        "jisr watch and jisr record will find nothing."
    )


class Feed:
    """The server side. `status` is asked each second while a client wants it."""

    def __init__(self, path: Path, status: Callable[[], Struct], gateway: str, mono: Callable[[], float]) -> None:
        self._path, self._status, self._gateway, self._mono = path, status, gateway, mono
        self._clients: dict[asyncio.StreamWriter, Want] = {}
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen; only this account can connect. Raises `FeedUnusable`."""
        try:
            self._path.parent.mkdir(exist_ok=True)  # /run is empty after each start of the machine
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise FeedUnusable(path=self._path, detail=error.strerror) from error
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=REQUEST_BYTES)
        except OSError as error:
            raise FeedUnusable(path=self._path, detail=error.strerror) from error
        finally:
            os.umask(before)

    async def run(self) -> None:
        """Show the status each second to those who want it."""
        while True:
            await asyncio.sleep(STATUS_S)
            if any("status" in want.want for want in self._clients.values()):
                self._show("status", "", {"status": self._status()})

    async def close(self) -> None:
        """Send nothing more and leave no socket file."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for writer in self._serving.values():
            writer.close()
        if self._serving:  # one that is still cancelled later makes asyncio write a traceback (3.11)
            await asyncio.wait(self._serving, timeout=CLOSE_S)

    def committed(self, lane: Lane, epoch: int, first: int, observations: tuple[AnyObservation, ...]) -> None:
        """The spool has these on disk."""
        if not any("observation" in want.want for want in self._clients.values()):
            return
        for seq, seen in enumerate(observations, first):
            whole = stamp(seen, gateway=self._gateway, epoch=epoch, lane=lane, seq=seq)
            self._show("observation", seen.device, {"observation": whole})

    def raw(self, device: str, direction: Literal["rx", "tx"], data: bytes, **where: Any) -> None:
        """Raw bytes of one device's port; `where` names table and address of a register block."""
        if any("bytes" in want.want for want in self._clients.values()):
            line = {"t": round(self._mono(), 6), "device": device, "dir": direction, "hex": data.hex(), **where}
            self._show("bytes", device, {"bytes": line})

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._attend(reader, writer))
        self._serving[task] = writer
        task.add_done_callback(self._serving.pop)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            want = msgspec.json.decode(await reader.readline(), type=Want)
        except (msgspec.DecodeError, ValueError, OSError):
            writer.close()
            return
        if len(self._clients) >= CLIENTS:
            writer.close()
            return
        self._clients[writer] = want
        with contextlib.suppress(OSError):
            while await reader.read(REQUEST_BYTES):  # a client has nothing more to say: wait for its end
                pass
        self._clients.pop(writer, None)
        writer.close()

    def _show(self, kind: Kind, device: str, message: dict[str, Any]) -> None:
        line = _ENCODER.encode(message) + b"\n"
        for writer, want in list(self._clients.items()):
            is_wanted = kind in want.want and want.device in ("", device)
            if is_wanted and writer.transport.get_write_buffer_size() < BACKLOG_BYTES:
                writer.write(line)
