"""What tests found out about pages, as a table for people; see ``tests/conftest.py``."""

HEADINGS = ("page", "requests", "bytes", "needs scripts", "axe")


def table(rows: list[tuple[str, ...]]) -> str:
    """Return rows as text, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)
