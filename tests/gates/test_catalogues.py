"""Every sentence a person reads exists in French: none missing, doubtful or left over, and compiled as written."""

import argparse
import ast
import re
import sys
from string import Formatter

import pytest
from babel.messages import Catalog
from babel.messages.extract import extract_from_file

from tests.gates.sources import ROOT, sources
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


def test_no_sentence_hides_inside_an_f_string() -> None:
    """Before Python 3.12 an f-string is one token: a `_()` inside it is not found, and stays English."""
    for source in sources(*catalogues.PACKAGES):
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.JoinedStr):
                continue
            for each in ast.walk(node):
                if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id in ("_", "N_"):
                    hidden = isinstance(each.args[0], ast.Constant)
                    assert not hidden, f"{source.path.relative_to(ROOT)}:{node.lineno}"
