"""Curves that a device's options ask for: which may be, and how many samples, so that their cost is said beforehand.

Options that choose curves have a method `curve_stream()`. It reads the rate where the driver has it: in a table of
the protocol, in the profile, in the configuration. Where the device states it at run time only, it says so.
"""

from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct


def N_(sentence: str) -> str:  # noqa: N802 - gettext's own name; this ground floor imports nothing of the gateway
    """Mark a sentence for translation; it is translated where it is shown."""
    return sentence


NO_SUCH = N_("{code}: there is no such curve; there are: {known}")
TWICE = N_("{code}: named twice")
TOO_MANY = N_("at most {most}")
TOO_FAST = N_("at most {most} samples a second, all of them together")
NOT_HERE = N_("there are none in the data format of this profile")
TWO_DIGITS = N_("{code}: a curve is named by two hexadecimal digits, for example 0A")
NO_INTERVAL = N_("they need interval_us: the device does not tell it in a unit that is known")


class BadCurves(ValueError):
    """Curves that cannot be asked for: `template` filled with `facts`, so that it can be told in another language."""

    def __init__(self, template: str, **facts: object) -> None:
        super().__init__(f"curves: {template.format(**facts)}")
        self.template, self.facts = template, facts
        self.known: Collection[str] = ()
        """What there is, where a name is not among it."""


def check_curves(codes: Sequence[str], *, most: int, known: Collection[str] = ()) -> None:
    """Raise `BadCurves` for a name that is not `known` (any, where empty), one named twice, or more than `most`."""
    for code in codes:
        if known and code not in known:
            bad = BadCurves(NO_SUCH, code=code, known=", ".join(known))
            bad.known = known
            raise bad
        if codes.count(code) > 1:
            raise BadCurves(TWICE, code=code)
    if len(codes) > most:
        raise BadCurves(TOO_MANY, most=most)


class CurveStream(Struct, frozen=True):
    """The curves that the options of one device ask for, all of them together."""

    codes: tuple[str, ...]
    """As the configuration names them."""
    per_s: float | None = None
    """Samples a second; None where only the device knows: it tells the interval, or interrupts the stream."""
    most_per_s: float | None = None
    """Then: the most there can be, if the protocol's document or the configuration tells it."""
    line_bytes: float | None = None
    """Then, on a serial line: bytes that the line carries for a sample at least."""
    waveforms_per_s: float = 0.0
    """Observations that the samples are published in; 0: one a second of each curve."""

    @property
    def arrays_per_s(self) -> float:
        """Observations a second."""
        return self.waveforms_per_s or float(len(self.codes))

    def most(self, line_bytes_per_s: float = 0.0) -> float | None:
        """Samples a second at most, on a line that carries so many bytes; None where nothing bounds them."""
        bounds = [self.per_s, self.most_per_s]
        if self.line_bytes and line_bytes_per_s:
            bounds.append(line_bytes_per_s / self.line_bytes)
        return min((bound for bound in bounds if bound is not None), default=None)


@runtime_checkable
class HasCurves(Protocol):
    """Options of a driver that can publish curves."""

    def curve_stream(self) -> CurveStream | None:
        """What they ask for; None where they name no curve."""
        ...


def curve_stream(options: Struct) -> CurveStream | None:
    """What a driver's options ask for; None where they name no curve. A driver that tells no rate leaves it open."""
    if isinstance(options, HasCurves):
        return options.curve_stream()
    codes = getattr(options, "curve_codes", ())
    return CurveStream(tuple(sorted(codes))) if codes else None
