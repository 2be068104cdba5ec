"""Options as a configuration and as a command line give them, again and again in one process."""

from typing import Any

import msgspec
import pytest

from drivers import catalog

PROFILE = catalog.profile("draeger_medibus", "evita_4")


@pytest.mark.parametrize(
    ("curves", "strict"), [(["00", "01"], True), ("00", True), (["00"], False), ("00", False), ([], True)]
)
def test_curves_can_be_read_many_times(curves: Any, strict: bool) -> None:
    for _again in range(50):  # msgspec 0.22 ended the process at the second reading of a pattern inside a union
        catalog.create(PROFILE, {"curves": curves}, strict=strict)


@pytest.mark.parametrize(
    "curves", ["ZZ", "0", "000", ["00", "zz"], ["00", "00"], ["00", "01", "03", "05", "06"], [0]]
)
def test_curves_that_are_none(curves: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        catalog.create(PROFILE, {"curves": curves})
