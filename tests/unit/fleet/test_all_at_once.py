"""Every mistake of a file in one go, with its line, its key and the next step."""

from pathlib import Path
from textwrap import dedent

import pytest
from dagfleet.errors import EXIT_BAD_CONFIGURATION, FleetFileError, Problem
from dagfleet.fleet import load_fleet

MISTAKES = """\
    version: 1
    name: prod
    dagster: {version: "1.13.27"}
    control:
      host: alpha
      web: {hostname: dagster.example.com, users: secret://web_users}
    hosts:
      alpha:
        address: 10.0.1.1
      beta:
        adress: 10.0.1.2
      gamma: {address: 10.0.1.3}
    locations:
      etl:
        host: [beta, gamma]
        image: etl:latest
        module: etl.defs
      ml:
        hosts: [gama]
        image: ml:2
        module: ml.defs
    secrets: {web_users: {generated: {users: [demo]}}}
    """


def test_all_mistakes_are_told_at_once_in_the_files_order(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text(dedent(MISTAKES))
    with pytest.raises(FleetFileError) as raised:
        load_fleet(path)
    assert raised.value.problems == (
        Problem(line=11, key="hosts.beta.adress", fact='unknown key; did you mean "address"?'),
        Problem(line=15, key="locations.etl.host", fact='unknown key; did you mean "hosts" (a list)?'),
        Problem(
            line=16,
            key="locations.etl.image",
            fact='"etl:latest" can change under you; pin a tag or a digest',
        ),
        Problem(line=19, key="locations.ml.hosts", fact='no host is named "gama"; did you mean "gamma"?'),
    )
    assert raised.value.exit_code == EXIT_BAD_CONFIGURATION
    assert str(raised.value) == f"{path} cannot be used"


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(FleetFileError) as raised:
        load_fleet(tmp_path / "fleet.yml")
    assert "dagfleet init" in raised.value.problems[0].fact


def test_a_folder_instead_of_a_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(FleetFileError) as raised:
        load_fleet(tmp_path)
    assert "folder" in raised.value.problems[0].fact


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fleet.yml").write_bytes(b"name: \xff")
    with pytest.raises(FleetFileError) as raised:
        load_fleet(tmp_path / "fleet.yml")
    assert raised.value.problems[0].fact == "not a text file: byte 7 is not UTF-8"
