"""A chain of one's own: what it makes of the deployment file of an earlier start."""

import json
from pathlib import Path

import pytest

from bitsnode.chain_host import _known
from bitsnode.ledger.deployment import DeploymentTooNew
from bitsnode.market.invoice_testing import invoice_deployment


def test_a_file_of_an_older_bits_is_made_anew(tmp_path: Path) -> None:
    """To deploy again adds what it lacks; one that is whole is taken, a newer one refused."""
    path = tmp_path / "deployment.json"
    assert _known(path) is None
    deployment = invoice_deployment()
    deployment.save(path)
    assert _known(path) == deployment
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"version": 1}))
    assert _known(path) is None
    path.write_text(json.dumps(found | {"version": 3}))
    with pytest.raises(DeploymentTooNew):
        _known(path)
