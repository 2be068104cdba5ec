"""What a stream port is, and why one may fail: each operating-system error is translated here, once."""

import errno
from typing import Protocol

from drivers.observation import SourceAuth
from gateway.errors import JisrError
from gateway.language import N_


class PortError(JisrError):
    """A port cannot be used now; the device task says so once, backs off and tries again."""


class PortAbsent(PortError):
    """No such serial port."""

    sentence = N_("{port}: there is no such port. Check the cable, and the name under /dev/serial/by-path.")


class HostUnknown(PortError):
    """The name server does not know the device's name."""

    sentence = N_("{port}: this name is not known on the network. Check its spelling, or write the device's address.")


class PortUnusable(PortError):
    """It is there and cannot be opened for another reason."""

    sentence = N_(
        "{port}: the port cannot be opened ({detail}). Is it really the device's port, or this box's address?"
    )


class PortBusy(PortError):
    """Another process holds it."""

    sentence = N_("{port}: another program is using this port. Close it, or give this device another port.")


class PortForbidden(PortError):
    """This account may not open it."""

    sentence = N_("{port}: this account may not open the port. Add it to the group that owns it (often dialout).")


class SettingsRefused(PortError):
    """The hardware cannot do these line settings."""

    sentence = N_("{port}: this port cannot be set to {line}. Use another adapter, or other settings on the device.")


class PortSilent(PortError):
    """The other side does not take the connection."""

    sentence = N_(
        "{port}: the device does not take the connection ({detail}). Is it switched on and on this network?"
    )


class PortLost(PortError):
    """The connection was there and is gone."""

    sentence = N_("{port}: the connection to the device was lost ({detail}).")


_LEAVES: dict[int, type[PortError]] = {
    errno.ENOENT: PortAbsent,
    errno.ENODEV: PortAbsent,
    errno.ENXIO: PortAbsent,
    errno.EBUSY: PortBusy,
    errno.EAGAIN: PortBusy,
    errno.EADDRINUSE: PortBusy,
    errno.EACCES: PortForbidden,
    errno.EPERM: PortForbidden,
    errno.ECONNREFUSED: PortSilent,
    errno.EHOSTUNREACH: PortSilent,
    errno.ENETUNREACH: PortSilent,
    errno.ETIMEDOUT: PortSilent,
}


def translate(error: OSError, port: str, otherwise: type[PortError] = PortLost) -> PortError:
    """The leaf for an operating-system error on `port`; `otherwise` for one that has no leaf of its own."""
    leaf = _LEAVES.get(error.errno or 0, otherwise)
    return leaf(port=port, detail=errno.errorcode.get(error.errno or 0, type(error).__name__))


class StreamPort(Protocol):
    """A byte stream to one device. Every method may raise a `PortError`."""

    name: str
    source_auth: SourceAuth

    async def open(self) -> None:
        """Be connected. May wait for the device (a listening port waits for it to call)."""
        ...

    async def read(self) -> bytes:
        """The next bytes, at least one; safe to cancel without losing any."""
        ...

    async def write(self, data: bytes) -> None:
        """All of `data`, or `PortLost`."""
        ...

    async def close(self) -> None:
        """Let go of the connection; `open()` may follow. Harmless when it is closed."""
        ...

    async def release(self) -> None:
        """Let go of everything, a listening socket too."""
        ...
