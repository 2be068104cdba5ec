"""Errors a person can act on: one root, a leaf per cause, each with the sentence an installer needs."""

from typing import ClassVar

from gateway.language import N_, _

OS_WORDS = (
    N_("No such file or directory"),
    N_("Permission denied"),
    N_("Operation not permitted"),
    N_("File exists"),
    N_("Not a directory"),
    N_("Is a directory"),
    N_("Read-only file system"),
    N_("No space left on device"),
    N_("Input/output error"),
    N_("File name too long"),
    N_("Too many levels of symbolic links"),
    N_("Too many open files"),
    N_("Address already in use"),
    N_("Cannot assign requested address"),
    N_("Name or service not known"),
    # of gateway/ports
    N_("hang-up"),
    N_("closed"),
    N_("closed by the device"),
    N_("write time-out"),
)
"""Facts that are words: what the operating system says (in English on most machines), and why a port was lost."""


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
        facts = {key: _(str(fact)) if fact in OS_WORDS else fact for key, fact in self.facts.items()}
        return _(self.sentence).format(**facts)
