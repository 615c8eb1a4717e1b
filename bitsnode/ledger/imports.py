"""What has to be done around imports of the Ethereum libraries."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def tamed_imports() -> Iterator[None]:
    """Import web3, eth_account or py-evm within this.

    py_ecc and py-evm raise Python's recursion limit a hundredfold for the whole process. With
    that, deeply nested JSON from anybody crashes the process instead of raising RecursionError.

    urllib3, which web3 imports and we never use, makes an IPv6 socket when it is imported, to see
    whether it can; told that Python has none it does not. No socket of the internet is ever made.
    """
    limit, ipv6 = sys.getrecursionlimit(), socket.has_ipv6
    socket.has_ipv6 = False
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
        socket.has_ipv6 = ipv6
