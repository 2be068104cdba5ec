"""A run under a locale really is under it: without this, three runs could all be the same one."""

import locale
import os

import pytest


def test_the_locale_asked_for_is_in_force() -> None:
    wanted = os.environ.get("JISR_TEST_LOCALE", "")
    if not wanted:
        pytest.skip("no locale was asked for; make test asks for three")
    assert locale.setlocale(locale.LC_NUMERIC) == wanted
    assert (locale.localeconv()["decimal_point"] == ",") is wanted.startswith("fr")
    assert locale.nl_langinfo(locale.MON_1).isascii() is not wanted.startswith("ar")
