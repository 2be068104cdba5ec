"""UDP ports: datagrams to and from one device; of others on the same socket nothing is seen."""

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections import deque

from drivers.observation import SourceAuth
from gateway.ports.port import HostUnknown, PortLost, PortUnusable, translate

LARGEST_BYTES = 65_535
WAITING = 256
"""Datagrams kept for a device task that is busy; a device says at most some twenty a second."""
WAITING_BYTES = 512 * 1024
"""And in all: whoever sends the largest there are must not take the box's memory, a device's 256 are far less."""
AT_ONCE = 64
"""Taken from the socket before others have a turn."""


class _Inbox:
    """What has come from one address and was not read yet."""

    def __init__(self) -> None:
        self.datagrams: deque[bytes] = deque()
        self.came = asyncio.Event()
        self.is_flooded = False
        self._size = 0

    def put(self, data: bytes) -> None:
        if len(self.datagrams) < WAITING and self._size + len(data) <= WAITING_BYTES:
            self.datagrams.append(data)
            self._size += len(data)
        else:
            self.is_flooded = True
        self.came.set()

    def take(self) -> bytes:
        data = self.datagrams.popleft()
        self._size -= len(data)
        return data


class _Socket:
    """One bound socket; what arrives is sorted by the address it comes from."""

    def __init__(self, family: int, local: int) -> None:
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind(("::" if family == socket.AF_INET6 else "", local))
        except OSError:
            self._socket.close()
            raise
        self.inboxes: dict[str, _Inbox] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._readable)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    async def send(self, data: bytes, where: tuple[str, int]) -> None:
        await self._loop.sock_sendto(self._socket, data, where)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        for _turn in range(AT_ONCE):
            try:
                data, (address, *_more) = self._socket.recvfrom(LARGEST_BYTES)
            except OSError:  # nothing more; or the answer of a network to what was sent: silence says it as well
                return
            inbox = self.inboxes.get(address)
            if inbox is not None and data:
                inbox.put(data)


class UdpSockets:
    """The sockets of one box: devices that are heard on the same local port share one."""

    def __init__(self) -> None:
        self._shared: dict[tuple[int, int], _Socket] = {}

    def join(self, family: int, local: int, address: str) -> tuple[_Socket, _Inbox]:
        """A socket that hears `address` on the port `local`, 0 for any. Raises `OSError`; EBUSY if it is heard."""
        shared = self._shared.get((family, local)) if local else None
        if shared is None:
            shared = _Socket(family, local)
            if local:
                self._shared[family, local] = shared
        if address in shared.inboxes:
            raise OSError(errno.EBUSY, "heard already")
        inbox = shared.inboxes[address] = _Inbox()
        return shared, inbox

    def leave(self, shared: _Socket, address: str) -> None:
        """No longer hear `address`; the last one closes the socket."""
        shared.inboxes.pop(address, None)
        if not shared.inboxes:
            shared.close()
            self._shared = {key: one for key, one in self._shared.items() if one is not shared}


def _is_of_many(address: str) -> bool:
    found = ipaddress.ip_address(address)
    return found.is_multicast or found.is_unspecified


class UdpPort:
    """Sends to one port of a device and hears what comes from its address, each `read()` one datagram.

    `local` is the port the box listens on, 0 for any: some devices answer, or send unasked, to a fixed one.
    """

    source_auth: SourceAuth = "network_unauthenticated"

    def __init__(self, host: str, port: int, local: int = 0, sockets: UdpSockets | None = None) -> None:
        self.name = f"udp:{host}:{port}" + (f":{local}" if local else "")
        self._host, self._port, self._local = host, port, local
        self._sockets = sockets or UdpSockets()
        self._address = ""
        self._socket: _Socket | None = None
        self._inbox = _Inbox()

    @property
    def local(self) -> int:
        """The port the box listens on while it is open."""
        return self._socket.port if self._socket else self._local

    async def open(self) -> None:
        """Listen; nothing is sent. Raises `HostUnknown`, `PortBusy`, `PortForbidden`, `PortUnusable`."""
        await self.close()
        loop = asyncio.get_running_loop()
        try:
            (family, *_kind, address), *_others = await loop.getaddrinfo(
                self._host, self._port, type=socket.SOCK_DGRAM
            )
            self._address = str(address[0])
            if _is_of_many(self._address):  # law 3: a datagram would reach devices that no person has named
                raise PortUnusable(port=self.name, detail="many devices, or none")
            self._socket, self._inbox = self._sockets.join(family, self._local, self._address)
        except socket.gaierror as error:
            raise HostUnknown(port=self.name) from error
        except OSError as error:
            raise translate(error, self.name, PortUnusable) from error

    async def read(self) -> bytes:
        """The next datagram. Raises `PortLost` when more came than could be kept: some are missing then."""
        if self._socket is None:
            raise PortLost(port=self.name, detail="closed")
        while not self._inbox.datagrams:
            self._inbox.came.clear()
            await self._inbox.came.wait()
        if self._inbox.is_flooded:
            raise PortLost(port=self.name, detail="more datagrams than can be read")
        return self._inbox.take()

    async def write(self, data: bytes) -> None:
        """`data` as one datagram; whether it arrives only an answer tells."""
        if self._socket is None:
            raise PortLost(port=self.name, detail="closed")
        try:
            await self._socket.send(data, (self._address, self._port))
        except OSError as error:
            raise translate(error, self.name) from error

    async def close(self) -> None:
        """Listen no longer."""
        shared, self._socket = self._socket, None
        if shared is not None:
            with contextlib.suppress(OSError):
                self._sockets.leave(shared, self._address)

    async def release(self) -> None:
        """The same as `close()`."""
        await self.close()
