"""Services in the words of tor's control port (control-spec sections 3.27, 3.28, 3.30, 3.31)."""

import base64
from pathlib import Path

import attrs
from nacl.public import PrivateKey
from txtorcon import TorProtocolError

from onion.address import OnionAddress
from onion.control import TorControl
from onion.errors import TorUnavailable
from onion.keys import OnionKey
from onion.network import ServiceOptions

COLLISION = 550  # reply code of ADD_ONION for a service that tor has already


@attrs.frozen
class ServiceKeys:
    """What tor is told of a service.

    Attributes:
        key: its identity.
        port: its virtual port.
        socket: the unix socket to which tor connects.
        options: its defences.
        probe_key: X25519 key with which we are admitted to our own service.
    """

    key: OnionKey
    port: int
    socket: Path
    options: ServiceOptions
    probe_key: PrivateKey = attrs.field(factory=PrivateKey.generate, repr=False)

    @property
    def address(self) -> OnionAddress:
        """Where it is published."""
        return self.key.address

    def command(self, proof_of_work: bool) -> str:
        """The ADD_ONION command; it holds the secret key, do not log it."""
        options = self.options
        flags = ["DiscardPK"]
        words = [f"Port={self.port},unix:{self.socket}"]
        if options.max_streams:
            flags.append("MaxStreamsCloseCircuit")
            words.append(f"MaxStreams={options.max_streams}")
        if options.clients:
            flags.append("V3Auth")
            clients = (*options.clients, bytes(self.probe_key.public_key))
            words += [f"ClientAuthV3={_base32(client)}" for client in clients]
        if proof_of_work:
            words += [
                "PoWDefensesEnabled=1",
                f"PoWQueueRate={options.queue_rate}",
                f"PoWQueueBurst={options.queue_burst}",
            ]
        return f"ADD_ONION {self.key.tor_blob()} Flags={','.join(flags)} {' '.join(words)}"


async def add_onion(control: TorControl, service: ServiceKeys) -> None:
    """Have tor publish a service, with the puzzle where this tor knows it.

    Raises:
        TorProtocolError: tor refuses it.
        TorUnavailable: tor is gone.
    """
    if service.options.clients:
        await add_client_key(control, service.address, bytes(service.probe_key))
    await del_onion(control, service)  # a leftover of an earlier round would collide
    try:
        await control.command(service.command(service.options.proof_of_work))
    except TorProtocolError as error:
        if not service.options.proof_of_work or error.code == COLLISION:
            raise
        # Before 0.4.9 ADD_ONION has no such words, and a tor may be built without the puzzle.
        await control.command(service.command(False))


async def del_onion(control: TorControl, service: ServiceKeys) -> None:
    """Have tor withdraw a service, if it has it."""
    try:
        await control.command(f"DEL_ONION {_label(service.address)}")
    except (TorProtocolError, TorUnavailable):
        return


async def is_current(control: TorControl, address: OnionAddress) -> bool:
    """Whether tor still lists a service that this connection added."""
    return _label(address) in (await control.get("onions/current")).split()


async def add_client_key(control: TorControl, address: OnionAddress, private_key: bytes) -> None:
    """Give tor the X25519 private key, 32 bytes, that a service asks of its clients.

    Raises:
        TorProtocolError: tor refuses it.
        TorUnavailable: tor is gone.
    """
    key = base64.b64encode(private_key).decode("ascii")
    await control.command(f"ONION_CLIENT_AUTH_ADD {_label(address)} x25519:{key}")


async def remove_client_key(control: TorControl, address: OnionAddress) -> None:
    """Have tor forget the client key of a service."""
    try:
        await control.command(f"ONION_CLIENT_AUTH_REMOVE {_label(address)}")
    except (TorProtocolError, TorUnavailable):
        return


def _label(address: OnionAddress) -> str:
    return address.host.removesuffix(".onion")


def _base32(key: bytes) -> str:
    return base64.b32encode(key).decode("ascii").rstrip("=")
