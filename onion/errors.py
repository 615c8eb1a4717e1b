"""What can go wrong between this process, tor and an onion service: one class per failure.

The first line of each docstring is the sentence a person sees; a detail given on raising follows
it in brackets.
"""


class OnionError(Exception):
    """Something failed in the Tor layer."""

    def __str__(self) -> str:
        sentence = (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]
        detail = " ".join(str(arg) for arg in self.args)
        return f"{sentence} ({detail})" if detail else sentence


class AddressError(OnionError, ValueError):
    """This is not a valid v3 onion address."""


class IsolationError(OnionError, ValueError):
    """An isolation purpose or key does not fit into a SOCKS user name or password."""


# Key files


class KeyFileError(OnionError):
    """The key file cannot be used."""


class KeyFilePermissions(KeyFileError):
    """The key file can be read by other users; make it private with chmod 600."""


class KeyFileDamaged(KeyFileError):
    """The key file does not hold a 32-byte seed; restore it from a backup."""


class KeyFileUnusable(KeyFileError):
    """The key file cannot be read or created."""


# Dialling


class DialError(OnionError):
    """The onion service could not be reached."""


class TorUnavailable(DialError):
    """Tor is not running or does not answer, and bits has no other way out."""


class DialTimedOut(DialError):
    """The onion service did not answer in time."""


class ServiceNotFound(DialError):
    """No such onion service is published at the moment."""


class ServiceRefused(DialError):
    """The onion service is there but does not accept connections on this port."""


class ServiceDescriptorInvalid(DialError):
    """The onion service published a descriptor that tor cannot use."""


class IntroductionFailed(DialError):
    """The introduction points of the onion service do not answer."""


class RendezvousFailed(DialError):
    """The onion service did not come to the rendezvous point."""


class ClientKeyMissing(DialError):
    """The onion service admits only clients with a key, and this node has none for it."""


class ClientKeyWrong(DialError):
    """The onion service does not admit the client key of this node."""


class AddressRefused(DialError):
    """Tor refuses this onion address."""


class DialFailed(DialError):
    """Tor could not connect to the onion service."""


class SocksAnswerInvalid(DialError):
    """What answers on tor's SOCKS socket does not speak SOCKS5."""


# Running tor


class TorError(OnionError):
    """Tor cannot be used."""


class TorNotFound(TorError):
    """The program tor was not found; install it or name it."""


class TorTooOld(TorError):
    """This tor is too old; bits needs 0.4.7 or newer."""


class TorExited(TorError):
    """Tor stopped while it was starting."""


class TorStartTimedOut(TorError):
    """Tor did not start in time."""


class ControlSocketMissing(TorError):
    """There is no tor control socket at this path; add "ControlSocket PATH" to its torrc."""


class ControlSocketRefused(TorError):
    """The tor control socket does not accept connections; is that tor still running?"""


class CookieUnreadable(TorError):
    """The cookie of tor cannot be read; add "CookieAuthFileGroupReadable 1" to its torrc."""


class CookieDisabled(TorError):
    """This tor offers no cookie authentication; add "CookieAuthentication 1" to its torrc."""


class ControlAuthenticationFailed(TorError):
    """Tor refused the control cookie."""


class SocksSocketMissing(TorError):
    """This tor has no SOCKS port on a unix socket; add "SocksPort unix:PATH" to its torrc."""


class PublishFailed(OnionError):
    """Tor refused to publish the onion service."""


class SocketPathTooLong(OnionError):
    """The path is too long for a unix socket."""


class SocketDirectoryUnsafe(OnionError):
    """The directory for sockets belongs to someone else or is open to other users."""


# HTTP through tor


class HttpError(OnionError):
    """The server could not be asked."""


class UrlInvalid(HttpError, ValueError):
    """This is not a web address that bits can use."""


class UrlInsecure(HttpError, ValueError):
    """A web address outside of onion services must begin with https://."""


class ExitsOff(HttpError):
    """This web address is outside of onion services, and this node uses no exits of Tor."""


class HttpTimedOut(HttpError):
    """The server did not answer in time."""


class HttpConnectionLost(HttpError):
    """The connection to the server ended before its whole answer was there."""


class HttpAnswerInvalid(HttpError):
    """What the server answered is not HTTP."""


class HttpAnswerTooLarge(HttpError):
    """The server's answer is larger than it may be."""


class TlsUntrusted(HttpError):
    """The server could not prove that it is the one that its web address names."""
