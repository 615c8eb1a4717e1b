"""Semaphore's own JS packages, to compare with; ``bin/setup --oracle`` installs them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from zk.proof import SemaphoreProof

JS = Path(__file__).parent / "js"


def missing() -> str | None:
    """Why the packages cannot be asked; None if they can."""
    if shutil.which("node") is None:
        return "no node here"
    if not (JS / "node_modules").is_dir():
        return "290 MB of JS packages: run bin/setup --oracle"
    return None


def ask(verify: list[dict[str, Any]], prove: dict[str, Any] | None = None) -> dict[str, Any]:
    """Let them verify proofs and make one; see js/oracle.mjs."""
    done = subprocess.run(
        ["node", "oracle.mjs"],
        cwd=JS,
        input=json.dumps({"verify": verify, "prove": prove}).encode(),
        capture_output=True,
        check=True,
        timeout=200,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def to_js(proof: SemaphoreProof) -> dict[str, Any]:
    """Write a proof as the JS packages take it."""
    return {
        "merkleTreeDepth": proof.depth,
        "merkleTreeRoot": str(proof.root),
        "nullifier": str(proof.nullifier),
        "message": str(proof.message),
        "scope": str(proof.scope),
        "points": list(map(str, proof.points)),
    }
