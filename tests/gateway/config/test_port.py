"""The grammar of `port` and `line`."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.port import (
    BAUDS,
    KINDS,
    LineSettings,
    PortAddress,
    are_one_port,
    parse_line,
    parse_port,
    refuse_swapping,
)
from gateway.config.problem import BadValue

PORTS = [
    ("serial:/dev/serial/by-path/pci-0:usb-1.2", PortAddress("serial", path="/dev/serial/by-path/pci-0:usb-1.2")),
    ("serial:/dev/ttyAMA0", PortAddress("serial", path="/dev/ttyAMA0")),
    ("modbus-rtu:/dev/ttyS1", PortAddress("modbus-rtu", path="/dev/ttyS1")),
    ("modbus-ascii:/tmp/pty", PortAddress("modbus-ascii", path="/tmp/pty")),
    ("tcp:10.0.0.9:4001", PortAddress("tcp", host="10.0.0.9", port=4001)),
    ("tcp:[fe80::1]:4001", PortAddress("tcp", host="fe80::1", port=4001)),
    ("tcp-listen:0.0.0.0:0", PortAddress("tcp-listen", host="0.0.0.0", port=0)),
    ("udp:10.0.0.5:24105", PortAddress("udp", host="10.0.0.5", port=24105)),
    ("udp:monitor-4:2000:3073", PortAddress("udp", host="monitor-4", port=2000, local=3073)),
    ("udp:[fe80::1]:24105", PortAddress("udp", host="fe80::1", port=24105)),
    ("udp:[fe80::1]:2000:3073", PortAddress("udp", host="fe80::1", port=2000, local=3073)),
    ("modbus-tcp:plc.example:502", PortAddress("modbus-tcp", host="plc.example", port=502)),
]
BAD_PORTS = [
    ("", ""),
    ("serial", ""),
    ("serial:", ""),
    ("serial:ttyS0", ""),
    ("serial:/dev/", ""),
    ("serial:/dev/a\nb", ""),
    ("serial:/" + "a" * 255, ""),
    ("/dev/ttyS0", "serial:/dev/ttyS0"),
    ("10.0.0.9:502", "tcp:10.0.0.9:502"),
    ("modbus-tpc:h:502", "modbus-tcp:h:502"),
    ("Serial:/dev/ttyS0", "serial:/dev/ttyS0"),
    ("zzz:1", "tcp:zzz:1"),
    ("zzz:x", ""),
    ("tcp:h", ""),
    ("tcp:h:", ""),
    ("tcp::1", ""),
    ("tcp:h:0", ""),
    ("tcp:h:65536", ""),
    ("tcp:h:+1", ""),
    ("tcp:h:٣", ""),
    ("tcp:fe80::1:4001", ""),
    ("tcp:[zz::1]:4001", ""),
    ("tcp:a b:1", ""),
    ("tcp-listen:h:-1", ""),
    ("udp:h", ""),
    ("udp:h:0", ""),
    ("udp:h:2000:0", ""),
    ("udp:h:2000:70000", ""),
    ("udp:h:2000:", ""),
    ("udp::2000:3073", ""),
    ("udp:h:1:2:3", ""),
    ("udp:fe80::1:2000", ""),
    ("udp:h:2000:٣٠٧٣", ""),
    ("udp:a..b:2000", ""),
    (f"tcp:{'a' * 64}:4001", ""),
    ("tcp-listen:a..b:4001", ""),
    ("udp:224.0.23.63:24105", ""),
    ("udp:[ff02::1]:24105", ""),
    ("udp:255.255.255.255:2000:3073", ""),
    ("udp:0.0.0.0:2000", ""),
    ("udp:[::]:2000", ""),
]
LINES = [
    ("19200 8E1", LineSettings(19200, 8, "E", 1)),
    ("9600 7E2", LineSettings(9600, 7, "E", 2)),
    ("300 7O1", LineSettings(300, 7, "O", 1)),
    ("115200 8N1", LineSettings(115200, 8, "N", 1)),
]
BAD_LINES = [
    ("", ""),
    ("8E1", ""),
    ("19200", ""),
    ("19200 8e1", "19200 8E1"),
    ("19200/8/N/1", "19200 8N1"),
    (" 9600  8 N 1 ", "9600 8N1"),
    ("19200 8E1\n", "19200 8E1"),
    ("19200 9E1", ""),
    ("19200 8E3", ""),
    ("19200 8M1", ""),
    ("٩٦٠٠ 8N1", ""),
    ("115000 8N1", "115200 8N1"),
    ("0 8N1", ""),
]


@pytest.mark.parametrize(("text", "address"), PORTS)
def test_a_port(text: str, address: PortAddress) -> None:
    assert parse_port(text) == address
    assert address.family == ("modbus" if text.startswith("modbus") else text.partition(":")[0])
    assert address.needs_line == bool(address.path)


@pytest.mark.parametrize(("text", "nearest"), BAD_PORTS)
def test_no_port(text: str, nearest: str) -> None:
    with pytest.raises(BadValue) as raised:
        parse_port(text)
    assert raised.value.nearest == nearest
    assert raised.value.right.text()


@pytest.mark.parametrize(("text", "settings"), LINES)
def test_a_line(text: str, settings: LineSettings) -> None:
    assert parse_line(text) == settings


@pytest.mark.parametrize(("text", "nearest"), BAD_LINES)
def test_no_line(text: str, nearest: str) -> None:
    with pytest.raises(BadValue) as raised:
        parse_line(text)
    assert raised.value.nearest == nearest


@given(st.sampled_from(BAUDS), st.sampled_from("78"), st.sampled_from("NEO"), st.sampled_from("12"))
def test_every_line_that_devices_use(baud: int, bits: str, parity: str, stop: str) -> None:
    assert parse_line(f"{baud} {bits}{parity}{stop}") == LineSettings(baud, int(bits), parity, int(stop))  # type: ignore[arg-type]


@given(st.one_of(st.text(), st.builds("{}:{}".format, st.sampled_from(KINDS), st.text(max_size=20))))
def test_a_refusal_shows_no_control_character_and_proposes_what_can_be_read(text: str) -> None:
    for refusal in filter(None, (_refusal(parse_port, text), _refusal(parse_line, text))):
        assert refusal.text().isprintable()
    line = _refusal(parse_line, text)
    if line and line.nearest:
        assert parse_line(line.nearest)


def _refusal(parse: Callable[[str], object], text: str) -> BadValue | None:
    try:
        parse(text)
    except BadValue as bad:
        return bad
    return None


@pytest.mark.parametrize("path", ["/dev/ttyUSB0", "/dev/ttyACM12", "/dev/./ttyUSB1", "/dev/serial/../ttyUSB1"])
@pytest.mark.parametrize("kind", ["serial", "modbus-rtu", "modbus-ascii"])
def test_names_that_swap(kind: str, path: str) -> None:
    text = f"{kind}:{path}"
    with pytest.raises(BadValue, match="reboot"):
        refuse_swapping(text, parse_port(text))


@pytest.mark.parametrize("path", ["/dev/ttyS0", "/dev/ttyAMA0", "/dev/serial/by-path/ttyUSB0", "/dev/pts/3"])
def test_names_that_stay(path: str) -> None:
    refuse_swapping(f"serial:{path}", parse_port(f"serial:{path}"))


SHARED = [
    ("serial:/dev/a", "serial:/dev/a", True),
    ("serial:/dev/a", "modbus-rtu:/dev/x/../a", True),
    ("serial:/dev/a", "serial:/dev/b", False),
    ("serial:/dev/a", "tcp:h:1", False),
    ("tcp:h:1", "tcp:H:1", True),
    ("tcp:h:1", "tcp:h:2", False),
    ("tcp:h:1", "modbus-tcp:h:1", True),
    ("tcp:h:1", "tcp-listen:h:1", False),
    ("tcp-listen:0.0.0.0:1", "tcp-listen:127.0.0.1:1", True),
    ("tcp-listen:10.0.0.1:1", "tcp-listen:127.0.0.1:1", False),
    ("tcp-listen:127.0.0.1:0", "tcp-listen:127.0.0.1:0", False),
    ("udp:h:24105", "udp:H:24105", True),
    ("udp:h:24105", "udp:i:24105", False),
    ("udp:h:2000:3073", "udp:h:2001:3073", True),
    ("udp:h:2000:3073", "udp:h:2000:3074", False),
    ("udp:h:2000:3073", "udp:i:2000:3073", False),
    ("udp:h:3073", "udp:h:2000:3073", True),
    ("udp:h:4601", "tcp:h:4601", False),
    ("udp:h:4601", "serial:/dev/a", False),
]


@pytest.mark.parametrize(("one", "other", "same"), SHARED)
def test_one_port_for_two_devices(one: str, other: str, same: bool) -> None:
    assert are_one_port(parse_port(one), parse_port(other)) == same
    assert are_one_port(parse_port(other), parse_port(one)) == same
