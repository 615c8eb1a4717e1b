"""``bitsnode open``: a sealed file and its link give the file again, and nothing else does."""

import hashlib
import json
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from bitsnode.codec.link import Link
from bitsnode.ids import ContentId
from bitsnode.shop.stock import Stock

BITSNODE = [sys.executable, "-m", "bitsnode"]
MIB = 1 << 20


class Bought:
    """What a visitor of a shop has: a sealed file and a link."""

    def __init__(self, folder: Path, size: int) -> None:
        self.data = secrets.token_bytes(size)
        source = folder / "source"
        source.write_bytes(self.data)
        self.link = Link(ContentId(secrets.token_bytes(32)), secrets.token_bytes(16), bytes(16))
        Stock(folder / "stock").add(source, self.link, hashlib.sha256(self.data).digest())
        self.sealed = folder / "work.sealed"
        (folder / "stock" / str(self.link.content_id)).rename(self.sealed)
        self.link_file = folder / "link"
        self.link_file.write_text(self.link.text + "\n")
        self.link_file.chmod(0o600)
        self.output = folder / "out" / "work"
        self.output.parent.mkdir()

    def open(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        command = [*BITSNODE, "open", str(self.sealed), "-o", str(self.output)]
        command += ["--link-file", str(self.link_file), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def refused(self) -> str:
        """Run the command, which must fail and leave nothing; return its sentence."""
        before = sorted(self.output.parent.iterdir())
        done = self.open()
        assert (done.returncode, done.stdout) == (1, "")
        assert sorted(self.output.parent.iterdir()) == before
        assert self.link.text.split("#")[1] not in done.stderr
        (line,) = done.stderr.splitlines()[-1:]
        return line


@pytest.fixture
def bought(tmp_path: Path) -> Bought:
    """A file of two chunks."""
    return Bought(tmp_path, MIB + 77)


@pytest.mark.parametrize("size", [0, 5, 2 * MIB])
def test_the_file_comes_back(tmp_path: Path, size: int) -> None:
    """The same bytes, private, with their sum; the sealed file stays."""
    bought = Bought(tmp_path, size)
    done = bought.open("--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "path": str(bought.output),
        "sha256": hashlib.sha256(bought.data).hexdigest(),
        "bytes": size,
        "content_id": str(bought.link.content_id),
    }
    assert bought.output.read_bytes() == bought.data
    assert bought.output.stat().st_mode & 0o777 == 0o600
    assert list(bought.output.parent.iterdir()) == [bought.output]
    assert bought.sealed.exists()


def test_a_wrong_link(bought: Bought) -> None:
    """A link of another content, and what is no link."""
    other = Link(bought.link.content_id, secrets.token_bytes(16), bytes(16))
    bought.link_file.write_text(other.text)
    assert "link is of another content" in bought.refused()
    bought.link_file.write_text("https://example.org/")
    assert "not a bits link" in bought.refused()


@pytest.mark.parametrize("cut", [1, 76, 77 + 16, MIB])
def test_a_file_that_was_cut_short(bought: Bought, cut: int) -> None:
    """An interrupted download is not taken for the whole, wherever it ended."""
    data = bought.sealed.read_bytes()
    bought.sealed.write_bytes(data[:-cut])
    said = bought.refused()
    assert "cut short" in said or "not complete" in said
    assert "download it again" in said


@pytest.mark.parametrize(("at", "said"), [(0, "download it again"), (MIB + 20, "part 2 of 2")])
def test_c1_a_flipped_bit(bought: Bought, at: int, said: str) -> None:
    """One bit anywhere: refused, and nothing of the file is written in the output's place."""
    data = bytearray(bought.sealed.read_bytes())
    data[at] ^= 1
    bought.sealed.write_bytes(data)
    assert said in bought.refused()


def test_what_is_there_is_not_overwritten(bought: Bought) -> None:
    """An output that exists, a folder that does not, a sealed file that does not."""
    bought.output.write_bytes(b"somebody's")
    assert "exists already" in bought.refused()
    assert bought.output.read_bytes() == b"somebody's"
    bought.output.unlink()
    bought.output = bought.output.parent
    bought.output = bought.output / "no" / "folder"
    done = bought.open()
    assert done.returncode == 1
    assert str(bought.output) in done.stderr
    bought.sealed.unlink()
    assert str(bought.sealed) in bought.open().stderr


def test_the_link_is_read_from_private_files_only(bought: Bought) -> None:
    """A link that others could read is refused; without a file somebody must be there to ask."""
    bought.link_file.chmod(0o644)
    assert "chmod 600" in bought.refused()
    command = [*BITSNODE, "open", str(bought.sealed), "-o", str(bought.output)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "Nobody is there" in done.stderr


def test_it_needs_no_network(bought: Bought) -> None:
    """It loads nothing that could connect, and works where no node has ever run."""
    program = (
        "import sys\n"
        "from bitsnode.cli.app import cli\n"
        "try: cli.main(sys.argv[1:], prog_name='bitsnode')\n"
        "except SystemExit as done: assert not done.code\n"
        "print(sorted({'twisted', 'web3', 'txtorcon', 'onion.tor'} & set(sys.modules)))\n"
    )
    arguments = ["open", str(bought.sealed), "-o", str(bought.output)]
    arguments += ["--link-file", str(bought.link_file)]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True)
    assert done.stdout.splitlines()[-1] == b"[]", done.stderr
    assert bought.output.read_bytes() == bought.data
