"""A localnet for the tests that use bits as a person does: by its command line alone."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.cli_net import CliLocalnet, CliNode, run


@pytest.fixture(scope="package")
def net() -> Iterator[CliLocalnet]:
    """Eight nodes on a private Tor network."""
    directory = Path(tempfile.mkdtemp(prefix="bits-accept-"))
    try:
        done = run("localnet", "up", "--nodes", "8", "--dir", directory)
        assert done.status == 0, done.stderr
        nodes = [CliNode(Path(node["home"]), node["peer_onion"]) for node in done.result["nodes"]]
        yield CliLocalnet(directory, nodes)
    finally:
        run("localnet", "down", "--dir", directory)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def whole_net(net: CliLocalnet) -> CliLocalnet:
    """The localnet with all its nodes running, whatever an earlier test did to them."""
    net.revive()
    return net
