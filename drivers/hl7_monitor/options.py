"""What the configuration may say to the driver, and what a dialect fixes."""

from typing import Literal

from msgspec import Struct


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Engine options of the `hl7_monitor` driver."""

    application: str = ""
    """What the sender calls itself (MSH-3, first component); a message of another one is refused. Empty: anybody."""
    beds: Literal["one", "many"] = "one"
    """`one`: a message of a second bed is refused. `many`: each bed is a slot of its own (PV1-3 as sent)."""
    omit: tuple[str, ...] | str = ()
    """Codes (OBX-3, first component) that are never published, such as one that holds the patient's number."""
    encoding: Literal["", "utf-8", "iso-8859-1", "gb18030"] = ""
    """Of the messages; empty: UTF-8 where the bytes are that, else ISO 8859-1."""
    invalid: tuple[str, ...] | str = ()
    """Texts that a sender puts in the place of a number when it has none; they are absent."""

    @property
    def omitted(self) -> frozenset[str]:
        """The codes as a set: the command line gives a single one as a word."""
        return frozenset((self.omit,) if isinstance(self.omit, str) else self.omit)

    @property
    def invalid_texts(self) -> frozenset[str]:
        """The texts as a set."""
        return frozenset((self.invalid,) if isinstance(self.invalid, str) else self.invalid)
