"""What a visitor types, as a query of SQLite's FTS5. Pure."""

import re
from typing import Final

MAX_QUERY: Final = 200  # characters looked at
MAX_WORDS: Final = 8
_WORD: Final = re.compile(r"\w+")


def fts_query(text: str) -> str:
    """Return a query for items that have a word beginning with each of these words; "" for none.

    Every word is a quoted string of letters and digits, so nothing that a visitor types is an
    operator of FTS5 (https://www.sqlite.org/fts5.html, section 3).
    """
    words = _WORD.findall(text[:MAX_QUERY])[:MAX_WORDS]
    return " ".join(f'"{word}" *' for word in words)
