"""What a person says that a display shows: typed at the prompts, or given as words of the command."""

import sys
from collections.abc import Iterator

from drivers.observation import Result
from drivers.profile import Profile
from gateway import language
from gateway.errors import JisrError
from gateway.language import N_, _
from provisioning.comparison import parse_shown, plain
from provisioning.errors import AskedWrongly

NAME_LENGTH = 64


class NoName(AskedWrongly):
    """Nobody stands for the comparison."""

    sentence = N_('Who compared? Give a name of 1 to 64 characters: --by "A. Naciri"')


class NotTyped(AskedWrongly):
    """`--shown` in another form."""

    sentence = N_('--shown {found}: write TEST=VALUE UNIT, for example --shown "HGB=12.5 g/dL".')


class NoSuchResult(AskedWrongly):
    """A test that the analyzer has not sent."""

    sentence = N_(
        "{device} has sent no (further) result {test} since the agent was started that can be compared. There are: "
        "{known}."
    )


class Interrupted(JisrError):
    """The input ended."""

    sentence = N_("The input ended before everything was typed. Nothing was stored.")


def pair(shown: list[str], latest: list[Result], device: str) -> list[tuple[Result, str]]:
    """Each `--shown` with the newest result of its test, a further one of that test with the one before."""
    left, pairs = list(latest), []
    for each in shown:
        test, equals, typed = each.partition("=")
        if not equals:
            raise NotTyped(found=each)
        seen = next((one for one in left if one.test == test.strip()), None)
        if seen is None:
            known = ", ".join(dict.fromkeys(plain(one.test) for one in latest))
            raise NoSuchResult(device=device, test=test.strip(), known=known)
        left.remove(seen)
        pairs.append((seen, typed))
    return pairs


def ask(results: list[Result], device: str, profile: Profile) -> Iterator[tuple[Result, str]]:
    """What the display shows, result by result; what the box reads is not told before, so that nobody copies it."""
    say(
        _(
            "{device}: {count} results are compared. Type what the analyzer's own display or print-out shows, with "
            "its unit,\nfor example 12.5 g/dL. Ctrl-C ends it; nothing is stored then."
        ).format(device=device, count=len(results))
    )
    for number, seen in enumerate(results, 1):
        prompt = f"{number}/{len(results)}  {_label(seen, profile)}"
        while True:
            typed = _line(prompt)
            try:
                parse_shown(seen.test, typed)
            except AskedWrongly as error:
                say(error.text())
            else:
                break
        yield seen, typed


def _label(seen: Result, profile: Profile) -> str:
    """The test, and when, but not whose."""
    row = profile.by_code.get(seen.vendor.code) if seen.vendor else None
    label = row.label(language.current()) if row else ""
    name = f"{seen.test} ({label})" if label not in ("", seen.test) else seen.test
    when = seen.completed or seen.device_time
    told = _("{test}, measured {when}, received {at} UTC: ") if when else _("{test}, received {at} UTC: ")
    return told.format(test=plain(name), when=plain(when), at=seen.at[:19].replace("T", " "))


def ask_name() -> str:
    """Who compares, asked until there is a name. Raises `Interrupted`."""
    while True:
        name = " ".join(_line(_("Your name: ")).split())
        try:
            return check_name(name)
        except NoName as error:
            say(error.text())


def check_name(name: str) -> str:
    """The name, if it is one. Raises `NoName`."""
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable() or not name.strip():
        raise NoName
    return name


def _line(prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    try:
        line = sys.stdin.readline()
    except KeyboardInterrupt:
        say("\n" + _("Nothing was stored."))
        raise
    if not line:
        sys.stderr.write("\n")
        raise Interrupted
    return line


def say(text: str) -> None:
    """A line for a person, beside what a tool reads."""
    sys.stderr.write(text + "\n")
