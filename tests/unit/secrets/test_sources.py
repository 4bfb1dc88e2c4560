"""Where secrets come from, and what is said when they do not come."""

import json
import stat
from pathlib import Path

import pytest
from dagfleet.errors import ConfigurationError
from dagfleet.fleet import load_fleet
from dagfleet.secrets import Secrets
from dagfleet.secrets.sources import from_command

from tests.unit.fleet.texts import fleet_text


def secrets_of(folder: Path, source: str, **environ: str) -> Secrets:
    """Return the secrets of a fleet in `folder` whose secret `pass` has `source`."""
    path = folder / "fleet.yml"
    path.write_text(
        fleet_text(secrets=f"secrets: {{web_users: {{generated: {{users: [demo]}}}}, pass: {source}}}")
    )
    return Secrets(load_fleet(path), environ=environ)


def failure(secrets: Secrets, name: str = "pass") -> ConfigurationError:
    with pytest.raises(ConfigurationError) as raised:
        secrets.resolve(name)
    assert f'"{name}"' in raised.value.message
    assert raised.value.fix
    return raised.value


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_command_runs_beside_the_file_without_a_shell(tmp_path: Path) -> None:
    (tmp_path / "stored").write_text("hunter2\n")
    assert secrets_of(tmp_path, '{command: "cat stored"}').resolve("pass") == "hunter2"
    assert secrets_of(tmp_path, '{command: "echo $HOME; whoami"}').resolve("pass") == "$HOME; whoami"


def test_only_the_last_newline_is_taken_off(tmp_path: Path) -> None:
    assert secrets_of(tmp_path, r'{command: [printf, " a\nb \n\n"]}').resolve("pass") == " a\nb \n"


def test_a_failing_command_is_told_with_its_own_last_words(tmp_path: Path) -> None:
    error = failure(secrets_of(tmp_path, '{command: "ls no-such-file"}'))
    assert '"ls no-such-file" ended with 2: ' in error.message
    assert "No such file" in error.message


def test_a_command_that_is_not_installed_is_told(tmp_path: Path) -> None:
    error = failure(secrets_of(tmp_path, '{command: "no-such-program read"}'))
    assert "there is no program no-such-program" in error.message
    assert error.fix == "install no-such-program, or change secrets.pass.command"


def test_a_command_that_prints_nothing_is_told(tmp_path: Path) -> None:
    assert "gives nothing" in failure(secrets_of(tmp_path, '{command: "true"}')).message


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"did not end within 0\.1 s"):
        from_command("pass", ["sleep", "5"], directory=tmp_path, seconds=0.1)


def test_a_command_cannot_ask_questions(tmp_path: Path) -> None:
    assert "gives nothing" in failure(secrets_of(tmp_path, "{command: cat}")).message


def test_an_environment_variable_is_read_from_the_operator(tmp_path: Path) -> None:
    assert secrets_of(tmp_path, "{env: PASS}", PASS="hunter2").resolve("pass") == "hunter2"
    error = failure(secrets_of(tmp_path, "{env: PASS}"))
    assert error.message == 'secret "pass": the environment variable PASS is not set'
    assert error.fix == "export PASS=..."
    assert "is empty" in failure(secrets_of(tmp_path, "{env: PASS}", PASS="")).message


def test_a_file_is_read_relative_to_fleet_yml(tmp_path: Path) -> None:
    file = tmp_path / "pass.txt"
    file.write_text("hunter2\n")
    file.chmod(0o600)
    assert secrets_of(tmp_path, "{file: pass.txt}").resolve("pass") == "hunter2"


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path: Path, bits: int) -> None:
    file = tmp_path / "pass.txt"
    file.write_text("hunter2\n")
    file.chmod(bits)
    error = failure(secrets_of(tmp_path, "{file: pass.txt}"))
    assert f"mode {bits:04o}" in error.message
    assert error.fix == f"chmod 600 {file}"
    assert "hunter2" not in error.message


def test_a_missing_file_is_told_with_its_path(tmp_path: Path) -> None:
    error = failure(secrets_of(tmp_path, "{file: pass.txt}"))
    assert error.message == f'secret "pass": the file {tmp_path / "pass.txt"} does not exist'


def test_a_generated_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    value = secrets_of(tmp_path, "{generated: {length: 40}}").resolve("pass")
    assert len(value) == 40
    assert value.isalnum()
    assert mode(tmp_path / ".dagfleet") == 0o700
    assert mode(tmp_path / ".dagfleet/secrets") == 0o700
    assert mode(tmp_path / ".dagfleet/secrets/pass") == 0o600
    assert [path.name for path in (tmp_path / ".dagfleet/secrets").iterdir()] == ["pass"]
    assert secrets_of(tmp_path, "{generated: {length: 40}}").resolve("pass") == value


def test_generated_users_get_a_password_each(tmp_path: Path) -> None:
    lines = secrets_of(tmp_path, "{generated: {users: [ann, bob]}}").resolve("pass").splitlines()
    assert [line.split(":")[0] for line in lines] == ["ann", "bob"]
    assert len({line.split(":")[1] for line in lines}) == 2


def test_a_generated_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    secrets_of(tmp_path, "{generated: true}").resolve("pass")
    (tmp_path / ".dagfleet/secrets/pass").chmod(0o644)
    assert "can be read by others" in failure(secrets_of(tmp_path, "{generated: true}")).message


def test_an_undeclared_secret_is_told(tmp_path: Path) -> None:
    assert "is not declared" in failure(secrets_of(tmp_path, "{env: PASS}"), "other").message


def test_all_secrets_include_those_that_every_fleet_needs(tmp_path: Path) -> None:
    values = secrets_of(tmp_path, "{env: PASS}", PASS="hunter2").resolve_all()
    assert set(values) == {"postgres_password", "web_users_salt", "web_users", "pass"}


def test_values_that_the_command_resolved_come_before_their_sources(tmp_path: Path) -> None:
    handed = json.dumps({"pass": "from the command"})
    assert secrets_of(tmp_path, "{env: PASS}", DAGFLEET_SECRETS=handed).resolve("pass") == "from the command"


@pytest.mark.parametrize("text", ["{", "[]", '{"pass": 1}'])
def test_a_broken_hand_over_is_told_without_its_content(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="DAGFLEET_SECRETS is not a JSON object of texts"):
        secrets_of(tmp_path, "{env: PASS}", DAGFLEET_SECRETS=text)
