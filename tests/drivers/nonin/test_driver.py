"""What a Nonin oximeter's readings become: absent, questionable, once a second; and that the box never speaks."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import catalog
from drivers.observation import Device, Numeric, Waveform
from tests.drivers.masimo_ascii.port import Port, alerts, devices, is_allowed, port, values
from tests.drivers.nonin.made import SPOT, doubled, followed, packet, spot

THIRD = 1 / 3
PROFILES = catalog.profiles("nonin")
WIRE = {
    "ascii": b"SPO2=097 HR=072\r\n",
    "df2": followed(packet()),
    "df7": followed(packet(False)),
    "df8": bytes.fromhex("80 48 61 00"),
    "df13": SPOT,
}


def plain(made: Port, data: bytes, after: float = 1.0) -> dict[str, tuple[str, str]]:
    """The two quantities: value, validity or reason."""
    return {c: (v, why) for c, v, why in values(made.rx(data, after)) if c in ("HR", "SpO2", "SPO2", "PR")}


@pytest.mark.parametrize("name", PROFILES)
def test_72_and_97_with_unit_and_name(name: str) -> None:
    made = port("nonin", name)
    for _n in range(3):
        made.rx(WIRE[name], 1.0)
    named = {
        (o.metric, str(o.value), o.unit) for o in made.seen if isinstance(o, Numeric) and o.metric and not o.reason
    }
    assert named == {("MDC_PULS_OXIM_SAT_O2", "97", "%"), ("MDC_PULS_OXIM_PULS_RATE", "72", "/min")}
    assert devices(made.seen)[-1] == ("connected", "in_use", "")


@pytest.mark.parametrize("is_df2", [True, False])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0x80, {"HR": ("200", "valid"), "SpO2": ("97", "valid")}),
        (0x88, {"HR": ("", "sensor_off"), "SpO2": ("", "sensor_off")}),
        (0x90, {"HR": ("", "out_of_track"), "SpO2": ("", "out_of_track")}),
        (0xA0, {"HR": ("200", "artefact"), "SpO2": ("97", "artefact")}),
        (0x98, {"HR": ("", "sensor_off"), "SpO2": ("", "sensor_off")}),
    ],
)
def test_status_bits_of_packets(is_df2: bool, status: int, expected: dict[str, tuple[str, str]]) -> None:
    made = port("nonin", "df2" if is_df2 else "df7")
    assert plain(made, followed(packet(is_df2, status, hr=200))) == expected


def test_display_values_are_held_and_do_not_count() -> None:
    made = port("nonin", "df2")
    seen = values(made.rx(followed(packet(status=0x88, hr=511, spo2=127, shown=97))))
    assert {(value, why) for code, value, why in seen if code not in ("SPA",)} == {("", "sensor_off")}
    assert len(seen) == 11


def test_missing_numbers_are_no_numbers() -> None:
    for name, data in (
        ("df2", followed(packet(hr=511, spo2=127, shown=127))),
        ("df7", followed(packet(False, hr=511, spo2=127, shown=127))),
        ("df8", bytes.fromhex("83 7F 7F 00") * 3),
        ("df13", spot(pr=511, spo2=127)),
        ("ascii", b"SPO2=--- HR=---\r\n"),
    ):
        assert {pair for pair in plain(port("nonin", name), data).values()} == {("", "missing")}, name


def test_one_metric_once_a_second() -> None:
    """Three packets a second come, at their pace; each second one is published, and jitter does not shift it."""
    made = port("nonin", "df2")
    times: list[float] = []
    for n in range(300):
        jitter = 0.02 * (n % 3)
        made.until(100.0 + n * THIRD + jitter)
        if plain(made, packet(), 0.0):
            times.append(made.now)
    assert 98 <= len(times) <= 101
    assert all(b - a > 0.6 for a, b in zip(times, times[1:], strict=False))


def test_a_flag_between_two_publications_is_not_lost() -> None:
    made = port("nonin", "df2")
    for n, status in enumerate((0x80, 0xA0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80)):
        made.rx(packet(status=status), 0.34 if n else 0.0)
    assert alerts(made.seen) == [("ARTF", "on"), ("ARTF", "off")]


@pytest.mark.parametrize(("status", "colour"), [(0x82, "green"), (0x84, "red"), (0x86, "yellow")])
def test_perfusion(status: int, colour: str) -> None:
    made = port("nonin", "df2")
    assert ("PERFUSION", colour, "valid") in values(made.rx(followed(packet(status=status))))
    assert not [v for v in values(made.rx(followed(packet()), 1.0)) if v[0] == "PERFUSION"]


def test_second_status_and_bits_without_a_name() -> None:
    made = port("nonin", "df2")
    seen = made.rx(followed(packet(status=0xC0, stat2=0x21 | 0x10)))
    assert alerts(seen) == [("LOWBAT", "on")]
    words = {v for v in values(seen) if v[0] in ("SPA", "STATUS.other", "STAT2.other")}
    assert words == {
        ("SPA", "on", "valid"),
        ("STATUS.other", "", "unknown_code"),
        ("STAT2.other", "", "unknown_code"),
    }
    again = followed(packet(status=0xC0, stat2=0x31))
    assert not [v for v in values(made.rx(again, 1.0)) if v[0].endswith("other")]
    assert [o.identity for o in made.seen if isinstance(o, Device)][-1] == {"srev": "3"}


def test_the_curve_has_holes_where_frames_were_lost() -> None:
    made = port("nonin", "df2", curves="PLETH")
    made.rx(followed(packet()))
    made.rx(packet()[5:] + packet()[:60] + b"\xff" + packet()[61:], 0.3)
    made.rx(packet() + packet(status=0x88)[:5], 0.4)
    made.rx(packet(status=0x88)[5:] + packet(status=0x88)[:5], 0.4)
    waves = [o for o in made.seen if isinstance(o, Waveform)]
    assert [(w.start, len(w.samples), w.validity, w.reason) for w in waves] == [
        (0, 25, "valid", ""),
        (25, 25, "valid", ""),
        (75, 50, "valid", ""),
    ]
    assert waves[0].samples == tuple(range(100, 125))
    assert waves[2].samples == (*range(100, 125), *[None] * 25)
    assert (waves[0].interval_us, str(waves[0].scale), waves[0].unit, waves[0].metric) == (
        13_333,
        "1",
        "1",
        "MDC_PULS_OXIM_PLETH",
    )
    made.rx(followed(packet(status=0x88) * 3), 1.0)
    assert [o.reason for o in made.seen if isinstance(o, Waveform)][-1] == "sensor_off"
    assert not [o for o in port("nonin", "df2").rx(packet() * 9) if isinstance(o, Waveform)]


def test_a_waveform_holds_a_second_at_most_and_begins_anew_with_the_port() -> None:
    made = port("nonin", "df2", curves="PLETH")
    made.rx(packet() * 10)
    assert {len(o.samples) for o in made.seen if isinstance(o, Waveform)} == {25, 75}
    made.take(made.driver.start(made.now))
    assert [o.start for o in made.rx(followed(packet())) if isinstance(o, Waveform)] == [0]


@pytest.mark.parametrize("how", ["stop", "silence"])
def test_the_samples_so_far_are_not_lost(how: str) -> None:
    made = port("nonin", "df2", curves="PLETH")
    made.rx(packet())
    made.rx(followed(packet()), 0.3)
    if how == "stop":
        made.take(made.driver.stop(made.now))
    else:
        made.until(made.now + 20.0)
    assert [(o.start, len(o.samples)) for o in made.seen if isinstance(o, Waveform)] == [(0, 25), (25, 25)]


@pytest.mark.parametrize("name", ["df2", "df7"])
@pytest.mark.parametrize("place", range(1, 26))
def test_a_frame_that_comes_twice_makes_no_number(name: str, place: int) -> None:
    """All behind it moves by one place: E-HR would be 0, SpO2-D what STAT2 is."""
    made = port("nonin", name)
    good = packet(name == "df2", hr=200, stat2=0x20)
    usual = set(values(made.rx(followed(good))))
    seen = values(made.rx(doubled(good, place) + good, 1.0))
    assert set(seen) <= usual
    assert len(seen) == (10 if place == 1 else 0), "after the doubled first frame a whole packet stands"
    assert made.reasons()[0] == "framing!"
    assert {v[1] for v in values(made.rx(good, 0.3)) if "HR" in v[0]} == ({"200"} if place > 1 else set())


@pytest.mark.parametrize(("after", "is_read"), [(0.3, True), (0.49, True), (0.51, False), (9.0, False)])
def test_what_a_pause_follows_is_not_read(after: float, is_read: bool) -> None:
    """It is no longer of now, and what comes does not follow it."""
    made = port("nonin", "df2")
    assert made.rx(packet(hr=200)) == []
    assert plain(made, packet(), after) == ({"HR": ("200", "valid"), "SpO2": ("97", "valid")} if is_read else {})
    assert plain(made, packet(), 0.3) == ({} if is_read else {"HR": ("72", "valid"), "SpO2": ("97", "valid")})
    assert made.reasons() == ([] if is_read else ["late"]), "nothing was damaged"


def test_no_packet_reaches_across_a_pause() -> None:
    made = port("nonin", "df2")
    made.rx(packet() + packet()[:60])
    made.frames = 0
    made.rx(packet()[60:] + packet(), 0.6)
    assert (made.frames, made.reasons()) == (0, ["late"])
    made.rx(packet(), 0.3)
    assert made.frames == 1
    made.rx(packet()[70:] + packet(), 0.6)
    assert (made.frames, made.reasons()) == (1, ["framing!", "noise"]), "where bytes were lost in it, it is damaged"


def test_a_late_packet_is_a_hole_in_the_curve() -> None:
    made = port("nonin", "df2", curves="PLETH")
    made.rx(followed(packet()))
    made.rx(packet()[5:], 0.3)
    made.rx(packet() + followed(packet()), 0.6)
    made.take(made.driver.stop(made.now))
    assert [(o.start, len(o.samples)) for o in made.seen if isinstance(o, Waveform)] == [(0, 25), (50, 50)]


def test_df8_is_believed_when_two_readings_agree() -> None:
    """There is no sum: each number, and the state it stands in, must come twice."""
    made = port("nonin", "df8")
    told = [
        plain(made, bytes.fromhex(data)).get("HR")
        for data in ("80 48 61 00", "80 48 61 00", "80 48 61 00", "81 48 61 00", "81 48 61 00")
    ]
    assert told == [None, ("72", "unconfirmed"), ("72", "valid"), ("200", "unconfirmed"), ("200", "valid")]
    assert plain(made, bytes.fromhex("81 48 61 08"))["HR"] == ("", "sensor_off")
    assert plain(made, bytes.fromhex("81 48 61 00"))["HR"] == ("200", "unconfirmed")


def test_every_flipped_bit_of_df8_is_no_valid_number() -> None:
    wire = bytes.fromhex("80 48 61 00") * 6
    for bit in range(len(wire) * 8):
        damaged = bytearray(wire)
        damaged[bit // 8] ^= 1 << bit % 8
        seen = values(port("nonin", "df8").rx(bytes(damaged)))
        assert {v for v in seen if v[2] == "valid"} <= {
            ("HR", "72", "valid"),
            ("SpO2", "97", "valid"),
            ("SPA", "off", "valid"),
        }


def test_spot_measurements() -> None:
    made = port("nonin", "df13")
    assert plain(made, SPOT) == {"PR": ("72", "valid"), "SpO2": ("97", "valid")}
    assert [o.device_time for o in made.seen if isinstance(o, Numeric)] == ["2026-11-24 14:30:15"] * 2
    assert plain(made, SPOT, 30.0) == {}
    assert made.reasons() == ["duplicate"]
    stored = spot("20261123080000", (2, 0x11), 300, 95)
    assert plain(made, stored, 30.0) == {"PR": ("300", "from_memory"), "SpO2": ("95", "from_memory")}
    assert alerts(made.seen) == [("LOWBAT", "on")]
    assert plain(made, spot("20261124143016", (1, 0))) == {
        "PR": ("", "no_measurement"),
        "SpO2": ("", "no_measurement"),
    }
    assert plain(made, spot("FF261124143016", (4, 0x20)))["PR"] == ("72", "valid")
    assert made.seen[-1].device_time == ""
    made.take(made.driver.start(made.now))
    assert plain(made, SPOT) != {}


def test_text_flags() -> None:
    made = port("nonin", "ascii")
    assert values(made.rx(b"SPO2=097 HR=072 F*\r\n"))[-1] == ("HR", "72", "valid")
    assert ("F", "on", "valid") in values(made.rx(b"SPO2=097 HR=072 F\r\n", 1.0))
    assert alerts(made.seen) == [("*", "on"), ("*", "off")]
    assert ("FLAGS", "", "unknown_code") in values(made.rx(b"12:00:01 SPO2=097 HR=072B\r\n", 1.0))
    assert [o.device_time for o in made.seen if isinstance(o, Numeric)][-1] == "12:00:01"


def test_standby_and_silence() -> None:
    made = port("nonin", "df2")
    made.rx(followed(packet()))
    assert devices(made.rx(followed(packet(status=0x88)), 1.0)) == [("connected", "standby", "")]
    made.until(made.now + 60.0)
    assert devices(made.seen)[-1] == ("stale", "unknown", "silence")
    made.take(made.driver.stop(made.now))
    assert devices(made.seen)[-1][0] == "disconnected"
    assert made.rx(followed(packet()), 1.0) == []


@pytest.mark.parametrize("name", PROFILES)
@given(data=st.binary(max_size=200))
def test_it_never_speaks(name: str, data: bytes) -> None:
    made = port("nonin", name)
    made.rx(data + WIRE[name] * 3)
    made.until(made.now + 100.0)
    made.take(made.driver.stop(made.now))
    assert made.sent == b""


@pytest.mark.parametrize(
    "command",
    [
        *(bytes((2, 0x70, 2, 2, kind, 3)) for kind in (2, 7, 8, 13)),
        bytes.fromhex("02 72 06 26 11 24 14 30 15 03"),
        bytes.fromhex("02 72 00 03"),
        bytes.fromhex("02 74 00 03"),
        bytes.fromhex("02 73 00 03"),
        b"\x06",
        b"\x15",
        b"",
    ],
)
def test_no_command_passes(command: bytes) -> None:
    """The format persists in the oximeter's memory, the time is set without an answer: neither can be sent."""
    assert not is_allowed("nonin", command)
    assert all(profile.allowed == () for profile in PROFILES.values())
    protocol = PROFILES["df2"].protocol
    assert (protocol.asks, protocol.max_send_per_minute) == (False, 0)


def test_signatures() -> None:
    found = {n: re.compile(p.identification.passive.encode("latin-1"), re.DOTALL) for n, p in PROFILES.items()}
    for name in ("ascii", "df2", "df13"):
        assert [n for n in ("ascii", "df2", "df13") if found[n].search(WIRE[name])] == [name]
    assert PROFILES["df7"].identification.passive == PROFILES["df8"].identification.passive == ""


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("df2", {"curves": "RESP"}),
        ("df7", {"curves": "PLETH"}),
        ("df8", {"curves": ["PLETH"]}),
        ("ascii", {"ask": True}),
    ],
)
def test_options_that_are_refused(name: str, options: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        catalog.create(PROFILES[name], options)
