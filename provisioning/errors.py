"""What may be asked wrongly of the `jisr` command: each its own sentence, exit code 2."""

from gateway.errors import JisrError
from gateway.language import N_


class AskedWrongly(JisrError):
    """An argument that cannot be used."""

    exit_code = 2


class NoSuchName(AskedWrongly):
    """A driver or profile that is not in the catalog."""

    sentence = N_("There is no {kind} named {name}. There are: {known}.")


class BadOption(AskedWrongly):
    """An option the driver does not have, or cannot read."""

    sentence = N_("The driver {driver} cannot take these options: {detail}.")


class BadChunk(AskedWrongly):
    """`--chunk` in another form."""

    sentence = N_("--chunk {found}: write random:SEED, with a whole number, for example random:7.")


class BadAddress(AskedWrongly):
    """Not HOST:PORT."""

    sentence = N_("{found}: write HOST:PORT, for example 127.0.0.1:4001.")


class NoSuchFault(AskedWrongly):
    """A fault the simulator does not have."""

    sentence = N_("There is no fault named {name}. There are: {known}.")
