"""A whole purchase by its stages, against fetching the same bytes for free.

On a localnet, with the commands alone: a work is published once for a price and once for free. A
new node buys it while its publisher is stopped, fetches it, and fetches the free one. The chain is
the localnet's, whose blocks come at once and are final at once; on a chain whose blocks are final
after minutes that stage is minutes.
"""

import json
import secrets
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.acceptance.cli_net import BITSNODE, CliLocalnet, CliNode, run

SIZE = 1 << 20  # bytes
ROUNDS = 3
NODES = 8
# stage -> the event with which it ends, and what is true of it
STAGES: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("terms: offer, relays, crowd", "terms", {}),
    ("proof", "proof_made", {}),
    ("relay chosen, and handed over", "submitting", {}),
    ("in a block, and final", "in_block", {"final": True}),
    ("key shares, and the key", "result", {}),
)


def _bought(buyer: CliNode, content: str, secret: list[str]) -> list[float]:
    """Buy; return the seconds of each stage."""
    command = [*BITSNODE, "--home", str(buyer.home), "buy", content, "--yes", "--json", *secret]
    began, ends = time.monotonic(), []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as buying:
        waited = iter(STAGES)
        stage = next(waited, None)
        for line in buying.stdout or []:
            event = json.loads(line)
            name = event.get("event", "result")
            while stage and name == stage[1] and stage[2].items() <= event.items():
                ends.append(time.monotonic() - began)
                stage = next(waited, None)
    if buying.returncode or stage is not None:
        raise RuntimeError(f"the purchase ended before its stage {stage}")
    return [end - start for start, end in zip([0.0, *ends], ends, strict=False)]


def _seconds(node: CliNode, *arguments: str | Path) -> float:
    began = time.monotonic()
    node.ok(*arguments)
    return time.monotonic() - began


def _round(net: CliLocalnet, folder: Path, number: int, secret: list[str]) -> list[float]:
    """Publish, buy and fetch once; return the seconds of each stage, then of both fetches."""
    creator, work = net.nodes[0], folder / "work"
    work.write_bytes(secrets.token_bytes(SIZE))
    sale = creator.ok("publish", work, "--price", "0.01")["content_id"]
    work.write_bytes(secrets.token_bytes(SIZE))
    link = creator.ok("publish", work, "--free")["link"]
    with net.newcomer(f"buyer{number}", "--storage", "0") as buyer:
        account = buyer.ok("wallet", "create", *secret)["accounts"][0]
        run("chain", "fund", account, "1", "--dir", net.directory / "chain")
        buyer.ok("wallet", "topup", "0.01", "--exact", *secret)
        creator.kill()
        stages = _bought(buyer, sale, secret)
        paid = _seconds(buyer, "get", sale, "-o", folder / "paid")
        free = _seconds(buyer, "get", link, "-o", folder / "free")
    net.revive()
    return [*stages, paid, free]


def rows() -> list[dict[str, Any]]:
    """Buy a few times, each time as a new buyer; the median of each stage counts."""
    with tempfile.TemporaryDirectory(prefix="bits-bench-") as name:
        directory = Path(name)
        password = directory / "password"
        password.write_text("correct horse battery\n")
        password.chmod(0o600)
        secret = ["--password-file", str(password)]
        try:
            up = run("localnet", "up", "--nodes", str(NODES), "--dir", directory).result
            nodes = [CliNode(Path(node["home"]), node["peer_onion"]) for node in up["nodes"]]
            net = CliLocalnet(directory, nodes)
            nodes[0].ok("wallet", "create", *secret)
            rounds = [_round(net, directory, number, secret) for number in range(ROUNDS)]
        finally:
            run("localnet", "down", "--dir", directory)
    *stages, paid, free = (statistics.median(each) for each in zip(*rounds, strict=True))
    whole = sum(stages) + paid
    names = [stage[0] for stage in STAGES]
    return [
        _row("buy and fetch 1 MiB, against fetching it free", whole, free),
        *(
            _row(f"  {name}, of the whole", seconds, whole)
            for name, seconds in zip([*names, "fetch"], [*stages, paid], strict=True)
        ),
    ]


def _row(what: str, seconds: float, base: float) -> dict[str, Any]:
    return {
        "what": what,
        "measured": f"{seconds:.2f} s",
        "baseline": f"{base:.2f} s",
        "ratio": f"{seconds / base:.2f}",
        "goal": "none",
        "met": True,
    }
