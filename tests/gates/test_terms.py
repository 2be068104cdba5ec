"""Metric tables use the code table's words, and mean one thing by each."""

import re

import pytest

from drivers import catalog
from drivers.nomenclature import terms
from drivers.profile import Profile

PROFILES = [profile for driver in catalog.DRIVERS for profile in catalog.profiles(driver).values()]


@pytest.fixture(params=PROFILES, ids=lambda p: f"{p.driver}-{p.name}")
def profile(request: pytest.FixtureRequest) -> Profile:
    found: Profile = request.param
    return found


def test_names_are_in_the_code_table(profile: Profile) -> None:
    assert not [metric.name for metric in profile.metric if metric.name and metric.name not in terms()]


def test_vendor_codes_are_unique(profile: Profile) -> None:
    codes = [metric.code for metric in profile.metric]
    assert not {code for code in codes if codes.count(code) > 1}


def test_a_unit_of_its_own_has_a_range_of_its_own(profile: Profile) -> None:
    """The code table's range holds in the table's unit only; without another the value would pass unjudged."""
    for metric in profile.metric:
        if metric.kind == "numeric" and metric.term and metric.unit != metric.term.ucum:
            has_none = metric.term.low is None and metric.term.high is None
            assert has_none or metric.range != (None, None), f"{metric.code} is in {metric.unit}"


def test_a_metric_without_a_name_has_labels_in_both_languages(profile: Profile) -> None:
    for metric in profile.metric:
        assert metric.name or (metric.en and metric.fr), f"{metric.code}: en and fr, or a name of the code table"


def test_a_range_is_a_range(profile: Profile) -> None:
    for metric in profile.metric:
        low, high = metric.range
        assert low is None or high is None or low < high, metric.code
        assert metric.step is None or metric.step >= 0, metric.code


def test_rules_can_be_read_and_stand_for_bytes(profile: Profile) -> None:
    for rule in profile.allowed:
        assert bool(rule.hex) != bool(rule.pattern), rule.name
        assert not re.fullmatch(rule.regex(), b"", re.DOTALL), f"{rule.name} allows nothing at all"


def test_a_bedside_device_that_is_asked_has_a_rate(profile: Profile) -> None:
    if profile.allowed:
        assert profile.protocol.max_send_per_minute > 0
