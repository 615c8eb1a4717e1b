"""What has to be done around imports of the Ethereum libraries."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def recursion_limit_kept() -> Iterator[None]:
    """Import web3, eth_account or py-evm within this.

    py_ecc and py-evm raise Python's recursion limit a hundredfold for the whole process. With
    that, deeply nested JSON from anybody crashes the process instead of raising RecursionError.
    """
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
