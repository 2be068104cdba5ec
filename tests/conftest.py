"""What all tests share: hypothesis without clocks, and the locale a run was asked for."""

import locale
import os

import pytest
from hypothesis import HealthCheck, settings

_SLOW_IS_FINE = [HealthCheck.too_slow]
settings.register_profile("default", deadline=None, max_examples=60, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile("short", deadline=None, max_examples=12, suppress_health_check=_SLOW_IS_FINE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure(config: pytest.Config) -> None:
    """Numbers, dates and sorting of the locale under test, as a program that calls setlocale would have them."""
    wanted = os.environ.get("JISR_TEST_LOCALE", "")
    if not wanted:
        return
    try:
        locale.setlocale(locale.LC_ALL, wanted)
    except locale.Error as error:
        raise pytest.UsageError(f"locale {wanted} is not there: run make test, which makes it") from error
