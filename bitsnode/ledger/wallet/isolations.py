"""Which circuits each address of the wallet uses."""

from onion.isolation import Isolation


class Isolations:
    """One isolation key for each address of ours, so that no circuit carries two of them."""

    def __init__(self) -> None:
        self._by_address: dict[str, Isolation] = {}

    def of(self, address: str) -> Isolation:
        """Return the one of this address; it lasts as long as the process."""
        key = address.lower()
        if key not in self._by_address:
            self._by_address[key] = Isolation.fresh("wallet")
        return self._by_address[key]
