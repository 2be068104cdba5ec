"""What may be asked wrongly of the `jisr` command: each its own sentence, exit code 2."""

from gateway.errors import JisrError
from gateway.language import N_


class AskedWrongly(JisrError):
    """An argument that cannot be used."""

    exit_code = 2


class NoSuchDriver(AskedWrongly):
    """A driver that is not in the catalog."""

    sentence = N_("There is no driver named {name}. There are: {known}.")


class NoSuchProfile(AskedWrongly):
    """A profile that the driver does not have."""

    sentence = N_("There is no profile named {name}. There are: {known}.")


class ChooseProfile(AskedWrongly):
    """The driver has several profiles."""

    sentence = N_("Several device families speak this protocol: name one with --profile. There are: {known}.")


class NoSuchSimulator(AskedWrongly):
    """A simulator that is not there."""

    sentence = N_("There is no simulator named {name}. There are: {known}.")


class NoSuchOption(AskedWrongly):
    """An option that the driver or simulator does not have."""

    sentence = N_("{owner} has no option {name}. It has: {known}.")


class BadOption(AskedWrongly):
    """A value of an option that cannot be read."""

    sentence = N_("{owner} cannot take these options: {detail}.")


class BadOptionValue(AskedWrongly):
    """A value of a driver's option of another kind."""

    sentence = N_("{owner}: {name} = {value} cannot be used. What would be right: {expected}.")


class OtherRecording(AskedWrongly):
    """Registers for a driver of byte streams, or the other way round."""

    sentence = N_("{file}: this recording was not made with the driver {driver}, nor with one that is like it.")


class BadChunk(AskedWrongly):
    """`--chunk` in another form."""

    sentence = N_("--chunk {found}: write random:SEED, with a whole number, for example random:7.")


class WholeDatagrams(AskedWrongly):
    """`--chunk` for a device whose pieces are whole."""

    sentence = N_("--chunk: {driver} {profile} speaks by datagrams, and those arrive whole. Leave --chunk out.")


class BadAddress(AskedWrongly):
    """Not HOST:PORT."""

    sentence = N_("{found}: write HOST:PORT, for example 127.0.0.1:4001.")


class NoSuchFault(AskedWrongly):
    """A fault the simulator does not have."""

    sentence = N_("There is no fault named {name}. There are: {known}.")
