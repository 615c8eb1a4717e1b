"""What can go wrong with a private Tor network, one class per failure.

As in `onion.errors`: the first line of the docstring is the sentence a person sees, what is given
on raising follows it in brackets.
"""

from onion.errors import OnionError


class LocalnetError(OnionError):
    """The private Tor network failed."""


class ProgramMissing(LocalnetError):
    """A program of the tor package is not installed; `apt install tor` or `brew install tor`."""


class NetworkAlreadyRunning(LocalnetError):
    """A private Tor network is already running in this directory."""


class NoRunningNetwork(LocalnetError):
    """No private Tor network is running in this directory; `bitsnode localnet up` starts one."""


class NetworkFileDamaged(LocalnetError):
    """The description of the private Tor network cannot be read."""


class KeysFailed(LocalnetError):
    """The keys of the directory authority could not be made."""


class RelayExited(LocalnetError):
    """A tor of the private network stopped by itself."""


class BootTimedOut(LocalnetError):
    """The private Tor network was not ready in time."""


class NoFreePort(LocalnetError):
    """Too few TCP ports are free on 127.0.0.1."""


class SocketPathTooLong(LocalnetError):
    """No directory with a path short enough for a unix socket (107 bytes) can be made."""


class NamespaceFailed(LocalnetError):
    """The network namespace could not be prepared."""
