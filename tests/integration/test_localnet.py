"""The private Tor network, with real tors."""

import pytest
import pytest_twisted

from onion.localnet import PrivateTorNetwork, load_client_options, load_network

pytestmark = pytest.mark.tor


@pytest_twisted.ensureDeferred
async def test_a_running_network_tells_nodes_how_to_join(private_tor: PrivateTorNetwork) -> None:
    """A node started beside a running network finds in its directory how to join it."""
    assert load_client_options(private_tor.directory) == private_tor.client_options()
    network = load_network(private_tor.directory)
    assert set(network.pids) == {"authority", "relay0", "relay1", "relay2", "relay3"}
    assert network.tor_version == private_tor.tor_version
