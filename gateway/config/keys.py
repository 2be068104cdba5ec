"""The keys of the configuration: what each may hold, and in words what would be right (its `description`)."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from drivers.observation import Mode
from gateway.errors import JisrError
from gateway.language import N_

Ident = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z0-9-]{1,64}\Z",
        description=N_(
            "small letters a to z, digits and hyphens, 1 to 64 of them; it becomes part of topics and files"
        ),
    ),
]
FilePath = Annotated[
    str,
    Meta(
        pattern=r"\A[^\x00-\x1f\x7f]{1,4096}\Z",
        description=N_("the name of a file, from this file's folder or from /"),
    ),
]
FolderPath = Annotated[
    str,
    Meta(pattern=r"\A[^\x00-\x1f\x7f]{1,4096}\Z", description=N_("the name of a folder, for example /data/spool")),
]
SocketPath = Annotated[
    str,
    Meta(
        pattern=r"\A[^\x00-\x1f\x7f]{0,100}\Z",
        description=N_("the name of a socket, at most 100 characters, for example /run/jisr/agent.sock"),
    ),
]
Broker = Annotated[str, Meta(description=N_("mqtts://HOST:PORT, for example mqtts://platform.example:8883"))]
Ack = Annotated[
    Literal["platform", "broker"],
    Meta(description=N_('"platform" (disk is freed on the platform\'s own word) or "broker" (on the broker\'s)')),
]
Encoding = Annotated[
    Literal["json", "compact"],
    Meta(description=N_('"json" (anyone can read it) or "compact" (for slow and paid links)')),
]
Budget = Annotated[str, Meta(description=N_('bytes per hour, for example "20 MiB/h"'))]
Size = Annotated[str, Meta(description=N_('a size, for example "1 GiB"'))]
DriverName = Annotated[str, Meta(description=N_("the name of a driver; jisr drivers lists them"))]
ProfileName = Annotated[
    str, Meta(description=N_("the name of a device family of this driver; jisr drivers lists them"))
]
Port = Annotated[
    str,
    Meta(description=N_("serial:/dev/serial/by-path/…, tcp:, tcp-listen: or udp:HOST:PORT, or a modbus- port")),
]
Line = Annotated[str, Meta(description=N_('the line settings the device shows, for example "19200 8E1"'))]
Place = Annotated[
    str,
    Meta(
        pattern=r"\A[^\x00-\x1f\x7f]{0,64}\Z",
        description=N_('where the device stands, at most 64 characters, for example "REA/lit-4"; never a patient'),
    ),
]
Options = Annotated[dict[str, Any], Meta(description=N_("a table of the driver's own options, which its page lists"))]
DeviceMode = Annotated[
    Mode, Meta(description=N_('"real", or "test" or "demo" for a device whose values are no patient\'s'))
]
FirstTrial = Annotated[
    Literal["", "no_patient"],
    Meta(description=N_('"no_patient", once a person has made sure that no patient is attached for the first trial')),
]
ListenOnly = Annotated[bool, Meta(description=N_("true or false, without quotation marks"))]
AcceptSketch = Annotated[bool, Meta(description=N_("true or false, without quotation marks"))]
Language = Annotated[Literal["fr", "en"], Meta(description=N_('"fr" or "en"'))]


class GatewayConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`[gateway]`: which box this is."""

    id: Ident
    site: Ident
    language: Language = "fr"
    socket: SocketPath = ""


class TlsFiles(Struct, frozen=True, forbid_unknown_fields=True):
    """`tls` of `[uplink]`: the programme's CA, and this box's own certificate and key."""

    ca: FilePath
    certificate: FilePath
    key: FilePath
    crl: FilePath = ""


class UplinkConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`[uplink]`: the way to the platform."""

    broker: Broker
    tls: TlsFiles
    ack: Ack = "platform"
    encoding: Encoding = "json"
    budget: Budget = ""
    ack_key: FilePath = ""


class CapsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`caps` of `[spool]`: what each kind of data may take of the disk."""

    event: Size = "1 GiB"
    numeric: Size = "8 GiB"
    wave: Size = "4 GiB"
    log: Size = "256 MiB"


class SpoolConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`[spool]`: where what is not delivered yet is kept, how much of it, and the file with the key to it."""

    path: FolderPath
    caps: CapsConfig = CapsConfig()
    secret: FilePath = ""


class DeviceConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[device]]`. `profile` is a name, or the absolute path of a map of the user's own."""

    name: Ident
    driver: DriverName
    port: Port
    profile: ProfileName = ""
    line: Line = ""
    place: Place = ""
    options: Options = {}
    mode: DeviceMode = "real"
    first_trial: FirstTrial = ""
    listen_only: ListenOnly = False
    accept_sketch: AcceptSketch = False


class Keys(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    gateway: GatewayConfig
    uplink: UplinkConfig
    spool: SpoolConfig
    device: tuple[DeviceConfig, ...] = ()


class Config(Keys, frozen=True, forbid_unknown_fields=True):
    """A configuration in which everything was found right; its paths are absolute."""

    notices: tuple[JisrError, ...] = ()
    """What is allowed and yet worth saying; `jisr check` and the agent show them."""
