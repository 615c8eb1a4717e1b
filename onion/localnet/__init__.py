"""A private Tor network on this machine: tors only, no nodes. See README.md."""

from onion.localnet.config import Profile, TorOptions
from onion.localnet.layout import NetworkFile, is_running, load_client_options, load_network
from onion.localnet.network import PrivateTorNetwork
from onion.localnet.progress import LocalnetProgress, Stage

__all__ = [
    "LocalnetProgress",
    "NetworkFile",
    "PrivateTorNetwork",
    "Profile",
    "Stage",
    "TorOptions",
    "is_running",
    "load_client_options",
    "load_network",
]
