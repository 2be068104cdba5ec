"""French and English: every sentence a person reads goes through `_()`; English is the message id."""

import gettext
import os
from pathlib import Path

LANGUAGES = ("en", "fr")
LOCALE = Path(__file__).parent / "locale"

_current: gettext.NullTranslations = gettext.NullTranslations()
_name = "en"


def N_(sentence: str) -> str:  # noqa: N802 - gettext's own name for "translate later"
    """Mark a sentence for translation; it is translated where it is shown."""
    return sentence


def _(sentence: str) -> str:
    """The sentence in the chosen language."""
    return _current.gettext(sentence)


def choose(language: str = "") -> str:
    """Set the language: the argument, else LC_ALL, LC_MESSAGES, LANG, else English. Returns the one chosen."""
    global _current, _name  # noqa: PLW0603 - one process speaks one language
    wanted = language or next((os.environ[k] for k in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(k)), "")
    chosen = wanted[:2].lower() if wanted[:2].lower() in LANGUAGES else "en"
    _current = gettext.translation("jisr", str(LOCALE), [chosen], fallback=True)
    _name = chosen
    return chosen


def current() -> str:
    """The language in force, `en` or `fr`."""
    return _name
