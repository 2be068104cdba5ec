"""What can leave the box towards an analyzer: ACK and NAK, and nothing else in any state of any profile.

No order, no patient, no answer to a query and no request for the line can be written, so nobody's tests can be
changed from here. Contention (both sides ask for the line) cannot occur for the same reason.
"""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.astm import driver as driver_module
from drivers.framing import e1381
from drivers.profile import Profile
from gateway.ports.gate import SendGate
from tests.contract.cases import wires
from tests.drivers.astm.wire import (
    ACK,
    END,
    ENQ,
    EOT,
    HEADER,
    NAK,
    feed,
    frame,
    make,
    message,
    one_each,
    reasons,
    whole,
)

PROFILES = list(catalog.profiles("astm").values())
by_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
NEVER = {
    "ENQ, a request for the line": ENQ,
    "EOT, an interruption": EOT,
    "an order": frame(1, message("H|\\^&", "P|1", "O|1|S1||^^^GLU|R||||||A", END)),
    "the answer to a query of an e 411 without tests": frame(
        1, message("H|\\^&|||host^1|||||cobas-e411|TSDWN^REPLY|P|1", "P|1", "O|1|000004|40^0^5^^S1^SC||R||||||A", END)
    ),
    "an empty message": frame(1, message("H|\\^&", "L|1|I")),
    "an ACK with an order behind it": ACK + frame(1, "O|1\r"),
    "a commit block": b"\x0b\x06\x1c\x0d",
}
QUERIES = [
    ("cobas_e411", "Q|1|^^000004^40^0^5^^S1^SC||ALL||||||||O"),
    ("cobas_e411", "Q|1|^^000004^40^0^5^^S1^SC||ALL||||||||A"),
    ("erba_xl", "Q|1|^1007149`1007152`1007151|||S|||||||O"),
    ("generic", "Q|1|^S0001||ALL||||||||O"),
    ("vitros", "Q|1|^S0001||ALL||||||||O"),
]


@by_profile
def test_the_allow_list_is_ack_and_nak(profile: Profile) -> None:
    assert sorted(bytes.fromhex(rule.hex) for rule in profile.allowed) == sorted([ACK, NAK])
    assert not any(rule.pattern for rule in profile.allowed)
    assert (profile.protocol.asks, profile.protocol.bedside) == (False, False)


@by_profile
@pytest.mark.parametrize("bytes_", NEVER.values(), ids=NEVER)
def test_the_port_refuses_the_rest(profile: Profile, bytes_: bytes) -> None:
    gate = SendGate(profile.allowed, profile.protocol.max_send_per_minute, may_send=True)
    assert gate.judge(bytes_, 1.0) == "not_allowed"
    assert not any(rule.fits(bytes_) for rule in profile.allowed)


@by_profile
@given(data=st.data())
def test_every_state_and_every_input(profile: Profile, data: st.DataObject) -> None:
    """Its own sessions cut, repeated and damaged, queries, controls and time in any order."""
    driver, now = make(profile.name), 1.0
    queries = [whole(HEADER, query, END) for _name, query in QUERIES]
    steps = [ENQ, EOT, b"\x02", b"\x03", b"\x17", NAK, ACK, *queries, *wires(profile)]
    for _turn in range(data.draw(st.integers(1, 12))):
        now += data.draw(st.sampled_from([0.0, 0.5, 1.0, 16.0, 31.0]))
        raw = data.draw(st.sampled_from(steps))
        cut = data.draw(st.integers(0, len(raw)))
        outputs = [driver.receive(raw[:cut], now), driver.wake(now), driver.receive(raw[cut:], now)]
        outputs.append(data.draw(st.sampled_from([driver.wake, driver.start, driver.stop]))(now))
        for output in outputs:
            assert set(output.send) | set(output.refusal) <= {ACK[0], NAK[0]}
            assert output.reads == ()


def test_nothing_else_is_written_in_the_source() -> None:
    """Each write to the replies is ACK or NAK, or so many of them."""
    tree = ast.parse(Path(e1381.__file__).read_text(encoding="utf-8"))
    written = [
        ast.unparse(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.AugAssign) and ast.unparse(node.target) == "self.replies"
    ]
    assert sorted(set(written)) == ["ACK", "ACK * (end - at - 1)", "NAK"]
    assert (e1381.ACK, e1381.NAK) == (ACK, NAK)
    source = Path(driver_module.__file__).read_text(encoding="utf-8")
    assert re.findall(r"send=([^,\n]+)", source) == ["send", "send"]
    assert re.findall(r"\bsend = (.+)", source) == ["bytes(link.replies)"]
    assert re.findall(r"refusal=(.+?),\n", source) == [
        'send[: link.promised_from] + NAK if link.promised_from >= 0 else b""'
    ]


@pytest.mark.parametrize(("profile", "query"), QUERIES)
def test_a_query_is_acknowledged_and_not_answered(profile: str, query: str) -> None:
    """The device's own time-out (15 s on an e 411) ends its waiting, and it says so with a query of status A."""
    driver = make(profile)
    outputs = feed(driver, one_each("H|`^&" if profile == "erba_xl" else "H|\\^&", query, END))
    assert [output.send for output in outputs] == [ACK] * 4 + [b""]
    assert reasons(outputs) == ["host_query"]
    assert all(driver.wake(float(now)).send == b"" for now in range(2, 120))
    assert driver.stop(200.0).send == b""


@pytest.mark.parametrize("storm", [NAK, ENQ, b"\xff", frame(1, b"x"), frame(9, b"x")[:-3], b"\x02", EOT])
def test_a_storm_of_an_hour_is_answered_at_most_once_for_each_thing_that_came(storm: bytes) -> None:
    driver = make()
    sent = sum(
        len(driver.receive(storm, second).send) + len(driver.wake(second).send) for second in map(float, range(3600))
    )
    assert sent <= 3600 + 1
