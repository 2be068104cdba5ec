"""What a right configuration does that its author may not expect: allowed, and said."""

from collections.abc import Iterator

from drivers.profile import Profile
from gateway.config.device import profile_of
from gateway.config.keys import DeviceConfig, Keys
from gateway.config.port import parse_port
from gateway.errors import JisrError
from gateway.language import N_


class ListenedTo(JisrError):
    """Law 3: nobody has said that no patient was attached for the first trial."""

    sentence = N_(
        '{device} is listened to only: nothing is sent to it. To let Jisr ask, write first_trial = "no_patient" in '
        "its [[device]], once a person has made sure that no patient is attached for the first trial."
    )


class LineNotNamed(JisrError):
    """Law 3: nothing is sent at line settings that no person has named."""

    sentence = N_(
        "{device} is listened to only: nothing is sent at line settings that no person has named. "
        'Write line = "{line}" in its [[device]], if that is what the device shows.'
    )


class NeverAsked(JisrError):
    """Every model of the profile must only be listened to."""

    sentence = N_("{device} is listened to only: its makers or others report harm when it is sent to ({reason}).")


class SomeNeverAsked(JisrError):
    """Some models of the profile must only be listened to, and the configuration does not say which it is."""

    sentence = N_("{device}: if it is one of these, write listen_only = true in its [[device]]: {reason}.")


class SketchAccepted(JisrError):
    """A person has said that a profile nobody has tried may be used."""

    sentence = N_(
        "{device}: its profile {profile} is a sketch. It was written from a document or another program only, and "
        "has never been seen with a device. Compare its values with what the device itself shows before anyone "
        "relies on them."
    )


class BrokerAnswers(JisrError):
    """Law 5 given up."""

    sentence = N_(
        'ack = "broker": disk is freed once the broker has a message, and what the broker then loses is lost. '
        'ack = "platform" waits for the platform.'
    )


class NoDevice(JisrError):
    """Nothing to read."""

    sentence = N_("No [[device]] is configured: there is nothing to read.")


def named_in(profile: Profile, model: str) -> str:
    """The `do_not_send` entry that this model is in (`Model before 2.0: reason`), or nothing."""
    return next((each for each in profile.protocol.do_not_send if model.casefold() in each.casefold()), "")


def is_wholly_named(profile: Profile, model: str) -> bool:
    """True where an entry is `Model: reason`, whatever the firmware."""
    heads = (each.partition(":")[0].strip().casefold() for each in profile.protocol.do_not_send)
    return model.casefold() in heads


def silence_of(device: DeviceConfig, profile: Profile) -> JisrError | None:
    """Why nothing may be sent to a device that is not `listen_only`; None where sending is allowed (law 3)."""
    if profile.models and all(is_wholly_named(profile, model) for model in profile.models):
        return NeverAsked(device=device.name, reason=_reasons(profile))
    if not profile.protocol.bedside:
        return None
    if device.first_trial != "no_patient":
        return ListenedTo(device=device.name)
    if parse_port(device.port).needs_line and not device.line:
        return LineNotNamed(device=device.name, line=profile.line)
    return None


def notices_of(config: Keys) -> Iterator[JisrError]:
    """All notices of a configuration without mistakes."""
    if config.uplink.ack == "broker":
        yield BrokerAnswers()
    if not config.device:
        yield NoDevice()
    for device in config.device:
        profile = profile_of(device)
        if profile.tier == "sketch":
            yield SketchAccepted(device=device.name, profile=profile.name)
        if device.listen_only or not may_ever_send(profile):
            continue
        silence = silence_of(device, profile)
        if silence:
            yield silence
            continue
        if reason := _reasons(profile):
            yield SomeNeverAsked(device=device.name, reason=reason)


def _reasons(profile: Profile) -> str:
    found = (named_in(profile, model) for model in profile.models)
    return "; ".join(dict.fromkeys(reason for reason in found if reason))


def may_ever_send(profile: Profile) -> bool:
    """True where the profile has anything to send: an allow-list, or Modbus requests."""
    return bool(profile.allowed) or "modbus" in profile.ports
