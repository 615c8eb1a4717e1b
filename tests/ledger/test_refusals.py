"""What the contract says when it refuses is one sentence each."""

import contracts
from bitsnode.ledger.contracts import _type
from bitsnode.ledger.refusals import _BY_SIGNATURE, CommitmentCopied, refusal, selector


def test_every_error_named_here_is_the_contracts() -> None:
    """A name with a letter wrong would never be met."""
    abi = contracts.load("Vouchers").abi
    known = {
        f"{entry['name']}({','.join(map(_type, entry['inputs']))})"
        for entry in abi
        if entry["type"] == "error"
    }
    assert set(_BY_SIGNATURE) <= known


def test_the_data_of_a_revert_becomes_an_error_with_a_sentence() -> None:
    """Known data gives its class, unknown data and none give nothing."""
    data = "0x" + selector("LeafAlreadyExists()").hex()
    found = refusal(data)
    assert type(found) is CommitmentCopied
    assert str(found).startswith("Somebody copied this voucher")
    assert refusal(data[:9]) is None
    assert refusal("0x") is None
    assert refusal(None) is None
