"""The grammar of `port` and `line`: where a device is reached, and how its serial line is set."""

import ipaddress
import os.path
import re
from typing import Literal, cast, get_args

from msgspec import Struct

from drivers.profile import PortKind
from gateway.config.problem import BadValue, nearest_of, shown
from gateway.language import N_

Kind = Literal["serial", "tcp", "tcp-listen", "udp", "modbus-tcp", "modbus-rtu", "modbus-ascii"]
Parity = Literal["N", "E", "O"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ON_A_LINE: tuple[Kind, ...] = ("serial", "modbus-rtu", "modbus-ascii")
"""Kinds that open a device file and need line settings; the others connect to a host."""

_BAUDS = (
    "50 75 110 134 150 200 300 600 1200 1800 2400 4800 7200 9600 14400 19200 28800 31250 38400 56000 57600 76800 "
    "115200 128000 230400 250000 256000 460800 500000 576000 921600 1000000"
)
BAUDS = tuple(map(int, _BAUDS.split()))

_LINE = re.compile(r"([0-9]{1,7}) ([78])([NEO])([12])")
_SWAPPING = re.compile(r"/dev/tty(?:USB|ACM)[0-9]+")
_HOST = re.compile(r"(?=[A-Za-z0-9].{0,252}\Z)(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{0,62}[A-Za-z0-9]")
"""No part is empty or longer than 63 (RFC 1035, 2.3.4): for such a name Python's resolver raises another error."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class PortAddress(Struct, frozen=True):
    """Where a device is reached: `path` for a serial line, `host` and `port` for a network.

    `local` is the box's own UDP port, 0 where any will do.
    """

    kind: Kind
    path: str = ""
    host: str = ""
    port: int = 0
    local: int = 0

    @property
    def family(self) -> PortKind:
        """The word a driver's profile has for it."""
        return "modbus" if self.kind.startswith("modbus") else cast(PortKind, self.kind)

    @property
    def needs_line(self) -> bool:
        """True where line settings mean something."""
        return self.kind in ON_A_LINE


class LineSettings(Struct, frozen=True):
    """Line settings of a serial port."""

    baud: int
    bits: int
    parity: Parity
    stop: int


class UnknownPortKind(BadValue):
    """The word before the colon."""

    sentence = N_("port {found}: {word} is no kind of port")
    expected = N_(
        "serial:/dev/serial/by-path/…, tcp:HOST:PORT, tcp-listen:HOST:PORT, udp:HOST:PORT, modbus-tcp:HOST:PORT, "
        "modbus-rtu:/dev/serial/by-path/… or modbus-ascii:/dev/serial/by-path/…"
    )


class BadPortPath(BadValue):
    """A serial port is a device file."""

    sentence = N_("port {found}: no device file is named")
    expected = N_("{kind}:/dev/serial/by-path/… with the name that ls /dev/serial/by-path shows")


class BadPortHost(BadValue):
    """A network port is a host and a number."""

    sentence = N_("port {found}: no host and port number are named")
    expected = N_("{kind}:HOST:PORT, for example {kind}:10.0.0.9:{example}; a port number is 1 to 65535")


class ManyHosts(BadValue):
    """A UDP address that is not one device's."""

    sentence = N_("port {found}: {host} is the address of many devices at once, or of none")
    expected = N_("the address of the one device itself, as its network settings show it")


class SwappingPort(BadValue):
    """A name that the kernel gives in the order in which it finds the adapters."""

    sentence = N_("port {found}: {name} may be another adapter after a reboot, and two patients would be swapped")
    expected = N_(
        "the name under /dev/serial/by-path/ of the same adapter: it stays with the socket it is plugged in"
    )


class BadLine(BadValue):
    """Line settings in another form."""

    sentence = N_("line {found} cannot be read")
    expected = N_(
        'baud, a space, data bits 7 or 8, parity N, E or O, stop bits 1 or 2; for example "19200 8E1" or "9600 7E2"'
    )


class UnusualBaud(BadValue):
    """A speed no device has."""

    sentence = N_("line {found}: {baud} baud is not a speed that devices use")
    expected = N_("the speed the device shows in its settings, for example 1200, 9600, 19200, 38400 or 115200")


def parse_port(text: str) -> PortAddress:
    """Read `KIND:…`. Raises `UnknownPortKind`, `BadPortPath`, `BadPortHost`, `ManyHosts`."""
    kind, _colon, rest = text.partition(":")
    if kind not in KINDS:
        raise UnknownPortKind(found=shown(text), word=shown(kind), nearest=_nearest_port(text, kind, rest))
    if kind in ON_A_LINE:
        if not rest.startswith("/") or rest.endswith("/") or len(rest) > 255 or _CONTROL.search(rest):
            raise BadPortPath(found=shown(text), kind=kind)
        return PortAddress(kind, path=rest)
    rest, local = _local_port(rest) if kind == "udp" else (rest, 0)
    address = _host_and_port(rest, lowest=0 if kind == "tcp-listen" else 1)
    if address is None:
        raise BadPortHost(found=shown(text), kind=kind, example=502 if kind == "modbus-tcp" else 4001)
    host, port = address
    if kind == "udp" and _is_of_many(host):
        raise ManyHosts(found=shown(text), host=host)
    return PortAddress(kind, host=host, port=port, local=local)


def parse_line(text: str) -> LineSettings:
    """Read `19200 8E1`. Raises `BadLine`, `UnusualBaud`."""
    found = _LINE.fullmatch(text)
    if not found:
        tidy = re.sub(r"[\s,/-]+", " ", text.strip()).upper()[:40]
        tidy = re.sub(r"([78]) ?([NEO]) ?([12])$", r"\1\2\3", tidy)
        raise BadLine(found=shown(text), nearest=tidy if _LINE.fullmatch(tidy) else "")
    baud, bits, parity, stop = found.groups()
    if int(baud) not in BAUDS:
        close = nearest_of(baud, [str(each) for each in BAUDS]) if len(baud) > 2 else ""
        raise UnusualBaud(found=shown(text), baud=baud, nearest=f"{close} {bits}{parity}{stop}" if close else "")
    return LineSettings(int(baud), int(bits), cast(Parity, parity), int(stop))


def refuse_swapping(text: str, address: PortAddress) -> None:
    """Raises `SwappingPort` for ttyUSB0, ttyACM0 and the like. Other names are taken as they are."""
    name = os.path.normpath(address.path) if address.path else ""
    if _SWAPPING.fullmatch(name):
        raise SwappingPort(found=shown(text), name=name.rpartition("/")[2])


def are_one_port(one: PortAddress, other: PortAddress) -> bool:
    """True where two addresses cannot be open at the same time."""
    if one.path or other.path:
        return bool(one.path and other.path) and os.path.realpath(one.path) == os.path.realpath(other.path)
    if one.kind == "udp" or other.kind == "udp":
        own = (one.local or one.port, other.local or other.port)
        return one.kind == other.kind and one.host.lower() == other.host.lower() and own[0] == own[1]
    if one.port != other.port or one.port == 0:
        return False
    if (one.kind == "tcp-listen") != (other.kind == "tcp-listen"):
        return False
    hosts = (one.host.lower(), other.host.lower())
    every = one.kind == "tcp-listen" and any(host in ("0.0.0.0", "::") for host in hosts)  # noqa: S104 - compared
    return hosts[0] == hosts[1] or every


def is_host(text: str) -> bool:
    """True for a host name or an IPv4 address, or an IPv6 address without its brackets."""
    if _HOST.fullmatch(text):
        return True
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _is_of_many(host: str) -> bool:
    """A group's address, everybody's, or nobody's: a datagram to it would ask devices that no person has named."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_multicast or address.is_unspecified or host == "255.255.255.255"


def _local_port(text: str) -> tuple[str, int]:
    """`HOST:PORT:LOCAL` without its last part, which may be left out."""
    head, _colon, local = text.rpartition(":")
    has_local = re.fullmatch(r"(?:[^:]+|\[[^]]*\]):[0-9]{1,5}", head) and re.fullmatch(r"[0-9]{1,5}", local)
    if has_local and 1 <= int(local) <= 65535:
        return head, int(local)
    return text, 0


def _host_and_port(text: str, lowest: int) -> tuple[str, int] | None:
    host, _colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", port) or not lowest <= int(port) <= 65535 or not is_host(host):
        return None
    return host, int(port)


def _nearest_port(text: str, kind: str, rest: str) -> str:
    if text.startswith("/"):
        return f"serial:{text}"
    if _host_and_port(text, lowest=1):
        return f"tcp:{text}"
    close = nearest_of(kind, KINDS)
    return f"{close}:{rest}" if close else ""
