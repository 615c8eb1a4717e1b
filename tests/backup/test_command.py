"""``bitsnode restore`` as a process: what a person is told."""

import subprocess
import sys
from pathlib import Path

from bitsnode.backup.making import Made
from tests.backup.conftest import OTHER_WORDS, WORDS


def run(home: Path, backup: Path, words: Path, password: Path) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "bitsnode", "--home", str(home), "restore", str(backup)]
    command += ["--words-file", str(words), "--password-file", str(password)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def private(path: Path, text: str) -> Path:
    """Write a secret to a file of its own."""
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return path


def test_a_person_is_told_what_to_do_next(made: Made, tmp_path: Path) -> None:
    """And is warned of a second copy; what fails is one sentence, and leaves nothing."""
    new, password = tmp_path / "new", private(tmp_path / "password", "battery staple")
    wrong = run(new, made.path, private(tmp_path / "wrong", OTHER_WORDS), password)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    (sentence,) = wrong.stderr.splitlines()
    assert sentence.startswith("bitsnode: These words do not open the backup")
    assert not new.exists()
    done = run(new, made.path, private(tmp_path / "words", WORDS), password)
    assert (done.returncode, done.stderr) == (0, "")
    assert "is back as it was on 2027-01-15 08:02 UTC." in done.stdout
    assert "Never run another copy of this home beside it" in done.stdout
    assert "wallet vouchers --find" in done.stdout
    assert WORDS not in done.stdout
