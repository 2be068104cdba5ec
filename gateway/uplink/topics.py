"""Topic names of the published contract. No device text and nothing of a patient ever becomes part of one (law 9)."""

import re
from typing import Literal, get_args

from drivers.observation import Lane

ROOT = "jisr/v1"
Era = Literal["live", "hist"]
"""`live`: committed since the connection was made. `hist`: back-fill, oldest first, never ahead of live."""
Own = Literal["birth", "state", "health"]

_SEGMENT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LANES: tuple[str, ...] = get_args(Lane)
_META = "meta"
"""Stands where a site stands, so no site may be called that."""
_DICTIONARY = re.compile(rf"{ROOT}/{_META}/dict/([0-9a-f]{{8}})")


def is_segment(name: str) -> bool:
    """Whether a site or gateway id may stand in a topic: 1 to 64 of A-Z a-z 0-9 . _ -"""
    return _SEGMENT.fullmatch(name) is not None


def is_site(name: str) -> bool:
    """Whether a site may be called that: a segment, and not `meta`, under which the platform keeps its own."""
    return is_segment(name) and name != _META


def own_topic(site: str, gateway: str, leaf: Own) -> str:
    """`jisr/v1/<site>/<gateway>/birth`, `state` or `health`."""
    return f"{ROOT}/{site}/{gateway}/{leaf}"


def frame_topic(site: str, gateway: str, era: Era, lane: Lane) -> str:
    """`jisr/v1/<site>/<gateway>/live/<lane>` or `hist/<lane>`."""
    return f"{ROOT}/{site}/{gateway}/{era}/{lane}"


def ack_topic(site: str, gateway: str, lane: Lane) -> str:
    """Where the platform acknowledges one lane."""
    return f"{ROOT}/{site}/{gateway}/ack/{lane}"


def ack_filter(site: str, gateway: str) -> str:
    """What a gateway subscribes to for its acknowledgements."""
    return f"{ROOT}/{site}/{gateway}/ack/#"


def time_topic(site: str, gateway: str) -> str:
    """Where a box asks the platform for the time."""
    return f"{ROOT}/{site}/{gateway}/time"


def time_answer_topic(site: str, gateway: str) -> str:
    """Where the platform answers; the filter of the acknowledgements covers it."""
    return f"{ROOT}/{site}/{gateway}/ack/time"


def dictionary_topic(name: str) -> str:
    """Where the platform keeps the dictionary of that id (eight hexadecimal digits), retained."""
    return f"{ROOT}/{_META}/dict/{name}"


def dictionary_named(topic: str) -> str:
    """The id in the topic of a dictionary, "" for any other topic."""
    found = _DICTIONARY.fullmatch(topic)
    return found.group(1) if found else ""


ALL_GATEWAYS = f"{ROOT}/+/+/#"
"""What a consumer subscribes to (its own acknowledgements come along, and are passed over)."""
_SHARED = ("live/+", "hist/+", "health", "time")
_OWN = ("birth", "state")


def consumer_filters(share: str = "") -> tuple[str, ...]:
    """What a consumer subscribes to; with `share`, one of several that divide the work between them.

    A shared subscription is given no retained messages (MQTT 5.0, section 4.8.2), so each keeps birth, state and
    the dictionaries.
    """
    if not share:
        return (ALL_GATEWAYS,)
    return (
        *(f"$share/{share}/{ROOT}/+/+/{rest}" for rest in _SHARED),
        *(f"{ROOT}/+/+/{rest}" for rest in _OWN),
        dictionary_topic("+"),
    )


def split_topic(topic: str) -> tuple[str, str, str] | None:
    """(site, gateway, rest) of a topic of ours, else None."""
    parts = topic.split("/", 4)
    if len(parts) != 5 or f"{parts[0]}/{parts[1]}" != ROOT:
        return None
    return (parts[2], parts[3], parts[4]) if is_segment(parts[2]) and is_segment(parts[3]) else None


def lane_named(name: str) -> Lane | None:
    """The lane of that name, else None."""
    return name if name in _LANES else None  # type: ignore[return-value]
