"""What all tests share: hypothesis without clocks, the locale of a run, and how long the long proofs are."""

import locale
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

_SLOW_IS_FINE = [HealthCheck.too_slow]
settings.register_profile("default", deadline=None, max_examples=60, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile("short", deadline=None, max_examples=12, suppress_health_check=_SLOW_IS_FINE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make torture` runs the same proofs as `make test`, only longer."""
    group = parser.getgroup("jisr")
    group.addoption("--torture", action="store_true", help="the long proofs: 1,000 power cuts, 100 kills")
    group.addoption("--alone", action="store_true", help="those that want the machine for themselves, too")
    group.addoption("--cuts", type=int, default=0, help="power cuts in tests/powercut (otherwise 60, or 1,000)")
    group.addoption("--seed", type=int, default=1, help="what the random choices of the long proofs begin with")


@pytest.fixture(scope="session")
def torture(pytestconfig: pytest.Config) -> bool:
    """The long form was asked for."""
    return bool(pytestconfig.getoption("--torture"))


@pytest.fixture(scope="session")
def torture_seed(pytestconfig: pytest.Config) -> int:
    """`--seed`."""
    return int(pytestconfig.getoption("--seed"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked `alone` runs with `--alone`, with `--torture`, or called by its file's name."""
    if config.getoption("--alone") or config.getoption("--torture"):
        return
    words = config.invocation_params.args
    left = [one for one in items if one.get_closest_marker("alone") and not any(one.path.name in w for w in words)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [one for one in items if one not in set(left)]


def pytest_configure(config: pytest.Config) -> None:
    """Ctrl-C reaches what the tests start, also where the tests themselves were started in the background.

    And numbers, dates and sorting of the locale under test, as a program that calls setlocale would have them.
    """
    if (
        signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    ):  # what a shell does to a job behind `&`; children inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    wanted = os.environ.get("JISR_TEST_LOCALE", "")
    if not wanted:
        return
    try:
        locale.setlocale(locale.LC_ALL, wanted)
    except locale.Error as error:
        raise pytest.UsageError(f"locale {wanted} is not there: run make test, which makes it") from error
