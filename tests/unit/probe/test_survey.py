import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from dagfleet.cli.checked import checked
from dagfleet.errors import UnreachableError
from dagfleet.fleet.model import Fleet
from dagfleet.probe.connection import Connection
from dagfleet.probe.report import HostReport, Privilege
from dagfleet.probe.survey import survey
from dagfleet.probe.target import Target
from dagfleet.probe.trust import accept, greet

from tests.unit.probe.ssh_server import Running, ssh_server, write_key

To = Callable[..., Target]


def test_a_host_answers_everything_in_one_round_trip(server: Running, to: To) -> None:
    accept([to(server.port)])
    found = survey([to(server.port)])
    report = found.reports["beta"]
    assert isinstance(report, HostReport)
    assert report.privilege in Privilege
    assert report.cores >= 1
    assert abs(report.clock_offset) < 30
    assert len(server.commands) == 1


def test_check_logs_in_once_for_what_a_host_is_and_whom_it_reaches(
    server: Running, to: To, fleet: Fleet
) -> None:
    accept([to(server.port)])
    met = server.logins
    result = checked(fleet, [to(server.port)])
    assert server.logins == met + 1
    assert list(result.reports) == ["beta"]
    assert [way.title for way in result.ways] == ["alpha:4443"]


def test_a_host_says_which_python_processes_would_have(server: Running, to: To) -> None:
    accept([to(server.port)])
    version = subprocess.run(["/usr/bin/python3", "--version"], capture_output=True, text=True, check=True)
    python = survey([to(server.port)]).reports["beta"].python
    assert python
    assert version.stdout.startswith(f"Python {python}.")


def test_no_python_is_needed_on_the_host(tmp_path: Path, to: To) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in (
        "sh",
        "cat",
        "date",
        "id",
        "sed",
        "grep",
        "df",
        "stat",
        "tail",
        "cut",
        "sort",
        "dirname",
        "uname",
    ):
        found = next(path for path in (Path("/bin") / name, Path("/usr/bin") / name) if path.exists())
        (tools / name).symlink_to(found)
    with ssh_server(write_key(tmp_path / "id"), path=str(tools)) as server:
        accept([to(server.port)])
        assert survey([to(server.port)]).reports["beta"].distribution


def test_a_host_that_nobody_met_before_is_not_trusted(server: Running, to: To) -> None:
    error = survey([to(server.port)]).unreachable["beta"]
    assert "shows a host key that nobody has accepted yet: " in error.message
    assert "SHA256:" in error.message
    assert "--accept-new-host-keys" in (error.fix or "")
    assert server.commands == []


def test_an_accepted_host_stays_accepted(server: Running, to: To) -> None:
    (key,) = accept([to(server.port)])
    assert key.fingerprint.startswith("SHA256:")
    assert accept([to(server.port)]) == []
    assert greet([to(server.port)]) == {}
    assert to(server.port).known_hosts.stat().st_mode & 0o777 == 0o600


def test_trust_from_the_operators_own_known_hosts_is_taken_over(
    server: Running, to: To, no_personal_known_hosts: Path
) -> None:
    key = server.host_key
    no_personal_known_hosts.write_text(f"[127.0.0.1]:{server.port} {key.get_name()} {key.get_base64()}\n")
    assert greet([to(server.port)]) == {}
    assert "beta" in survey([to(server.port)]).reports


def test_a_changed_host_key_is_refused(server: Running, to: To, tmp_path: Path) -> None:
    target = to(server.port)
    other = write_key(tmp_path / "other")
    target.known_hosts.parent.mkdir()
    target.known_hosts.write_text(f"[127.0.0.1]:{server.port} {other.get_name()} {other.get_base64()}\n")
    error = survey([target]).unreachable["beta"]
    assert "another host key than the one accepted before" in error.message
    assert f"-R [127.0.0.1]:{server.port}" in (error.fix or "")


def test_a_wrong_key_is_told_apart(server: Running, to: To, tmp_path: Path) -> None:
    accept([to(server.port)])
    write_key(tmp_path / "wrong")
    error = survey([to(server.port, key="wrong")]).unreachable["beta"]
    assert error.exit_code == 5
    assert error.message == (
        f"beta (127.0.0.1:{server.port}) does not let root in with key {tmp_path / 'wrong'}"
    )


def test_a_missing_key_is_told_apart(server: Running, to: To) -> None:
    accept([to(server.port)])
    error = survey([to(server.port, key="nowhere")]).unreachable["beta"]
    assert error.message.endswith("nowhere, is not there")


def test_nobody_listening_is_told_apart(to: To, tmp_path: Path) -> None:
    write_key(tmp_path / "id")
    error = survey([to(1)]).unreachable["beta"]
    assert error.message.startswith("beta (127.0.0.1:1) cannot be reached: connection refused")


def test_one_host_out_of_reach_does_not_hide_the_others(server: Running, to: To) -> None:
    here, gone = to(server.port), to(1, name="gamma")
    accept([here])
    found = survey([here, gone])
    assert list(found.reports) == ["beta"]
    assert list(found.unreachable) == ["gamma"]


def test_a_script_runs_and_its_failure_is_no_broken_connection(server: Running, to: To) -> None:
    accept([to(server.port)])
    with Connection(to(server.port)) as connection:
        assert connection.run("echo out; echo err >&2; exit 3").stdout == "out"
        answer = connection.run("echo err >&2; exit 3")
    assert (answer.ok, answer.stderr) == (False, "err")


def test_a_session_that_breaks_is_an_unreachable_host(to: To, tmp_path: Path) -> None:
    with ssh_server(write_key(tmp_path / "id")) as server:
        accept([to(server.port)])
        connection = Connection(to(server.port))
        connection.open()
    with pytest.raises(UnreachableError, match="stopped answering"):
        connection.run("true")
