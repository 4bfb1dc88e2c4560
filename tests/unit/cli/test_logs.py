"""`dagfleet logs`, over a real SSH session."""

from collections.abc import Callable
from pathlib import Path

import pytest
from dagfleet.cli.logs import sources
from dagfleet.cli.main import run
from dagfleet.cli.streaming import stream
from dagfleet.cli.terminal import Terminal
from dagfleet.errors import DagfleetError
from dagfleet.fleet import load_fleet
from dagfleet.probe.target import Target
from dagfleet.probe.trust import accept

from tests.unit.probe.ssh_server import Running, ssh_server, write_key

To = Callable[..., Target]


@pytest.fixture
def beta(tmp_path: Path) -> Target:
    return Target(
        name="beta",
        address="127.0.0.1",
        user="root",
        port=1,
        key=tmp_path / "id",
        known_hosts=tmp_path / "known hosts",
    )


def at(target: Target, server: Running, name: str = "beta") -> Target:
    met = Target(**{**vars(target), "name": name, "port": server.port})
    accept([met])
    return met


def test_lines_of_one_host_come_as_they_are(
    beta: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ssh_server(write_key(tmp_path / "id")) as server:
        stream([("beta", at(beta, server), ["printf", "%s\\n", "it's up", "to date"])], Terminal())
    assert capsys.readouterr().out == "it's up\nto date\n"


def test_lines_of_several_hosts_have_the_host_in_front(
    beta: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ssh_server(write_key(tmp_path / "id")) as server:
        target = at(beta, server)
        stream([(host, target, ["echo", "up"]) for host in ("beta", "gamma")], Terminal())
    assert sorted(capsys.readouterr().out.splitlines()) == ["beta   up", "gamma  up"]


def test_a_command_that_fails_says_its_last_words(beta: Target, tmp_path: Path) -> None:
    with ssh_server(write_key(tmp_path / "id")) as server, pytest.raises(DagfleetError) as failed:
        stream([("beta", at(beta, server), ["sh", "-c", "echo no such container >&2; exit 1"])], Terminal())
    assert failed.value.message == "beta: no such container"
    assert failed.value.exit_code == 1


def test_a_host_that_does_not_answer_is_unreachable(beta: Target, tmp_path: Path) -> None:
    write_key(tmp_path / "id")
    with pytest.raises(DagfleetError) as failed:
        stream([("beta", beta, ["true"])], Terminal())
    assert failed.value.exit_code == 5
    assert "refused" in failed.value.message


def test_a_host_whose_key_nobody_accepted_is_not_entered(beta: Target, tmp_path: Path) -> None:
    with ssh_server(write_key(tmp_path / "id")) as server:
        stranger = Target(**{**vars(beta), "port": server.port})
        with pytest.raises(DagfleetError) as failed:
            stream([("beta", stranger, ["true"])], Terminal())
    assert failed.value.exit_code == 5
    assert server.commands == []


def test_each_part_is_looked_for_where_it_runs(fleet_yml: str) -> None:
    file = load_fleet(Path(fleet_yml))
    [etl], [reporting], [web] = (sources(file, part) for part in ("etl", "reporting", "web"))
    assert (etl.host, etl.container) == ("beta", "dagfleet-location-etl")
    assert (reporting.host, reporting.unit) == ("delta", "dagfleet-location-reporting@*.service")
    assert (web.host, web.container) == ("alpha", "dagfleet-web")
    assert etl.command(lines=5, follow=True) == [
        "docker",
        "logs",
        "--tail",
        "5",
        "--follow",
        "dagfleet-location-etl",
    ]


def test_a_mistyped_name_is_met_with_the_nearest(fleet_yml: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-f", fleet_yml, "logs", "reportng"]) == 3
    assert 'did you mean "reporting"?' in capsys.readouterr().err.lower()
