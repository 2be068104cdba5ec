"""The patient of the monitors: values that stay near their targets, a cuff, alarms."""

from simulators.devices.vitals import ALARMS, OXIMETER, SENSOR_OFF, TARGETS, Vitals


def test_values_wander_near_their_targets() -> None:
    patient = Vitals(1, 0.0, absent_rate=0.0)
    seen = [patient.values(float(second)) for second in range(500)]
    assert all(0.8 <= values[name] / TARGETS[name] <= 1.2 for values in seen for name in ("hr", "art_sys", "temp_1"))
    assert len({values["hr"] for values in seen}) > 100
    assert all(values["art_sys"] > values["art_mean"] > values["art_dia"] for values in seen)


def test_alarms_last_fifteen_seconds_and_the_sensor_takes_the_oximeter_away() -> None:
    patient = Vitals(2, 0.0)
    active = {second: patient.alarms(float(second)) for second in range(600)}
    assert not any(active[second] for second in range(60))
    assert {name for names in active.values() for name in names} == set(ALARMS)
    assert all(bool(names) == (second >= 60 and second % 60 < 15) for second, names in active.items())
    for second, names in active.items():
        is_away = not set(OXIMETER) & set(patient.values(float(second)))
        assert is_away or SENSOR_OFF not in names
    assert patient.alarms_since(130.0) == 120.0


def test_the_cuff_measures_at_its_times() -> None:
    patient = Vitals(3, 10.0, cuff_every_s=100.0)
    assert patient.cuff(19.0) is None
    first, second = patient.cuff(21.0), patient.cuff(125.0)
    assert first is not None
    assert second is not None
    assert (first.at, second.at) == (20.0, 120.0)
    assert patient.cuff(119.0) == first
    assert first.sys > first.mean > first.dia
    assert Vitals(3, 0.0, cuff_every_s=0.0).cuff(1e6) is None
