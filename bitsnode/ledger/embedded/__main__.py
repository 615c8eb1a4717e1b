"""``python -m bitsnode.ledger.embedded DIR``: a chain alone, for tests and supervisors.

Prints one JSON line when it answers: ``socket``, ``chain_id``, ``height``.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from bitsnode.errors import BitsError
from bitsnode.ledger.embedded.chain import CHAIN_ID
from bitsnode.ledger.embedded.process import BLOCK_SECONDS, RunningChain, run


def _ready(chain: RunningChain) -> None:
    line = {
        "socket": str(chain.socket_path),
        "chain_id": chain.chain_id,
        "height": chain.height,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def _serve(reactor: Any, arguments: argparse.Namespace) -> None:
    try:
        await run(
            reactor,
            arguments.directory,
            _ready,
            chain_id=arguments.chain_id,
            block_seconds=arguments.block_seconds or None,
        )
    except BitsError as error:
        raise SystemExit(str(error)) from None


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--chain-id", type=int, default=CHAIN_ID)
    parser.add_argument("--block-seconds", type=float, default=BLOCK_SECONDS, help="0: never")
    arguments = parser.parse_args()
    react(lambda reactor: Deferred.fromCoroutine(_serve(reactor, arguments)))


if __name__ == "__main__":
    main()
