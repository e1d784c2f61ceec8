"""The state directory: ours alone, whole or gone."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from nova_lite.cmd.quickstart.place import Place
from nova_lite.cmd.quickstart.terminal import Refusal


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "cloud")
    made.make()
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_can_be_passed_through_but_not_looked_into(place: Place) -> None:
    assert mode(place.directory) == 0o711
    place.make()
    assert place.exists


def test_what_holds_something_else_is_never_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(Refusal, match="holds something else"):
        Place(tmp_path).make()
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["a b", "a'b", "a%b", "a\nb", "a$b"])
def test_a_name_that_needs_quoting_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refusal, match="needs quoting"):
        Place(tmp_path / name).make()


def test_where_nothing_can_be_made_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal, match="Not a directory -> use another --state-dir"):
        Place(tmp_path / "file" / "cloud").make()


def test_a_second_quickstart_is_sent_away(place: Place) -> None:
    with place.alone():
        with pytest.raises(Refusal, match="another quickstart is at work"):
            with Place(place.directory).alone():
                raise AssertionError("not alone")
    with place.alone():
        pass


def test_the_password_is_drawn_once_and_for_our_eyes_only(place: Place) -> None:
    password = place.admin_password()
    assert len(password) >= 24
    assert Place(place.directory).admin_password() == password
    assert mode(place.password) == 0o600


def test_the_key_pair_is_one_that_ssh_takes(place: Place) -> None:
    public = place.public_key()
    assert Place(place.directory).public_key() == public
    assert mode(place.key) == 0o600
    derived = subprocess.run(
        ["ssh-keygen", "-y", "-f", place.key], capture_output=True, text=True, check=True
    ).stdout
    assert derived.split()[:2] == public.split()[:2]


def test_a_key_pair_of_which_only_one_half_was_written_is_made_anew(place: Place) -> None:
    place.public_key()
    place.key.unlink()
    before = place.key.with_suffix(".pub").read_text()
    assert place.public_key() != before.strip()
    assert place.key.exists()


def test_the_mark_is_the_last_to_go(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.directory / "instances" / "deep").mkdir(parents=True)
    (place.directory / "link").symlink_to("/etc")
    place.admin_password()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rmdir", lambda _: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            place.remove()
    assert list(place.directory.iterdir()) == []
    place.make()
    place.remove()
    assert not place.directory.exists()
    assert Path("/etc/passwd").exists()
