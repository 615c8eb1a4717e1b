"""The client side of SOCKS5 as tor speaks it: a pure handshake, and a stream that performs it.

Sources: RFC 1928 (SOCKS5), RFC 1929 (user name and password), tor's socks-extensions and
proposal 304 (error codes 0xF0-0xF7).
"""

# mypy: disallow-untyped-calls=False

import struct
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from onion import errors
from onion.isolation import Isolation

VERSION = 5
USER_PASSWORD = 2  # method of RFC 1929
USER_PASSWORD_VERSION = 1
CONNECT = 1
BY_NAME = 3
_ADDRESS_SIZES = {1: 4, 4: 16}  # bytes of a bound address, by ATYP; a name (3) says its own

REPLY_ERRORS: Final[dict[int, type[errors.DialError]]] = {
    # Without the flag ExtendedErrors tor tells only these (a service that admits clients by key,
    # and an address with a bad checksum, both give 0x01).
    0x04: errors.ServiceNotFound,
    0x05: errors.ServiceRefused,
    0x06: errors.DialTimedOut,
    0xF0: errors.ServiceNotFound,
    0xF1: errors.ServiceDescriptorInvalid,
    0xF2: errors.IntroductionFailed,
    0xF3: errors.RendezvousFailed,
    0xF4: errors.ClientKeyMissing,
    0xF5: errors.ClientKeyWrong,
    0xF6: errors.AddressRefused,
    0xF7: errors.IntroductionFailed,
}


class SocksHandshake:
    """Bytes in, bytes out, until the connection to the onion service is open.

    It never sends a step before the answer to the one before: tor fails a pipelined handshake.

    Attributes:
        accepted: tor has taken the user name; what follows waits for the network.
        connected: the connection is open.
        leftover: bytes of the service that came behind tor's last reply.
    """

    def __init__(self, host: str, port: int, isolation: Isolation) -> None:
        self._host = host.encode("ascii")
        self._port = port
        self._isolation = isolation
        self._buffer = b""
        self._greeted = False
        self.accepted = False
        self.connected = False

    @property
    def leftover(self) -> bytes:
        """Bytes of the service that came behind tor's last reply."""
        return self._buffer if self.connected else b""

    def greeting(self) -> bytes:
        """What to send first."""
        return bytes([VERSION, 1, USER_PASSWORD])

    def receive(self, data: bytes) -> bytes:
        """Take bytes from tor; returns what to send next, which may be nothing.

        Raises:
            DialError: tor refused, or what answers is not a SOCKS5 server.
        """
        self._buffer += data
        answer = b""
        if not self._greeted:
            answer += self._receive_method()
        if self._greeted and not self.accepted:
            answer += self._receive_login()
        if self.accepted and not self.connected:
            self._receive_reply()
        return answer

    def _receive_method(self) -> bytes:
        if len(self._buffer) < 2:
            return b""
        if self._take(2) != bytes([VERSION, USER_PASSWORD]):
            raise errors.SocksAnswerInvalid("it takes no user name, so it cannot isolate")
        self._greeted = True
        user, password = self._isolation.username, self._isolation.password
        return bytes([USER_PASSWORD_VERSION, len(user)]) + user + bytes([len(password)]) + password

    def _receive_login(self) -> bytes:
        if len(self._buffer) < 2:
            return b""
        if self._take(2) != bytes([USER_PASSWORD_VERSION, 0]):
            raise errors.SocksAnswerInvalid("it refused the user name")
        self.accepted = True
        head = bytes([VERSION, CONNECT, 0, BY_NAME, len(self._host)])
        return head + self._host + struct.pack(">H", self._port)

    def _receive_reply(self) -> None:
        if len(self._buffer) < 5:
            return
        version, reply, _reserved, kind, name_size = self._buffer[:5]
        if version != VERSION:
            raise errors.SocksAnswerInvalid
        if reply != 0:
            raise REPLY_ERRORS.get(reply, errors.DialFailed)(*_unnamed(reply))
        address_size = _ADDRESS_SIZES.get(kind, 1 + name_size if kind == BY_NAME else None)
        if address_size is None:
            raise errors.SocksAnswerInvalid
        size = 4 + address_size + 2
        if len(self._buffer) >= size:
            self._take(size)
            self.connected = True

    def _take(self, size: int) -> bytes:
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


def _unnamed(reply: int) -> tuple[str, ...]:
    return () if reply in REPLY_ERRORS else (f"SOCKS error 0x{reply:02X}",)


@attrs.frozen
class StreamLimits:
    """How long opening a stream may take.

    Attributes:
        tor: seconds for tor to accept the connection and the user name.
        network: seconds from there until the onion service answers.
    """

    tor: float
    network: float


class SocksStream(Protocol):
    """A connection through tor; when it is open, a protocol is put on it with `hand_over`.

    Attributes:
        opened: fires with this stream when it is open, or fails with a DialError.
    """

    def __init__(
        self, handshake: SocksHandshake, clock: IReactorTime, limits: StreamLimits
    ) -> None:
        self._handshake = handshake
        self._clock = clock
        self._limits = limits
        self._inner: IProtocol | None = None
        self._timer = clock.callLater(limits.tor, self._give_up)
        self.opened: Deferred[SocksStream] = Deferred(lambda _cancelled: self.abort())

    def connectionMade(self) -> None:
        """Begin the handshake."""
        self._write(self._handshake.greeting())

    def dataReceived(self, data: bytes) -> None:
        """Go on with the handshake, or pass bytes on."""
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        if self.opened.called:
            return
        waited_for_tor = not self._handshake.accepted
        try:
            self._write(self._handshake.receive(data))
        except errors.DialError as error:
            self.fail(error)
            return
        if self._handshake.connected:
            self._timer.cancel()
            self.opened.callback(self)
        elif waited_for_tor and self._handshake.accepted:
            self._timer.reset(self._limits.network)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        """Tell the protocol; before the stream is open, it is tor that went away."""
        if self._inner is not None:
            self._inner.connectionLost(reason)
        else:
            self.fail(errors.TorUnavailable("it closed the connection"))

    def hand_over(self, factory: IProtocolFactory, address: IAddress) -> IProtocol:
        """Put a protocol of the factory on the open stream.

        Raises:
            DialFailed: the factory makes none; the stream is closed.
        """
        inner = factory.buildProtocol(address)
        if inner is None or self.transport is None:
            self.abort()
            raise errors.DialFailed("nobody takes the connection any more")
        self._inner = inner
        inner.makeConnection(self.transport)
        if self._handshake.leftover:
            inner.dataReceived(self._handshake.leftover)
        return inner

    def fail(self, error: Exception) -> None:
        """Close, and fail `opened` if it waits."""
        if not self.opened.called:
            self.opened.errback(error)
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        if self._timer.active():
            self._timer.cancel()
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def _give_up(self) -> None:
        waits_for_network = self._handshake.accepted
        seconds = self._limits.network if waits_for_network else self._limits.tor
        self.fail(errors.DialTimedOut(f"{seconds:g} s"))

    def _write(self, data: bytes) -> None:
        if data and self.transport is not None:
            self.transport.write(data)


def open_stream(
    endpoint: IStreamClientEndpoint,
    handshake: SocksHandshake,
    clock: IReactorTime,
    limits: StreamLimits,
) -> Deferred[SocksStream]:
    """Open a stream through a SOCKS server; cancelling closes it.

    Args:
        endpoint: where the SOCKS server listens.
        handshake: a new one.
        clock: measures the limits.
        limits: how long it may take.

    Raises:
        DialError: by failure of the Deferred.
    """
    stream = SocksStream(handshake, clock, limits)
    factory = Factory.forProtocol(lambda: stream)
    factory.noisy = False
    connecting = endpoint.connect(factory)

    def refused(failure: Failure) -> None:
        stream.fail(errors.TorUnavailable(failure.getErrorMessage()))

    def stop_connecting(result: object) -> object:
        connecting.cancel()
        return result

    connecting.addCallbacks(lambda _stream: None, refused)
    return stream.opened.addBoth(stop_connecting)
