"""The line-quality gate, the plausible range and the step rule, at their thresholds."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec
import pytest

from drivers.contract import Fault, Output
from drivers.observation import (
    Alert,
    AnyObservation,
    Device,
    Enumeration,
    Mark,
    Numeric,
    Result,
    Validity,
    Vendor,
    Waveform,
)
from drivers.profile import Metric, Profile
from drivers.quality import STEP_MEMORY_S, WINDOW_FRAMES, WINDOW_S, Gate, LineQuality

PROFILE = Profile(
    vendor="Acme",
    models=("One",),
    tier="sketch",
    metric=(
        Metric(code="PEEP", unit="cm[H2O]", low=Decimal(0), high=Decimal(100), step=Decimal(10)),
        Metric(code="FLOW", unit="L/min", step=Decimal("0.5")),
        Metric(code="NA", unit="mmol/L", kind="result", low=Decimal(80), high=Decimal(200)),
        Metric(code="SpO2", name="spo2", unit="%"),
    ),
)
REJECTED = Fault("checksum", rejected=True)


def numeric(value: str | None, code: str = "PEEP", unit: str = "cm[H2O]", validity: Validity = "valid") -> Numeric:
    return Numeric(
        vendor=Vendor(code, value or ""),
        validity=validity,
        value=None if value is None else Decimal(value),
        unit=unit,
        category="measurement",
    )


def result(value: str) -> Result:
    return Result(
        vendor=Vendor("NA", value),
        validity="valid",
        specimen="1",
        test="NA",
        value=Decimal(value),
        unit="mmol/L",
        status="final",
        identity="x",
    )


WAVE = Waveform(
    vendor=Vendor("CO2"),
    validity="valid",
    samples=(1, None, 3),
    interval_us=8000,
    scale=Decimal(1),
    offset=Decimal(0),
    unit="mm[Hg]",
    category="measurement",
    marks=(Mark(1, "inspiration"),),
)
MODE = Enumeration(vendor=Vendor("MODE"), validity="valid", value="ippv", category="setting")
ALARM = Alert(vendor=Vendor("APNEA"), validity="valid", alert="physiological", priority="high", presence="on")
LINK = Device(validity="valid", connection="connected")


def one(gate: Gate, seen: AnyObservation, now: float = 0.0, frames: int = 0) -> AnyObservation:
    (judged,) = gate.check(Output(observations=(seen,), frames=frames), now).observations
    return judged


def line(good: int, bad: int, now: float = 0.0) -> Gate:
    gate = Gate(PROFILE)
    gate.check(Output(frames=good), now)
    gate.check(Output(faults=(REJECTED,) * bad), now)
    return gate


# --- share of rejected frames -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "bad", "validity", "value"),
    [
        (300, 0, "valid", Decimal(5)),
        (299, 1, "questionable", Decimal(5)),  # 0.33 %
        (297, 3, "questionable", Decimal(5)),  # exactly 1 %: not more than it
        (296, 4, "not_available", None),
        (0, 1, "questionable", Decimal(5)),  # a window that is not full counts as if the rest had been good
        (0, 3, "questionable", Decimal(5)),
        (0, 4, "not_available", None),
        (0, 300, "not_available", None),
        (0, 5000, "not_available", None),
    ],
)
def test_thresholds(good: int, bad: int, validity: Validity, value: Decimal | None) -> None:
    judged = one(line(good, bad), numeric("5"))
    assert isinstance(judged, Numeric)
    assert (judged.validity, judged.value) == (validity, value)
    assert judged.reason == ("" if validity == "valid" else "line_noise")


def test_a_fault_that_is_no_frame_does_not_count() -> None:
    gate = Gate(PROFILE)
    gate.check(Output(faults=(Fault("noise"), Fault("timeout"))), 0.0)
    assert gate.rejected_share == 0
    assert one(gate, numeric("5")).validity == "valid"


def test_the_frame_that_is_rejected_now_counts_for_what_came_with_it() -> None:
    output = Output(observations=(numeric("5"),), frames=1, faults=(REJECTED,))
    (judged,) = Gate(PROFILE).check(output, 0.0).observations
    assert judged.validity == "questionable"


def test_the_window_slides_by_frames() -> None:
    gate = line(0, 4)
    gate.check(Output(frames=WINDOW_FRAMES - 4), 1.0)
    assert one(gate, numeric("5"), 1.0).validity == "not_available"
    gate.check(Output(frames=1), 1.0)
    assert one(gate, numeric("5"), 1.0).validity == "questionable"
    gate.check(Output(frames=3), 1.0)
    assert gate.rejected_share == 0
    assert one(gate, numeric("5"), 1.0).validity == "valid"


def test_the_window_slides_by_time() -> None:
    gate = line(10, 4)
    assert one(gate, numeric("5"), WINDOW_S, frames=1).validity == "not_available"
    assert one(gate, numeric("5"), WINDOW_S + 0.1, frames=1).validity == "valid"


def test_a_quiet_line_stays_as_bad_as_it_was() -> None:
    """Without a new frame there is nothing that would make the line good again, and nothing to judge either."""
    gate = line(10, 4)
    assert one(gate, numeric("5"), WINDOW_S * 9).validity == "not_available"


def test_line_quality_counts_exactly() -> None:
    quality = LineQuality()
    history: list[bool] = []
    for turn in range(2000):
        bad = turn % 7 == 0
        quality.count(float(turn) / 100, int(not bad), int(bad))
        history.append(bad)
        assert quality.share == sum(history[-WINDOW_FRAMES:]) / WINDOW_FRAMES


def test_what_noise_does_to_each_kind() -> None:
    gate = line(0, 4)
    kinds: Iterable[AnyObservation] = (numeric("5"), MODE, WAVE, result("140"), ALARM, LINK)
    number, mode, wave, lab, alarm, link = (one(gate, seen) for seen in kinds)
    assert isinstance(number, Numeric)
    assert isinstance(mode, Enumeration)
    assert isinstance(wave, Waveform)
    assert isinstance(lab, Result)
    assert (number.value, mode.value) == (None, None)
    assert wave.samples == (None, None, None)
    assert {seen.validity for seen in (number, mode, wave)} == {"not_available"}
    assert {seen.reason for seen in (number, mode, wave, lab)} == {"line_noise"}
    # A result is said once only: it is doubted, and not taken away (docs/decisions/0006).
    assert (lab.validity, lab.value, lab.status) == ("questionable", Decimal(140), "questionable")
    assert (alarm, link) == (ALARM, LINK)  # an alarm is passed on; the link's own word too
    assert number.vendor == Vendor("PEEP", "5")  # the device's words stay for whoever looks into it


def test_a_little_noise_doubts_each_value() -> None:
    gate = line(0, 1)
    judged = [one(gate, seen) for seen in (numeric("5"), MODE, WAVE, result("140"))]
    assert {seen.validity for seen in judged} == {"questionable"}
    assert (one(gate, ALARM), one(gate, LINK)) == (ALARM, LINK)


def test_noise_keeps_what_was_absent_or_doubtful_for_its_own_reason() -> None:
    absent = numeric(None, validity="not_available")
    doubtful = numeric("5", validity="questionable")
    assert one(line(0, 4), absent) == absent
    assert one(line(0, 1), doubtful) == doubtful
    assert one(line(0, 4), doubtful).validity == "not_available"


# --- plausible range ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "validity"),
    [
        ("0", "valid"),
        ("100", "valid"),
        ("100.0", "valid"),
        ("-0.1", "questionable"),
        ("100.1", "questionable"),
        ("999", "questionable"),
    ],
)
def test_range(value: str, validity: Validity) -> None:
    judged = one(Gate(PROFILE), numeric(value))
    assert isinstance(judged, Numeric)
    assert (judged.validity, judged.reason) == (validity, "" if validity == "valid" else "implausible")
    assert str(judged.value) == value


def test_the_code_table_has_the_range_where_the_profile_has_none() -> None:
    assert one(Gate(PROFILE), numeric("101", "SpO2", "%")).validity == "questionable"
    assert one(Gate(PROFILE), numeric("97", "SpO2", "%")).validity == "valid"


def test_a_result_has_a_range_too() -> None:
    assert one(Gate(PROFILE), result("140")).validity == "valid"
    judged = one(Gate(PROFILE), result("14"))
    assert isinstance(judged, Result)
    assert (judged.validity, judged.reason, judged.status) == ("questionable", "implausible", "questionable")


def test_doubt_does_not_hide_what_the_laboratory_said_of_a_result() -> None:
    corrected = msgspec.structs.replace(result("14"), status="corrected")
    judged = one(Gate(PROFILE), corrected)
    assert isinstance(judged, Result)
    assert (judged.validity, judged.status) == ("questionable", "corrected")


@pytest.mark.parametrize(
    "seen",
    [
        numeric("999", unit="mbar"),  # a range says nothing about another unit
        numeric("999", code="OTHER"),
        numeric("999", validity="calibration"),
        numeric(None, validity="not_available"),
        Numeric(validity="valid", value=Decimal(999), unit="cm[H2O]", category="measurement"),
    ],
)
def test_what_the_range_does_not_judge(seen: Numeric) -> None:
    assert one(Gate(PROFILE), seen) == seen


# --- step rule ----------------------------------------------------------------------------------------------


def steps(values: list[str], seconds: float = 1.0, code: str = "PEEP", unit: str = "cm[H2O]") -> list[str]:
    gate = Gate(PROFILE)
    return [one(gate, numeric(v, code, unit), i * seconds).validity for i, v in enumerate(values)]


V, Q = "valid", "questionable"


@pytest.mark.parametrize(
    ("values", "validity"),
    [
        (["5", "15", "25"], [V, V, V]),  # a step that is just as large as allowed
        (["5", "16"], [V, Q]),
        (["5", "50", "51"], [V, Q, V]),  # the second frame agrees
        (["5", "50", "5"], [V, Q, V]),  # it was a spike
        (["5", "50", "5", "50", "50"], [V, Q, V, Q, V]),  # a spike that comes back must be confirmed anew
        (["5", "50", "80", "81"], [V, Q, Q, V]),  # the second disagrees with both
        (["5", "50", "51", "52", "5", "6"], [V, Q, V, V, Q, V]),
        (["5", "50", "61"], [V, Q, Q]),
    ],
)
def test_step(values: list[str], validity: list[str]) -> None:
    assert steps(values) == validity


def test_an_implausible_value_is_not_something_to_jump_from_or_to() -> None:
    assert steps(["5", "999", "6", "999", "999", "7"]) == [V, Q, V, Q, Q, V]


def test_an_old_value_is_not_something_to_jump_from() -> None:
    assert steps(["5", "50"], STEP_MEMORY_S) == [V, Q]
    assert steps(["5", "50"], STEP_MEMORY_S + 1) == [V, V]


def test_an_absent_value_between_changes_nothing() -> None:
    gate = Gate(PROFILE)
    assert one(gate, numeric("5"), 0).validity == "valid"
    assert one(gate, numeric(None, validity="not_available"), 1).validity == "not_available"
    assert one(gate, numeric("50"), 2).reason == "step"


def test_each_metric_steps_by_itself() -> None:
    gate = Gate(PROFILE)
    assert one(gate, numeric("5"), 0).validity == "valid"
    assert one(gate, numeric("50", "FLOW", "L/min"), 0).validity == "valid"
    assert one(gate, numeric("50.4", "FLOW", "L/min"), 1).validity == "valid"
    assert one(gate, numeric("51.0", "FLOW", "L/min"), 2).reason == "step"


def test_each_pump_of_a_rack_steps_by_itself() -> None:
    gate = Gate(PROFILE)
    for now in (0.0, 1.0):
        for mds, value in (("", "5"), ("11", "50"), ("12", "95")):
            assert one(gate, msgspec.structs.replace(numeric(value), mds=mds), now).validity == "valid"
    assert one(gate, msgspec.structs.replace(numeric("95"), mds="11"), 2.0).reason == "step"


def test_a_value_under_noise_is_not_something_to_jump_from() -> None:
    """What a bad line said is not believed later either."""
    gate = line(0, 4)
    assert one(gate, numeric("90"), 0.0).validity == "not_available"
    gate.check(Output(frames=WINDOW_FRAMES), 1.0)
    assert one(gate, numeric("5"), 1.0).validity == "valid"


def test_the_digits_are_never_touched() -> None:
    for value in ("97.0", "0.50", "1E+2", "-0"):
        judged = one(line(0, 1), numeric(value))
        assert isinstance(judged, Numeric)
        assert str(judged.value) == value


def test_an_output_without_observations_passes_as_it_is() -> None:
    output = Output(send=b"x", frames=2, wake_at=3.0)
    assert Gate(PROFILE).check(output, 0.0) is output
