"""Makes tests/vectors/invoices.json with Foundry's cast, which shares no code with bits.

PATH=contracts/node_modules/.bin:$PATH python -m tests.ledger.make_invoice_vectors
"""

import json
import subprocess
from pathlib import Path

FACTORY = "0x5FbDB2315678afecb367f032d93F642f64180aa3"  # anvil's first contract
STRUCT = "(address,uint8,bytes32,bytes1,uint96,bytes32)"
INVOICES = (
    ("0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", 2, "11" * 32, "7a", 0, "00" * 32),
    ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", 3, "fe" * 32, "00", 10**16, "ab" * 32),
    ("0x0000000000000000000000000000000000000001", 2, "00" * 32, "ff", 2**96 - 1, "ff" * 32),
)


def cast(*arguments: str) -> str:
    """What cast prints."""
    done = subprocess.run(["cast", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    """Write the file."""
    account = cast("compute-address", FACTORY, "--nonce", "1").split()[-1]
    code = "0x3d602d80600a3d3981f3363d3d373d3d3d363d73" + account[2:].lower()
    code_hash = cast("keccak", code + "5af43d82803e903d91602b57fd5bf3")
    made = []
    for payee, prefix, x, tag, fee, salt in INVOICES:
        values = f"({payee},{prefix},0x{x},0x{tag},{fee},0x{salt})"
        words = cast("abi-encode", f"f({STRUCT})", values)
        address = cast(
            *("create2", "--deployer", FACTORY, "--salt", cast("keccak", words)),
            *("--init-code-hash", code_hash),
        ).split()
        made.append(
            {
                "payee": payee,
                "ephemeral_public_key": f"{prefix:02x}{x}",
                "view_tag": int(tag, 16),
                "fee": str(fee),
                "salt": salt,
                "address": next(each for each in address if each.startswith("0x")),
                "sweep": cast("calldata", f"sweep({STRUCT})", values),
                "recover": cast("calldata", f"recover({STRUCT},address)", values, FACTORY),
            }
        )
    found = {
        "source": "cast of @foundry-rs 1.7.1: compute-address, create2, abi-encode, calldata",
        "generator": "tests/ledger/make_invoice_vectors.py",
        "checked_by": "tests/ledger/test_invoice.py; InvoiceFactory on chains in"
        " tests/contracts/test_on_chains.py",
        "factory": FACTORY,
        "account": account,
        "invoices": made,
    }
    path = Path(__file__).parents[1] / "vectors" / "invoices.json"
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
