"""Which tor a process of bits uses, and how patient it is with the network that tor is on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bitsnode.config import LOCAL, Settings
from onion.dialer import LOCAL_TIMES, PUBLIC_TIMES
from onion.events import OnionEvent
from onion.localnet import load_client_options
from onion.running import TorSettings
from onion.service import LOCAL_SERVICE_TIMES, PUBLIC_SERVICE_TIMES
from onion.tor import TorNetwork


def own_tor(
    reactor: Any,
    settings: Settings,
    home: Path,
    report: Callable[[OnionEvent], None],
    *,
    exits: bool = False,
) -> TorNetwork:
    """Return the way to Tor, not yet started.

    Args:
        reactor: runs everything.
        settings: the network, and the tor to attach to if there is one.
        home: where a tor of our own lives.
        report: is told what tor does.
        exits: give it a port for names outside of onion services.

    Raises:
        OnionError: no localnet is running in the directory that the settings name.
    """
    local = settings.network == LOCAL
    joins = local and settings.tor_control is None
    options = load_client_options(settings.localnet / "tor") if joins else {}
    return TorNetwork(
        reactor,
        TorSettings(home, settings.tor_control, extra_options=options, exits=exits),
        report,
        LOCAL_TIMES if local else PUBLIC_TIMES,
        LOCAL_SERVICE_TIMES if local else PUBLIC_SERVICE_TIMES,
    )
