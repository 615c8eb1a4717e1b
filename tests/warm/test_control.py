"""What a person can ask of warm links: which are open, how a key is found, and what it costs."""

from typing import Any

import pytest

from bitsnode.api.app import BadArguments
from bitsnode.cli.lookup import _show as show_lookup
from bitsnode.cli.peers import _show_warm as show_links
from bitsnode.codec.keys import record_public_key
from bitsnode.config import BadSettings, Settings
from bitsnode.control import warmth
from bitsnode.ids import ContentId
from bitsnode.warm_control import NoWarmLinks, WarmControl
from bitsnode.wire.record import record_key

SEED = b"s" * 32
CONTENT = ContentId(bytes(range(32)))


def ask(net: Any, control: WarmControl, command: str, **arguments: object) -> dict[str, Any]:
    """Do what the control API does with a command."""
    done: dict[str, Any] = net.run(control.commands()[command](arguments, lambda _event: None))
    return done


def test_a_lookup_says_how_and_how_quickly(net: Any, make: Any) -> None:
    """The first time others are asked; what is here is found here, unless others are wanted."""
    nodes = net.grow(12)
    control = WarmControl(net.warmed(nodes[0]).warm)
    record = make.record(SEED)
    key = record.record.key.hex()
    for node in nodes:
        node.kept(record)
    here = ask(net, control, "lookup", key=key)
    assert (here["tier_name"], here["records"], here["seconds"]) == ("here", 1, 0.0)
    others = ask(net, control, "lookup", key=key, others=True)
    assert (others["tier_name"], others["records"], others["seconds"]) == ("group", 1, 0.4)
    nothing = ask(net, control, "lookup", content=str(CONTENT), walk=False)
    assert nothing["key"] == record_key(record_public_key(CONTENT.digest)).hex()
    assert (nothing["records"], nothing["tier_name"]) == (0, "walk")
    assert "over warm links in 0.40 s" in show_lookup(others)
    assert show_lookup(nothing).startswith("No records")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"key": "00"},
        {"key": 7},
        {"key": "0" * 64, "content": str(CONTENT)},
        {"key": "0" * 64, "others": 1},
        {"key": "0" * 64, "walk": "no"},
    ],
)
def test_a_lookup_of_nothing_sensible_is_refused(net: Any, arguments: dict[str, object]) -> None:
    """Before anybody is asked."""
    control = WarmControl(net.grow(2)[0].warm)
    with pytest.raises(BadArguments):
        ask(net, control, "lookup", **arguments)


def test_the_links_are_listed(net: Any) -> None:
    """With the group that each is for, and the time that answers take."""
    nodes = net.grow(12)
    control = WarmControl(net.warmed(nodes[0]).warm)
    result = ask(net, control, "warm")
    assert len(result["links"]) == result["status"]["links"] == 9
    assert {link["onion"] for link in result["links"]} <= {str(n.key.address) for n in nodes}
    lines = show_links(result).splitlines()
    assert len(lines) == 9
    assert lines[0].endswith("group 0/1  0.400 s")


def test_upkeep_is_counted_in_cells(net: Any) -> None:
    """Nine links in a quiet network cost about a ping each in five minutes, and a poll a minute."""
    nodes = net.grow(12)
    warm = net.warmed(nodes[0]).warm
    net.settle(1800.0)
    assert 10.0 < warm.status().upkeep < 250.0
    name, good, text = warmth(warm.status())
    assert (name, good) == ("warm links", True)
    assert text.startswith("9 of 9 warm links are open; the index has 0 records")


def test_without_warm_links_a_sentence_says_so(net: Any) -> None:
    """They are on, unless the settings turn them off."""
    with pytest.raises(NoWarmLinks):
        ask(net, WarmControl(None), "lookup", key="0" * 64)


def test_the_setting_turns_them_off(tmp_path: Any) -> None:
    """And is on by default."""
    assert Settings.load(home=tmp_path).warm_links
    (tmp_path / "config.toml").write_text("warm_links = false\n")
    assert not Settings.load(home=tmp_path).warm_links
    (tmp_path / "config.toml").write_text('warm_links = "no"\n')
    with pytest.raises(BadSettings):
        Settings.load(home=tmp_path)
