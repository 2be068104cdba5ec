"""What holds for every simulator of a monitor or oximeter: faults, clock, sameness, silence towards the device."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import reporter
from simulators.devices.pulse import EPISODES, PulsePatient
from tests.simulators.devices.monitor_talk import CASES, LISTEN_ONLY, Case, ack, listen

FAULTS = [(case, fault) for case in CASES for fault in sorted(case.kind.FAULTS)]
MODULES = ("pulse", "reporter", *sorted({case.kind.NAME for case in CASES}))
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)


@pytest.mark.parametrize("name", MODULES)
def test_it_imports_nothing_of_what_it_tests(name: str) -> None:
    tree = ast.parse(Path(reporter.__file__).with_name(f"{name}.py").read_text("utf-8"))
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not [module for module in modules if module.split(".")[0] in ("drivers", "gateway", "provisioning")]


@each
def test_it_speaks_and_a_good_box_says_nothing_illegal(case: Case) -> None:
    device = case.on()
    assert listen(case, device, 0, 120)
    assert not device.illegal
    assert not device.injected
    assert device.sent == len(device.history) > 3
    assert all(sent.values for sent in device.history)
    assert [sent.at for sent in device.history] == sorted(sent.at for sent in device.history)


@pytest.mark.parametrize(("case", "fault"), FAULTS, ids=lambda thing: getattr(thing, "label", thing))
def test_each_fault_strikes_and_is_survived(case: Case, fault: str) -> None:
    # Quick devices strike as often in a shorter time.
    rate, end = ("0.02", 120) if case.is_fast else ("0.3", 300)
    device = case.on(1, frozenset({fault}), fault_rate=rate, silence_s="3")
    said = listen(case, device, 0, end)
    assert device.injected[fault] >= 2
    assert set(device.injected) == {fault}
    assert device.sent > 2
    assert said
    assert not device.illegal


@each
def test_the_same_seed_is_the_same_device(case: Case) -> None:
    def run(seed: int) -> tuple[bytes, object]:
        device = case.on(seed, frozenset({"garbage", "duplicate"}))
        return listen(case, device, 0, 70), list(device.history)

    assert run(4) == run(4)
    assert run(4) != run(5)


@each
def test_faults_do_not_change_the_values(case: Case) -> None:
    plain, struck = case.on(3), case.on(3, frozenset({"garbage"}))
    listen(case, plain, 0, 60)
    listen(case, struck, 0, 60)
    assert list(plain.history) == list(struck.history)


@each
def test_a_day_passes(case: Case) -> None:
    device = case.on()
    for hour in range(4, 25, 4):
        heard = device.receive(case.words, hour * 3600.0) + device.wake(hour * 3600.0 + 10)
        assert heard
        device.receive(ack(heard), hour * 3600.0 + 10)
    device.wake(40 * 86_400.0)
    # It has caught up: nothing is due that should have been said before.
    assert device.wake_at is None or device.wake_at > 40 * 86_400.0


@given(st.sampled_from(CASES), st.binary(max_size=80))
def test_any_bytes_are_survived(case: Case, noise: bytes) -> None:
    device = case.on()
    device.receive(noise, 1.0)
    device.wake(2.0)
    # Some noise begins a frame that the words complete; the second time they are heard.
    device.receive(case.words, 3.0)
    device.receive(case.words * 40, 4.0)
    assert device.wake(50.0) or device.illegal


@pytest.mark.parametrize("case", LISTEN_ONLY, ids=lambda case: case.label)
@pytest.mark.parametrize("word", [b"\x00", b"\x11", b"?\r\n", bytes.fromhex("7D 81 A1 80 80 80 80 80 80")])
def test_every_byte_to_a_device_that_only_speaks_is_kept(case: Case, word: bytes) -> None:
    device = case.on()
    device.receive(word, 7.0)
    assert device.illegal == [word]


@each
@pytest.mark.parametrize(
    ("faults", "options"), [({"gnome"}, {}), (set(), {"gnome": "1"}), (set(), {"fault_rate": "x"})]
)
def test_wrong_names_are_refused(case: Case, faults: set[str], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=case.kind.NAME):
        case.kind(0, frozenset(faults), options)


def test_a_clock_that_is_no_date_is_refused() -> None:
    with pytest.raises(ValueError, match="clock"):
        CASES[0].on(clock="yesterday")


@each
def test_a_silent_device_goes_on_where_the_time_is(case: Case) -> None:
    rate, end = ("0.005", 120) if case.is_fast else ("0.1", 300)
    device = case.on(1, frozenset({"silence"}), fault_rate=rate, silence_s="20")
    listen(case, device, 0, end)
    times = [sent.at for sent in device.history]
    assert device.injected["silence"]
    # Nothing is told of the seconds in which it was silent: 15 to 25 of them.
    assert max(after - before for before, after in zip(times, times[1:], strict=False)) >= 15


def test_every_trouble_of_the_patient_has_its_turn() -> None:
    patient = PulsePatient(5, 100.0, 60.0, "auto")
    seen = {patient.at(100.0 + second).episode for second in range(60 * (len(EPISODES) + 1))}
    assert seen == {"steady", *EPISODES}
    assert {patient.at(t).since_s for t in (100.0, 159.0, 181.0)} == {0.0}
    assert patient.at(161.5).since_s == pytest.approx(1.5)


def test_the_pulse_needs_nine_bits_at_times() -> None:
    fast = PulsePatient(5, 0.0, 0.0, "fast_pulse")
    assert all(255 < fast.at(float(t)).rate < 300 for t in range(300))
    assert not PulsePatient(5, 0.0, 0.0, "sensor_off").at(9.0).has_signal
