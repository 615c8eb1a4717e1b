"""What the tests on real tors share: one private Tor network for the whole run."""

from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from onion.localnet import PrivateTorNetwork
from onion.localnet.errors import ProgramMissing


# pytest-twisted has async fixtures for single tests only, hence blockon.
@pytest.fixture(scope="session")
def private_tor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateTorNetwork]:
    """A running private Tor network: `client_options()` and `directory` are what a node needs.

    It boots once, in 5 to 10 s. Tests that use it carry the mark `tor`.
    """
    from twisted.internet import reactor  # pytest-twisted's

    network = PrivateTorNetwork(reactor, tmp_path_factory.mktemp("private-tor"))
    try:
        pytest_twisted.blockon(Deferred.fromCoroutine(network.start()))
    except ProgramMissing as missing:
        pytest.skip(str(missing))
    yield network
    pytest_twisted.blockon(Deferred.fromCoroutine(network.stop()))
