"""Every sentence a person reads exists in French: none missing, doubtful or left over, and compiled as written."""

import argparse
import re
import sys
from string import Formatter

import pytest
from babel.messages import Catalog
from babel.messages.extract import extract_from_file

from tools import catalogues


@pytest.fixture(scope="module")
def french() -> Catalog:
    return catalogues.read(catalogues.PO)


def _sentences(catalogue: Catalog) -> set[str]:
    return {m.id if isinstance(m.id, str) else m.id[0] for m in catalogue if m.id}


def test_none_missing(french: Catalog) -> None:
    assert not _sentences(catalogues.extract()) - _sentences(french), "run make translations"
    assert not catalogues.missing(french)


def test_none_left_over(french: Catalog) -> None:
    assert not _sentences(french) - _sentences(catalogues.extract()), "run make translations"
    assert not french.obsolete


def test_none_doubtful(french: Catalog) -> None:
    assert not [message.id for message in french if message.id and message.fuzzy]


def _fields(sentence: str) -> list[str]:
    percent = re.findall(r"%\(\w+\)[a-z]|%[sdr]", sentence)
    if percent:
        return sorted(percent)
    return sorted(field for _text, field, _spec, _conversion in Formatter().parse(sentence) if field is not None)


def test_the_same_fields_in_both_languages(french: Catalog) -> None:
    for message in french:
        if not message.id:
            continue
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        strings = [message.string] if isinstance(message.string, str) else list(message.string or ())
        for string in strings:
            assert not string or _fields(string) == _fields(ids[-1]), ids[0]


def test_compiled_as_written(french: Catalog) -> None:
    assert catalogues.MO.read_bytes() == catalogues.compiled(french), "run make translations"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse's sentences differ with each Python")
def test_what_argparse_says_is_there_too(french: Catalog) -> None:
    spoken = {m[1] if isinstance(m[1], str) else m[1][0] for m in extract_from_file("python", argparse.__file__)}
    assert not spoken - _sentences(french)
