"""Who is asked what and when; what is never sent; storms; pumps that come, go and fall silent."""

import re
from collections.abc import Callable, Iterator
from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contract import Output, StreamDriver
from drivers.fresenius_agilia.frames import Frame
from drivers.fresenius_agilia.module import MODULES
from drivers.observation import Device, Enumeration, Numeric
from drivers.quality import Gate
from tests.contract.play import Said, busiest_minute, is_allowed, wake_until
from tests.drivers.fresenius_agilia.test_frames import wire

PROFILE = catalog.profile("fresenius_agilia", "base_a")
ONE = re.compile(b"|".join(rule.regex() for rule in PROFILE.allowed), re.DOTALL)
NEVER = ("MO", "PR", "PO", "PB", "PF", "PV", "PP", "PS", "RV", "RZ", "OF", "SI", "EP", "AP", "EN")
ANSWERS = {"DC": "", "FC": "", "LE;dr": ";d0032;r00001388", "LE;aem": ";a0000;e0000;m0001", "LE;ks": ";k0;s0"} | {
    "LF;b": ";b0A",
    "LP": ";0007",
}


class Rack:
    """A base and its pumps played by hand: answers each question, the pumps in `silent` do not."""

    def __init__(self, modules: str = "1", **options: Any) -> None:
        self.driver: StreamDriver = catalog.create(PROFILE, options)  # type: ignore[assignment]
        self.modules, self.silent, self.answers = modules, "", dict(ANSWERS)
        self.now = 100.0
        self.said = Said().take(self.driver.start(self.now), self.now)
        self.answered = 0

    def rx(self, data: bytes) -> Said:
        """Bytes from the base, and what the driver said at once."""
        output = self.driver.receive(data, self.now)
        self.said.take(output, self.now)
        return Said().take(output, self.now)

    def answer(self, frame: bytes) -> bytes:
        """What a base says to one frame of the box."""
        text = frame[1:-3].decode()
        if len(frame) == 1 or text[1:] == "E" or text[0] in self.silent:
            return b""
        if text == "0LE;b":
            return b"\x06" + wire("0C;b" + f"{sum(1 << int(m) - 1 for m in self.modules):04X}")
        return b"\x06" + wire(text[0] + "C" + self.answers[text[1:]])

    def live(self, until: float) -> Said:
        """Answer whatever is asked, 20 ms after it came."""
        while self.now < until:
            if self.answered < len(self.said.sent):
                _t, sent = self.said.sent[self.answered]
                self.answered += 1
                self.now += 0.02
                self.rx(b"".join(self.answer(frame) for frame in ONE.findall(sent)))
                continue
            self.now = min(until, self.said.wake_at if self.said.wake_at is not None else until)
            wake_until(self.driver, self.said, self.now)
        return self.said

    def live_to(self, question: str) -> None:
        """Answer whatever is asked until this question waits."""
        while question not in self.questions()[-1:]:
            self.live(self.now + 0.01)

    def questions(self, since: int = 0) -> list[str]:
        """What was asked, in order, without acknowledgements."""
        frames = chain.from_iterable(ONE.findall(sent) for _t, sent in self.said.sent[since:])
        return [frame[1:-3].decode() for frame in frames if len(frame) > 1]

    def devices(self, mds: str) -> list[tuple[str, str]]:
        """The links of one pump that were told."""
        seen = (o for o in self.said.observations if isinstance(o, Device) and o.mds == mds)
        return [(o.connection, o.reason) for o in seen]

    def numbers(self, mds: str, code: str) -> list[tuple[str, str]]:
        """Values of one pump as text, with their reasons."""
        seen = (o for o in self.said.observations if isinstance(o, Numeric) and o.mds == mds and o.vendor)
        return [(str(o.value), o.reason) for o in seen if o.vendor and o.vendor.code == code]


def test_the_base_first_then_each_pump() -> None:
    rack = Rack("13")
    rack.live(101.0)
    assert rack.questions()[:10] == (
        ["0DC", "0LE;b", "1DC", "1LF;b", "3DC", "3LF;b", "1LE;dr", "1LE;aem", "1LE;ks", "1LP"]
    )
    assert rack.numbers("3", "d") == [("5.0", "")]
    assert rack.numbers("3", "r") == [("5.000", "")]
    assert rack.devices("1") == [("connected", ""), ("connected", "")]


def test_the_pace() -> None:
    rack = Rack("1")
    rack.live(160.0)
    asked = rack.questions()
    assert [asked.count(q) for q in ("0LE;b", "1LE;dr", "1LE;aem", "1LE;ks", "1LP", "1DC")] == [6, 30, 12, 6, 1, 1]


def test_every_good_frame_is_acknowledged_and_no_other() -> None:
    rack = Rack()
    assert rack.rx(wire("0C")).sent[0][1][:1] == b"\x06"
    assert rack.rx(b"\x020C00\x03").sent == []
    assert rack.rx(wire("0LE;b")).sent == []  # an echo of our own frame is no reply
    assert rack.rx(wire("7C")).sent == [(100.0, b"\x06")]


def test_calls_are_answered_also_inside_a_frame() -> None:
    rack = Rack()
    assert rack.rx(b"\x05").sent == [(100.0, b"\x14")]
    assert rack.rx(wire("0C")[:2] + b"\x05").sent == [(100.0, b"\x14")]


def test_what_comes_unasked_is_echoed_with_its_address() -> None:
    rack = Rack()
    assert rack.rx(wire("2E;d0010")).sent == [(100.0, b"\x06" + wire("2E"))]
    assert rack.numbers("2", "d") == [("1.6", "")]
    assert rack.rx(wire("0E;b0001")).sent == [(100.0, b"\x06" + wire("0E"))]
    for text in ("7E;d0010", "E;d0010", "1M;d0010"):
        assert rack.rx(wire(text)).sent == [(100.0, b"\x06")]
    assert rack.rx(wire("1E;?")).observations == []
    assert [fault.reason for fault in rack.said.faults] == ["unexpected"] * 5


OTHERS = [
    "2C;d0001;r00000001",  # a pump that is not in the rack
    "0C;d0001;r00000001",  # the base has no rate
    "6C;d0001;r00000001",  # nor is there a sixth pump
    "1C;b0001",  # another question's
    "1C;d0001",  # half of it
    "1C;d0001;r00000001;s0000",  # more than was asked
    "1C",
    "1C;d001G;r00000001",
]


@pytest.mark.parametrize("text", OTHERS)
def test_an_answer_to_something_else_is_no_value(text: str) -> None:
    rack = Rack()
    rack.live_to("1LE;dr")
    said = rack.rx(wire(text))
    assert said.values == []
    assert [fault.reason for fault in said.faults] == ["unexpected"]
    assert rack.numbers("1", "d") == []


def test_a_late_answer_is_read_and_does_not_end_the_question() -> None:
    rack = Rack("12")
    rack.live_to("1LE;aem")
    (rate, volume) = rack.rx(wire("2C;d0001;r00000001")).values
    assert (rate.mds, volume.mds) == ("2", "2")
    assert rack.questions()[-1] == "1LE;aem"
    assert len(rack.rx(wire("1C;a0000;e0000;m0000")).values) == 3
    assert rack.questions()[-1] == "1LE;ks"


def test_a_late_value_is_not_the_name_of_a_drug() -> None:
    rack = Rack()
    rack.live_to("1LP")
    assert len(rack.rx(wire("1C;d0001;r00000001")).values) == 2
    (drug,) = rack.rx(wire("1C;d0001")).values
    assert isinstance(drug, Enumeration)
    assert (drug.value, drug.vendor and drug.vendor.text) == (None, "d0001")


def test_refused_is_absent_once_and_asked_at_the_same_pace() -> None:
    rack = Rack()
    rack.live(103.0)
    plain = rack.answer
    rack.answer = lambda frame: wire("1I;0E") if b"LE;dr" in frame else plain(frame)  # type: ignore[method-assign]
    before = len(rack.said.sent)
    rack.live(123.0)
    assert rack.numbers("1", "d")[-1] == ("None", "refused")
    assert [reason for _v, reason in rack.numbers("1", "r")].count("refused") == 1
    assert rack.questions(before).count("1LE;dr") == 10
    assert ("refused", "1LE;dr 0E") in [(fault.reason, fault.detail) for fault in rack.said.faults]


def test_a_refused_session_is_no_reason_to_stop() -> None:
    rack = Rack()
    rack.rx(wire("0I;1F"))
    assert rack.questions() == ["0DC", "0LE;b"]
    assert rack.rx(wire("1I;1F")).faults[0].reason == "unexpected"


def test_nak_waits_and_asks_again() -> None:
    rack = Rack()
    rack.rx(b"\x152")
    assert rack.questions() == ["0DC"]
    wake_until(rack.driver, rack.said, 102.0)
    assert rack.questions() == ["0DC", "0DC"]


def test_a_pump_that_is_taken_out_and_put_back() -> None:
    rack = Rack("12", modules_s=5)
    rack.live(103.0)
    rack.modules = "1"
    rack.live(110.0)
    assert rack.devices("2")[-1] == ("disconnected", "module_removed")
    assert rack.numbers("2", "d")[-1] == ("None", "module_removed")
    since = len(rack.said.sent)
    rack.modules = "12"
    rack.live(120.0)
    assert rack.devices("2")[-1] == ("connected", "")
    assert rack.questions(since).count("2DC") == 1
    assert rack.numbers("2", "d")[-1] == ("5.0", "")


def test_a_pump_that_does_not_answer_does_not_starve_the_others() -> None:
    rack = Rack("12")
    rack.live(103.0)
    rack.silent = "1"
    before = len(rack.numbers("2", "d"))
    rack.live(223.0)
    assert rack.devices("1")[-1] == ("disconnected", "no_answer")
    assert rack.numbers("1", "d")[-1] == ("None", "no_answer")
    assert len(rack.numbers("2", "d")) - before >= 45
    rack.silent = ""
    rack.live(300.0)
    assert rack.devices("1")[-1] == ("connected", "")


def test_a_bit_that_no_source_explains() -> None:
    rack = Rack("16")
    rack.live(101.0)
    assert ("unknown_module", "0021") in [(fault.reason, fault.detail) for fault in rack.said.faults]
    assert not [q for q in rack.questions() if q.startswith("6")]


def test_silence_makes_every_pump_stale_and_it_comes_back() -> None:
    rack = Rack("12")
    rack.live(103.0)
    rack.silent = "012"
    rack.live(140.0)
    assert rack.devices("")[-1] == ("stale", "silence")
    assert [rack.devices(each)[-1] for each in "12"] == [("disconnected", "no_answer"), ("disconnected", "silence")]
    assert rack.numbers("2", "d")[-1] == ("None", "silence")
    rack.silent = ""
    rack.live(260.0)
    assert [rack.devices(each)[-1] for each in ("", "1", "2")] == [("connected", "")] * 3


def test_goodbye_to_every_pump_that_was_opened_and_the_base_last() -> None:
    rack = Rack("12")
    rack.live(103.0)
    output = rack.driver.stop(104.0)
    assert output.send == wire("1FC") + wire("2FC") + wire("0FC")
    assert [o.connection for o in output.observations if isinstance(o, Device)] == ["disconnected"] * 3
    after = rack.driver.receive(wire("0C") + b"\x05" + wire("1E;d0001"), 104.1)
    assert (after.send, after.observations, after.frames, after.wake_at) == (b"", (), 2, None)
    assert rack.driver.stop(105.0).send == b""
    assert rack.driver.wake(200.0).observations == ()


def test_a_start_after_a_stop_begins_from_the_beginning() -> None:
    rack = Rack("1")
    rack.live(103.0)
    rack.driver.stop(104.0)
    assert rack.driver.start(110.0).send == wire("0DC")


# What can be sent at all


def _emitted(rack: Rack) -> Iterator[bytes]:
    return chain.from_iterable(ONE.findall(sent) for _t, sent in rack.said.sent)


def test_all_that_can_be_sent_is_the_allow_list() -> None:
    """Every set of pumps, every unasked address, goodbye: together exactly what the list lets through."""
    sent: set[bytes] = set()
    for count in range(len(MODULES) + 1):
        for modules in combinations(MODULES, count):
            rack = Rack("".join(modules))
            rack.rx(b"\x05" + b"".join(wire(f"{address}E;d0001") for address in "0123456789"))
            rack.live(103.0)
            rack.said.take(rack.driver.stop(104.0), 104.0)
            assert all(is_allowed(PROFILE, data) for _t, data in rack.said.sent)
            sent |= set(_emitted(rack))
    reads = ("LE;dr", "LE;aem", "LE;ks", "LF;b", "LP")
    pumps = {wire(address + what) for address in MODULES for what in reads}
    all_of = {wire(address + what) for address in "012345" for what in ("DC", "FC", "E")}
    assert sent == {b"\x06", b"\x14", wire("0LE;b")} | pumps | all_of
    assert all(ONE.fullmatch(frame) for frame in sent)


@pytest.mark.parametrize("command", [*NEVER, "DE", "AE", "DM", "AM"])
def test_what_must_never_be_sent_cannot_be(command: str) -> None:
    for address in ("", *"0123456789"):
        for arguments in ("", ";d0032", ";1", ";"):
            assert not is_allowed(PROFILE, wire(address + command + arguments))
    assert not is_allowed(PROFILE, wire("1LE;d")), "and no question that nobody asks"


STORMS: dict[str, Callable[[int], bytes]] = {
    "calls": lambda n: b"\x05" * 50,
    "nak": lambda n: b"\x152\x15\x15",
    "noise": lambda n: bytes((n * 7 + k * 13) % 256 for k in range(40)),
    "good frames nobody asked for": lambda n: wire("1C;d0001") * 20,
    "unasked": lambda n: wire("1E;d0001") * 20,
    "refusals": lambda n: b"".join(wire(f"{address}I;0E") for address in "012345"),
}


@pytest.mark.parametrize("storm", STORMS)
def test_a_storm_of_an_hour_does_not_raise_the_rate(storm: str) -> None:
    calm = Rack("12345")
    calm.live(400.0)
    questions = busiest_minute(PROFILE, [(t, bytes(d).replace(b"\x06", b"")) for t, d in calm.said.sent])
    rack = Rack("12345")
    rack.live(103.0)
    for second in range(3600):
        now = 103.0 + second
        wake_until(rack.driver, rack.said, now)
        rack.said.take(rack.driver.receive(STORMS[storm](second), now), now)
    assert busiest_minute(PROFILE, rack.said.sent) <= PROFILE.protocol.max_send_per_minute
    asked = [(t, re.sub(rb"[\x06\x14]|\x02[0-5]E..\x03", b"", data)) for t, data in rack.said.sent]
    assert busiest_minute(PROFILE, asked) <= questions + 12  # the set-up of five pumps and the base
    assert all(is_allowed(PROFILE, data) for _t, data in rack.said.sent)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF))
def test_any_rate_and_volume(rate: int, volume: int) -> None:
    rack = Rack()
    rack.answers["LE;dr"] = f";d{rate:04X};r{volume:08X}"
    rack.live(100.5)
    assert rack.numbers("1", "d") == [(f"{rate / 10:.1f}", "")]
    assert float(rack.numbers("1", "r")[0][0]) == volume / 1000
    gate = Gate(PROFILE)
    for seen in rack.said.observations:
        if isinstance(seen, Numeric) and seen.value is not None and seen.vendor and seen.vendor.code == "d":
            (judged,) = gate.check(Output(observations=(seen,)), 1.0).observations
            assert judged.validity == ("valid" if rate <= 20000 else "questionable")


@given(st.binary(max_size=300))
def test_no_bytes_raise_or_make_it_speak_out_of_turn(data: bytes) -> None:
    rack = Rack()
    rack.live(100.3)
    said = rack.rx(data)
    for _t, sent in said.sent:
        assert is_allowed(PROFILE, sent)
    assert Frame.from_bytes(data) is not None
