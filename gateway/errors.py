"""Errors a person can act on: one root, a leaf per cause, each with the sentence an installer needs."""

from typing import ClassVar

from gateway.language import _


class JisrError(Exception):
    """Root of all expected errors. A leaf sets `sentence`, an English template for gettext with {named} fields."""

    sentence: ClassVar[str] = ""
    exit_code: ClassVar[int] = 1
    """What the command that met it exits with: 1 it did not work, 2 it was asked wrongly."""

    def __init__(self, **facts: object) -> None:
        super().__init__(self.sentence.format(**facts))
        self.facts = facts

    def text(self) -> str:
        """The sentence in the chosen language."""
        return _(self.sentence).format(**self.facts)
