"""What is sent and when, what can be sent at all, and what processed data become."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.contract import Output
from drivers.observation import Alert, AnyObservation, Device, Enumeration, Numeric
from drivers.quality import Gate
from tests.contract.play import busiest_minute, is_allowed
from tests.drivers.bis_vista.made import INFORMATION, NONE, message, packet, processed, trends
from tests.drivers.masimo_ascii.port import Port, port, values

PROFILE = catalog.profile("bis_vista", "bis_vista")
START = bytes.fromhex("BA AB 00 00 0D 00 01 00 04 00 00 00 73 00 00 00 00 00 01 00 00 86 00")
STOP = message(0x74)
ACK, NAK = packet(b"", 2), packet(b"", 3)
TRENDS = ["BSR", "SEF95", "BIS", "POWER", "EMG", "SQI"]


class Bedside(Port):
    """A port that also keeps when something was sent."""

    def __init__(self) -> None:
        made = port("bis_vista", "bis_vista")
        super().__init__(made.driver, now=made.now, seen=made.seen, faults=made.faults, wake_at=made.wake_at)
        self.log = [(self.now, made.sent)]

    def take(self, output: Output) -> list[AnyObservation]:
        """Keep one output, and when it was sent."""
        if output.send:
            self.log.append((self.now, output.send))
        return super().take(output)


def codes(seen: list[AnyObservation]) -> dict[str, tuple[str, str]]:
    """Numerics by code: value (or empty) and validity or reason."""
    return {code: (value, why) for code, value, why in values(seen)}


def test_started_once_and_stopped_once() -> None:
    made = Bedside()
    made.rx(ACK, 0.1)
    for _second in range(60):
        made.rx(processed(), 1.0)
    assert made.log == [(100.0, START)]
    made.take(made.driver.stop(made.now))
    made.take(made.driver.stop(made.now))
    assert [sent for _t, sent in made.log] == [START, STOP]
    after = made.driver.receive(processed() + ACK, made.now + 1)
    assert (after.send, after.observations, after.frames, after.wake_at) == (b"", (), 2, None)
    assert made.driver.wake(made.now + 100).send == b""


def test_without_data_it_is_started_again_ever_more_rarely() -> None:
    made = Bedside()
    for _second in range(300):
        made.rx(ACK, 1.0)
    asked = [t for t, sent in made.log if sent == START]
    assert [round(b - a) for a, b in pairwise(asked)][:10] == [5, 8, 5, 15, 5, 35, 5, 65, 5, 65]
    assert [o.connection for o in made.seen if isinstance(o, Device)] == ["stale"]


def test_after_silence_it_is_started_again() -> None:
    made = Bedside()
    made.rx(processed(), 0.5)
    made.until(115.4)
    assert made.log == [(100.0, START)]
    made.until(116.0)
    assert made.log[1:] == [(115.5, START)]
    assert [o.connection for o in made.seen if isinstance(o, Device)][-1] == "stale"
    made.rx(processed(), 1.0)
    assert [o.connection for o in made.seen if isinstance(o, Device)][-1] == "connected"


@pytest.mark.parametrize("number", range(0x60, 0x80))
@pytest.mark.parametrize("data", [b"", b"\x00", b"\x01", b"\x80\x00", bytes(4)])
def test_no_other_message_passes_the_allow_list(number: int, data: bytes) -> None:
    """Among them the raw EEG (6FH, 80 00) and processed data with spectra (73H, 01)."""
    assert is_allowed(PROFILE, message(number, data)) == ((number, data) in [(0x73, b"\x00"), (0x74, b"")])


EVENTS = st.lists(st.sampled_from([b"", processed(), ACK, NAK, message(0x35), b"\xba\xab\x00", b"\x15"]), max_size=50)


@given(events=EVENTS, gap=st.sampled_from([0.0, 0.7, 6.0, 16.0]))
def test_whatever_comes_only_those_two_are_sent(events: list[bytes], gap: float) -> None:
    made = Bedside()
    for event in events:
        made.rx(event, gap)
    made.take(made.driver.stop(made.now))
    assert [sent for _t, sent in made.log[:-1]] == [START] * (len(made.log) - 1)
    assert made.log[-1][1] == STOP


@pytest.mark.parametrize("storm", [NAK, b"\xba\xab" * 9, ACK[:-1] + b"\x00", message(0x34, bytes(5)), b"\xff" * 40])
def test_a_storm_never_raises_the_rate(storm: bytes) -> None:
    calm, made = Bedside(), Bedside()
    calm.until(3700.0)
    for _turn in range(3600 * 2):
        made.rx(storm, 0.5)
    assert busiest_minute(PROFILE, made.log) <= busiest_minute(PROFILE, calm.log) <= 6


def test_scales_units_and_names() -> None:
    seen = Bedside().rx(processed(first=trends(bis=512, sqi=1000)))
    numbers = {o.vendor.code: o for o in seen if isinstance(o, Numeric) and o.vendor}
    expected = {
        "BSR": ("0.0", "%"),
        "SEF95": ("18.50", "Hz"),
        "BIS": ("45.3", "1"),
        "POWER": ("62.10", "dB"),
        "EMG": ("29.50", "dB"),
        "SQI": ("97.0", "%"),
        "1.BIS": ("51.2", "1"),
        "1.SQI": ("100.0", "%"),
    }
    assert {code: (str(numbers[code].value), numbers[code].unit) for code in expected} == expected
    assert numbers["SEF95"].metric == "MDC_EEG_FREQ_PWR_SPEC_CRTX_SPECTRAL_EDGE"
    assert numbers["1.SEF95"].metric == ""
    assert numbers["BIS"].vendor
    assert numbers["BIS"].vendor.text == "453"


@pytest.mark.parametrize(("count", "expected"), [(-3277, ""), (-32768, ""), (-3276, "-327.6"), (0, "0.0")])
def test_below_the_limit_is_no_value(count: int, expected: str) -> None:
    made = Bedside()
    found = codes(made.rx(processed(both=trends(bis=count, sqi=count))))
    for code in ("BIS", "SQI"):
        assert found[code] == (expected, "valid" if expected else "invalid")


def test_what_no_scale_allows_is_questionable() -> None:
    seen = Bedside().rx(processed(both=trends(bis=-3276, sqi=1001)))
    judged = Gate(PROFILE).check(Output(observations=tuple(seen)), 1.0).observations
    assert {code: why for code, _v, why in values(list(judged)) if code in ("BIS", "SQI", "EMG")} == {
        "BIS": "implausible",
        "SQI": "implausible",
        "EMG": "valid",
    }


def test_a_channel_without_values_says_so_once() -> None:
    made = Bedside()
    first = codes(made.rx(processed()))
    assert all(first[f"{channel}.{name}"] == ("", "invalid") for channel in (1, 2) for name in TRENDS)
    assert sorted(codes(made.rx(processed()))) == sorted(TRENDS)


def test_what_has_no_meaning_is_raw_when_it_changes() -> None:
    made = Bedside()
    found = made.rx(processed())
    raw = {o.vendor.code: o.vendor.text for o in found if isinstance(o, Numeric | Enumeration) and o.vendor}
    assert [raw[f"SETTING{n}"] for n in range(1, 5)] == ["00000001", "00000002", "00000003", "00000004"]
    assert [raw[c] for c in ("IMP1", "IMP1.RESULT", "IMP2", "IMP2.RESULT")] == ["7", "1", "8", "2"]
    assert raw["DSC"] == INFORMATION.hex(" ").upper()
    assert (raw["BIS_ALT"], raw["BIS_ALT2"], raw["ARTEFACT"]) == ("450", "449", "0")
    changed = codes(made.rx(processed(both=trends(alt=451, debug=7))))
    assert changed["BIS_ALT"] == ("", "unit_unknown")
    assert "BIS_ALT2" not in changed
    assert not any("DEBUG" in code for code in (*raw, *changed))


def test_in_use_and_standby() -> None:
    made = Bedside()

    def state(**parts: bytes) -> str:
        made.rx(processed(**parts))
        return [o for o in made.seen if isinstance(o, Device)][-1].operating

    assert state() == "in_use"
    assert state(both=trends(bis=-3277)) == "in_use"
    assert state(both=NONE) == "standby"
    assert state(first=trends(), both=NONE) == "standby"
    assert state(first=trends(), both=trends(bis=0)) == "in_use"
    assert not [o for o in made.seen if isinstance(o, Alert)]


@pytest.mark.parametrize(
    ("data", "reasons", "frames"),
    [
        (message(0x35, bytes(364)), ["unknown_record"], 1),
        (message(0x32, bytes(130)), ["unknown_record"], 1),
        (message(0x34, bytes(156)), ["unknown_record"], 1),
        (message(0x34, bytes(119)), ["unknown_record"], 1),
        (packet(bytes(11)), ["length!"], 0),
        (NAK, ["nak"], 1),
        (ACK, [], 1),
    ],
)
def test_what_is_not_read(data: bytes, reasons: list[str], frames: int) -> None:
    made = Bedside()
    assert made.rx(data) == []
    assert (made.reasons(), made.frames) == (reasons, frames)


def test_half_a_packet_is_not_completed_after_a_pause() -> None:
    made = Bedside()
    made.rx(processed()[:30])
    made.rx(processed()[30:], 5.5)
    assert made.frames == 0
    assert "truncated!" in made.reasons()


def test_there_are_no_options() -> None:
    with pytest.raises(ValueError, match="unknown"):
        catalog.create(PROFILE, _options())


def _options() -> dict[str, Any]:
    return {"curves": "eeg"}
