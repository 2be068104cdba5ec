"""What can be wrong with the link: a leaf per cause, each with the sentence an installer needs."""

from gateway.errors import JisrError
from gateway.language import N_


class UplinkError(JisrError):
    """Root of what ends or prevents a connection; the spool keeps everything meanwhile."""


class LocalError(UplinkError):
    """What is wrong lies on this box."""


class BrokerAddress(LocalError):
    """The address in the configuration is not one."""

    sentence = N_("broker = {found!r}: expected mqtts://HOST:PORT, for example mqtts://platform.example:8883.")
    exit_code = 2


class PlainTextRefused(LocalError):
    """A scheme without TLS."""

    sentence = N_("broker = {found!r}: without encryption nothing is sent. Write mqtts:// and the broker's TLS port.")
    exit_code = 2


class NameUnfit(LocalError):
    """A site or gateway id that cannot stand in a topic."""

    sentence = N_("{name!r} cannot be a site or gateway name: use 1 to 64 letters without accents, digits, . _ or -")
    exit_code = 2


class FileMissing(LocalError):
    """One of our files is not there."""

    sentence = N_("{role}: the file {path} does not exist.")


class FileUnreadable(LocalError):
    """One of our files cannot be read."""

    sentence = N_("{role}: the file {path} cannot be read ({why}).")


class FileDamaged(LocalError):
    """One of our files is not what it should be."""

    sentence = N_("{role}: the file {path} is not valid PEM, or holds something else.")


class KeyMismatch(LocalError):
    """Certificate and key are not a pair."""

    sentence = N_("The key {key} does not belong to the certificate {certificate}.")


class CertificateExpired(LocalError):
    """Our certificate is over."""

    sentence = N_("This box's certificate expired on {end}. Renew it; until then everything is kept on disk.")


class CertificateNotYet(LocalError):
    """Our certificate begins later, or our clock is wrong."""

    sentence = N_("This box's certificate begins on {start}, but the box's clock says {now}. Check the clock first.")


class CertificateOther(LocalError):
    """The certificate names another box."""

    sentence = N_("The certificate is for {found!r}, but this box is called {gateway!r} in the configuration.")


class CertificateNotClient(LocalError):
    """The certificate is not for a client."""

    sentence = N_("The certificate {path} is not for a box: it lacks the extended key usage clientAuth.")


class AckKeyUnfit(LocalError):
    """The acknowledgement key is not one."""

    sentence = N_("The acknowledgement key {path} must hold 64 hexadecimal digits and nothing else.")


class TlsBlind(LocalError):
    """We could not see what must be seen."""

    sentence = N_("This Python cannot show whether the broker asks for our certificate; no connection is made.")


class BrokerUnknown(UplinkError):
    """DNS has no such name."""

    sentence = N_("The name {host} is not known. Check the network and the name server.")


class BrokerRefuses(UplinkError):
    """Nothing listens there."""

    sentence = N_("{host} refuses connections on port {port}. Is the broker running there?")


class BrokerSilent(UplinkError):
    """No answer in time."""

    sentence = N_("{host} does not answer on port {port} within {seconds} s.")


class BrokerUnreachable(UplinkError):
    """The network has no way there."""

    sentence = N_("{host} cannot be reached ({why}). Check the cable, the modem and the route.")


class BrokerUntrusted(UplinkError):
    """Root of what is wrong with the broker's side of TLS: nothing was sent to it."""

    sentence = N_("The broker's certificate is refused: {why}")


class ServerSelfSigned(BrokerUntrusted):
    """Self-signed leaf."""

    sentence = N_("The broker shows a self-signed certificate. It needs one issued by the programme's CA.")


class ServerOtherAuthority(BrokerUntrusted):
    """Another CA."""

    sentence = N_("The broker's certificate was not issued by the programme's CA. Wrong broker, or wrong ca file?")


class ServerExpired(BrokerUntrusted):
    """Over."""

    sentence = N_("The broker's certificate has expired (the box's clock says {now}).")


class ServerLongOver(ServerExpired):
    """Over before a day that is behind us by any clock."""

    sentence = N_("The broker's certificate expired before {now}, and it is later than that by any clock.")


class ServerNotYet(BrokerUntrusted):
    """Not begun, or our clock is wrong."""

    sentence = N_("The broker's certificate is not yet valid: the box's clock says {now}. Check the clock first.")


class ServerOtherName(BrokerUntrusted):
    """Another name."""

    sentence = N_("The broker's certificate is for another name than {host}.")


class ServerNameless(BrokerUntrusted):
    """CN only."""

    sentence = N_("The broker's certificate has its name only in the CN; it needs a subject alternative name.")


class ServerWrongPurpose(BrokerUntrusted):
    """EKU without serverAuth."""

    sentence = N_("The broker's certificate is not for servers: its extended key usage lacks serverAuth.")


class ServerNoPurpose(BrokerUntrusted):
    """No EKU."""

    sentence = N_("The broker's certificate has no extended key usage; it needs serverAuth.")


class ServerIsAuthority(BrokerUntrusted):
    """CA:TRUE leaf."""

    sentence = N_("The broker's certificate is that of an authority (CA:TRUE); a server must not have one.")


class ServerIsGateway(BrokerUntrusted):
    """A box's certificate."""

    sentence = N_("What answers at {host} shows the certificate of a gateway, not of a broker.")


class ServerRevoked(BrokerUntrusted):
    """Revoked."""

    sentence = N_("The broker's certificate was revoked by the programme's CA.")


class RevocationListOld(BrokerUntrusted):
    """CRL missing for an issuer, or past its time."""

    sentence = N_("The revocation list {path} is out of date or lacks an issuer. Renew it, one list for each CA.")


class RevocationListDated(RevocationListOld):
    """Only its dates are wrong, by a clock that may be wrong itself."""


class ClockDoubtful(BrokerUntrusted):
    """Our clock is not trusted, and by it the broker's dates are wrong."""

    sentence = N_(
        "By this box's clock ({now}), which nothing confirms, the broker's certificate is not valid. "
        "Nothing is sent, everything is kept on disk. Check the clock first."
    )


class ClockUnconfirmed(UplinkError):
    """Told, not raised: the dates were judged by a clock that nothing confirms."""

    sentence = N_(
        "Nothing confirms this box's clock (it says {now}). The broker's certificate is valid by it; the platform is "
        "asked for the time, and the connection ends if its answer says otherwise."
    )


class TimeUnanswered(UplinkError):
    """The platform was asked for the time and said nothing that could be believed."""

    sentence = N_(
        "This box's clock ({now}) is wrong or not set, and the platform did not tell the time within {seconds} s. "
        "Nothing is sent, everything is kept on disk. Check the clock first."
    )


class TimeAsked(UplinkError):
    """Told, not raised: one connection whose dates nobody has checked, for one question."""

    sentence = N_(
        "By this box's clock ({now}), which nothing confirms, the broker's certificate is not valid. Before anything "
        "else is sent the platform is asked for the time; its answer is signed."
    )


class TimeRefused(UplinkError):
    """An answer that is none."""

    sentence = N_("An answer about the time was refused ({reason}); the clock was not changed by it.")


class ServerOldTls(BrokerUntrusted):
    """TLS 1.1 or older, or no suite in common."""

    sentence = N_("The broker speaks no TLS 1.2 or 1.3 with a modern cipher. It must be updated.")


class ServerPlainText(BrokerUntrusted):
    """No TLS at all."""

    sentence = N_("What answers at {host}:{port} does not speak TLS. Is this the broker's plain port?")


class ServerHangsUp(BrokerUntrusted):
    """Closed inside the handshake."""

    sentence = N_("{host}:{port} closes the connection during the TLS handshake. Is this the broker's TLS port?")


class ServerAsksNothing(BrokerUntrusted):
    """No CertificateRequest."""

    sentence = N_("The broker does not ask for this box's certificate (require_certificate). Nothing is sent to it.")


class CertificateRefused(UplinkError):
    """The broker does not want ours."""

    sentence = N_("The broker refuses this box's certificate: {why}.")


class BrokerProtocol(UplinkError):
    """What came was not MQTT 5."""

    sentence = N_("The broker does not answer in MQTT 5.")


class BrokerSaysNo(UplinkError):
    """CONNACK with a reason."""

    sentence = N_("The broker refuses the connection: {reason}.")


class BrokerWithoutQos(UplinkError):
    """CONNACK with Maximum QoS 0."""

    sentence = N_("The broker offers no QoS 1, so nothing could be confirmed.")


class TakenOver(UplinkError):
    """Another connection with our identity."""

    sentence = N_("Another box connected with this box's identity. Two boxes must never share a certificate.")


class BrokerLeaves(UplinkError):
    """DISCONNECT with a reason."""

    sentence = N_("The broker ended the connection: {reason}.")


class ConnectionLost(UplinkError):
    """The line broke, or keep-alive ran out."""

    sentence = N_("The connection to the broker was lost.")


class BrokerStuck(UplinkError):
    """No PUBACK."""

    sentence = N_("The broker has confirmed nothing for {seconds} s; connecting again.")


class NotDelivered(UplinkError):
    """PUBACK with a reason other than success."""

    sentence = N_("The broker took nothing on {topic}: {reason}. It is kept on disk and sent again later.")


class NobodyListens(NotDelivered):
    """PUBACK 0x10."""

    sentence = N_("Nobody at the platform listens to {topic}. It is kept on disk and sent again later.")


class NotAcknowledged(UplinkError):
    """No acknowledgement in time."""

    sentence = N_("The platform has acknowledged nothing of {lane} for {seconds} s; it is sent again.")


class AckNotReadable(UplinkError):
    """The broker refused our subscription."""

    sentence = N_("The broker does not let this box read {topic}: nothing can be released from disk.")


class FrameTooLarge(UplinkError):
    """A frame that the broker never takes."""

    sentence = N_("One record of {size} bytes is larger than the broker takes ({limit}). It stays on disk.")


class ReportTooLarge(UplinkError):
    """What the box says of itself is larger than the broker takes."""

    sentence = N_(
        "What this box tells of itself on {topic} takes {size} bytes, and the broker takes {limit}: it is shortened "
        "or left out. What the devices say is sent all the same. Allow larger packets at the broker "
        "(max_packet_size)."
    )


class BudgetSpent(UplinkError):
    """More waits than the budget allows now."""

    sentence = N_(
        "The budget of {budget} an hour is used up: what waits stays on disk and goes as the hour goes on. "
        "Results and alerts do not wait for it."
    )


class AckRefused(UplinkError):
    """Somebody sent an acknowledgement that is not one."""

    sentence = N_("An acknowledgement was refused ({reason}); nothing was released by it.")
