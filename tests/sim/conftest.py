"""Simulations take their shortcuts in tests as well."""

from collections.abc import Iterator

import pytest

from tests.sim.shortcuts import shortcuts


@pytest.fixture
def seeded() -> Iterator[None]:
    """Draw everything from one seed."""
    with shortcuts(7):
        yield
