"""What must never be in a log."""

import io
from pathlib import Path

import pytest
from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure

from bitsnode.cli.log import RedactingObserver, ShopLog, observers_of, redact
from bitsnode.codec.link import Link
from bitsnode.ids import ContentId
from onion.keys import OnionKey

ONION = OnionKey(b"\x07" * 32).address
LINK = Link(ContentId(b"\x01" * 32), b"\x02" * 16, b"\x03" * 16).text


@pytest.mark.parametrize(
    "secret",
    [
        ONION.host,
        ONION.host.removesuffix(".onion"),
        LINK,
        LINK.split("#")[1],
        LINK[5:64],
        "ab" * 16,
    ],
)
def test_what_names_anyone_is_taken_out(secret: str) -> None:
    """Onion addresses, links, content ids and keys vanish wherever they stand in a line."""
    text = redact(f"before {secret} after, and ({secret}).")
    assert secret not in text
    assert text.startswith("before [redacted] after")


def test_ordinary_words_stay() -> None:
    """A log is of use only while it can be read."""
    line = "a share of 1048592 bytes was kept in 12 ms; tor 0.4.9.11 is at 85%"
    assert redact(line) == line


def test_tracebacks_are_redacted_too() -> None:
    """An exception's text can hold an address that no log call named."""
    out = io.StringIO()
    log = Logger(observer=RedactingObserver(out))
    try:
        raise ValueError(f"cannot reach {ONION.host}")
    except ValueError:
        log.failure("oh", failure=Failure(), level=LogLevel.critical)
    assert "cannot reach [redacted]" in out.getvalue()
    assert ONION.host not in out.getvalue()


def test_what_the_shop_says_is_not_in_the_log_of_the_node(tmp_path: Path) -> None:
    """Nor the other way round; of visits not even the hour is kept, and no file without a shop."""
    out, shop_log = io.StringIO(), ShopLog(tmp_path)
    publisher = LogPublisher(*observers_of(out, shop_log))
    logs = {
        name: Logger(name, observer=publisher)
        for name in ("bitsnode.dht.service", "bitsnode.web.site", "twisted.web.http")
    }
    logs["bitsnode.web.site"].error("before there is a shop")
    assert not (tmp_path / "shop").exists()
    (tmp_path / "shop").mkdir()
    for name, log in logs.items():
        log.info("an hour of {name}", name=name)
        log.error("a fault of {name} at {onion}", name=name, onion=ONION.host)
    shop_log.close()
    shop = (tmp_path / "shop" / "log" / "shop.log").read_text()
    assert "an hour of bitsnode.dht" in out.getvalue()
    assert "a fault of bitsnode.dht" in out.getvalue()
    assert "web" not in out.getvalue()
    assert "a fault of bitsnode.web.site at [redacted]" in shop
    assert "a fault of twisted.web.http" in shop
    assert "an hour" not in shop
    assert "dht" not in shop
