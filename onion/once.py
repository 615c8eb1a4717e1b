"""Something that happens once, and any number of places that want to know."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """An event that fires at most once; unlike a Deferred, its listeners do not form a chain."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[T], None]] = []
        self._value: tuple[T] | None = None

    @property
    def fired(self) -> bool:
        """Whether it has happened."""
        return self._value is not None

    def then(self, listener: Callable[[T], None]) -> None:
        """Call a listener when it happens, at once if it has happened."""
        if self._value is None:
            self._listeners.append(listener)
        else:
            listener(self._value[0])

    def fire(self, value: T) -> None:
        """It happens; later calls change nothing."""
        if self._value is not None:
            return
        self._value = (value,)
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener(value)
