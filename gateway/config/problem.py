"""What is wrong in a configuration: file, line, what was found, what would be right, and the nearest spelling."""

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

from msgspec import Struct

from gateway.errors import JisrError
from gateway.language import N_, _

AT_LINE = N_("{file}, line {line}: {found}")
RIGHT = N_("what would be right: {expected}")
NEAREST = N_('did you mean "{nearest}"?')

SHOWN_CHARACTERS = 60


class Sentence(Struct, frozen=True):
    """An English template with its facts, put into the reader's language only when it is shown."""

    template: str
    facts: dict[str, Any] = {}

    def english(self) -> str:
        """For tools."""
        return self.template.format(**self.facts) if self.facts else self.template

    def text(self) -> str:
        """For people, in the language in force."""
        told = {key: _told(value) for key, value in self.facts.items()}
        return _(self.template).format(**told) if told else _(self.template)

    def __str__(self) -> str:
        return self.english()


def _told(value: object) -> object:
    return value.text() if isinstance(value, Sentence) else value


def say(template: str, **facts: object) -> Sentence:
    """A sentence with its facts."""
    return Sentence(template, facts)


class Problem(Struct, frozen=True, dict=True):
    """One mistake. The fields are English, for tools; `text()` is for people. `line` 0: the file as a whole."""

    file: str
    line: int
    found: str
    expected: str = ""
    nearest: str = ""

    @classmethod
    def of(cls, file: str, line: int, found: Sentence, expected: Sentence | None = None, nearest: str = "") -> Self:
        """A problem that can be told in the reader's language, later."""
        problem = cls(file, line, found.english(), expected.english() if expected else "", nearest)
        # Beside the fields, not among them: what tools read stays flat text.
        problem.__dict__.update(found=found, expected=expected)
        return problem

    def text(self) -> str:
        """`jisr.toml, line 24: …`, then what would be right, in the language in force."""
        found, expected = self.__dict__.get("found"), self.__dict__.get("expected")
        said = found.text() if found else _(self.found)
        lines = [_(AT_LINE).format(file=self.file, line=self.line, found=said) if self.line else said]
        if self.expected:
            right = expected.text() if expected else _(self.expected)
            lines.append("  " + _(RIGHT).format(expected=right))
        if self.nearest:
            lines.append("  " + _(NEAREST).format(nearest=self.nearest))
        return "\n".join(lines)


class ConfigErrors(JisrError):
    """Everything that is wrong in a configuration, at once."""

    sentence = "{problems}"
    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(problems="\n".join(f"{each.file}:{each.line}: {each.found}" for each in self.problems))

    def text(self) -> str:
        """One block for each problem."""
        return "\n".join(problem.text() for problem in self.problems)


class BadValue(JisrError):
    """A value in another form than it must have. `expected` is a template over the same facts."""

    exit_code = 2
    expected: ClassVar[str] = ""

    def __init__(self, nearest: str = "", **facts: object) -> None:
        super().__init__(**facts)
        self.nearest = nearest

    @property
    def right(self) -> Sentence:
        """What would be right."""
        return Sentence(self.expected, self.facts)


def nearest_of(word: object, known: Iterable[str]) -> str:
    """The known word that looks most like this one, or nothing."""
    if not isinstance(word, str) or len(word) > 64:
        return ""
    folded = {name.lower().replace("_", "-"): name for name in known}
    close = difflib.get_close_matches(word.lower().replace("_", "-"), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else ""


def shown(value: object) -> str:
    """A value as TOML would write it, cut to what fits into a sentence; no control character gets through."""
    if isinstance(value, str):
        text = "".join(map(_printable, json.dumps(value, ensure_ascii=False)))
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, dict):
        text = "{ … }" if value else "{}"
    elif isinstance(value, list):
        text = "[ … ]" if value else "[]"
    else:
        text = str(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _printable(character: str) -> str:
    return character if character.isprintable() else f"\\u{ord(character):04x}"


def listed(words: Iterable[str]) -> str:
    """Words one after another, as a sentence has them."""
    return ", ".join(words)
