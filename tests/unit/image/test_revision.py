"""Which commit a release was made from, and what its image is called."""

import subprocess
from pathlib import Path

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.image.own import bare, build_own
from dagfleet.image.revision import revision


def test_a_folder_in_no_repository_has_no_revision(tmp_path: Path) -> None:
    assert revision(tmp_path) is None


def test_a_revision_says_whether_the_folder_was_changed_since(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        name = ("-c", "user.name=ada", "-c", "user.email=ada@example.com")
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *name, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "--quiet")
    (tmp_path / "fleet.yml").write_text("version: 1\n")
    git("add", ".")
    git("commit", "--quiet", "--message=first")
    commit = git("rev-parse", "HEAD")
    assert revision(tmp_path) == commit[:12]
    (tmp_path / "fleet.yml").write_text("version: 2\n")
    assert revision(tmp_path) == f"{commit[:12]}-dirty"


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("etl:1.4.2", "etl"),
        ("registry.example.com:5000/team/etl:1.4.2", "registry.example.com:5000/team/etl"),
        ("registry.example.com:5000/etl@sha256:" + 64 * "a", "registry.example.com:5000/etl"),
        ("registry.example.com/etl:1@sha256:" + 64 * "a", "registry.example.com/etl"),
    ],
)
def test_an_images_name_without_its_tag(reference: str, name: str) -> None:
    assert bare(reference) == name


def test_a_folder_without_a_dockerfile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no Dockerfile"):
        build_own(tmp_path, repository="etl:1", progress=lambda _line: None)
