import io
from pathlib import Path

import click
import pytest
from dagfleet.cli.failure import guarded
from dagfleet.cli.main import run
from dagfleet.cli.terminal import Terminal
from dagfleet.errors import (
    ConfigurationError,
    DagfleetError,
    FleetFileError,
    LockedError,
    Problem,
    UnreachableError,
)


def failing(error: BaseException, *, debug: bool = False) -> tuple[int, str]:
    def command() -> None:
        raise error

    stream = io.StringIO()
    code = guarded(command, debug=lambda: debug, terminal=Terminal(stream))
    return code, stream.getvalue()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DagfleetError("failed"), 1),
        (ConfigurationError("wrong"), 3),
        (LockedError("locked"), 4),
        (UnreachableError("gone"), 5),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (click.UsageError("what?"), 3),
        (RuntimeError("bug"), 1),
    ],
)
def test_every_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert failing(error)[0] == code


def test_the_fact_comes_first_and_the_next_step_below() -> None:
    _, said = failing(UnreachableError("beta cannot be reached", fix="switch it on"))
    assert said == "beta cannot be reached.\nSwitch it on.\n"


def test_a_command_to_type_is_printed_as_it_is_typed() -> None:
    assert failing(DagfleetError("not applied yet", fix="dagfleet apply"))[1].endswith("\ndagfleet apply.\n")


def test_all_mistakes_of_a_file_are_aligned() -> None:
    problems = [
        Problem(line=9, key="hosts.beta.adress", fact='unknown key; did you mean "address"?'),
        Problem(line=27, key="locations.ml.hosts", fact='no host is named "gama"'),
    ]
    code, said = failing(FleetFileError("inventory/prod/fleet.yml", problems))
    assert code == 3
    assert said.splitlines() == [
        "inventory/prod/fleet.yml cannot be used:",
        '   9  hosts.beta.adress   unknown key; did you mean "address"?',
        '  27  locations.ml.hosts  no host is named "gama"',
        "Nothing was touched.",
    ]


def test_a_file_that_is_not_there_needs_no_line_number() -> None:
    _, said = failing(FleetFileError("fleet.yml", [Problem(line=None, key="", fact="there is no such file")]))
    assert said == "fleet.yml cannot be used:\n  there is no such file\nNothing was touched.\n"


def test_a_phase_has_the_last_word_on_what_was_touched() -> None:
    error = ConfigurationError("no Docker here")
    error.add_note("What came before is done.")
    assert failing(error)[1] == "no Docker here.\nWhat came before is done.\n"


def test_no_traceback_without_debug(capfd: pytest.CaptureFixture[str]) -> None:
    code, said = failing(RuntimeError("bug"))
    assert code == 1
    assert "RuntimeError: bug" in said
    assert "--debug" in said
    assert "Traceback" not in said + capfd.readouterr().err


def test_debug_shows_the_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    failing(RuntimeError("bug"), debug=True)
    assert "Traceback" in capfd.readouterr().err


def said_by(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = run(list(arguments))
    return code, capfd.readouterr().err


def test_a_mistyped_command_is_recognised(capfd: pytest.CaptureFixture[str]) -> None:
    code, said = said_by(capfd, "aply")
    assert code == 3
    assert 'there is no command "aply"; did you mean "apply"?' in said


def test_a_mistyped_option_does_not_look_like_pending_changes(capfd: pytest.CaptureFixture[str]) -> None:
    code, said = said_by(capfd, "plan", "--limt", "beta")
    assert code == 3
    assert "--limt" in said
    assert "See: dagfleet plan --help" in said


def test_a_host_that_is_not_there_is_recognised(capfd: pytest.CaptureFixture[str], fleet_yml: str) -> None:
    code, said = said_by(capfd, "-f", fleet_yml, "check", "--limit", "bta")
    assert code == 3
    assert 'no host is named "bta".\nDid you mean "beta"?' in said


def test_a_strange_time_is_refused(capfd: pytest.CaptureFixture[str], fleet_yml: str) -> None:
    code, said = said_by(capfd, "-f", fleet_yml, "apply", "--wait", "soon")
    assert code == 3
    assert '"soon" is not a time; write 90s, 10m or 1h' in said


def test_malformed_yaml_touches_nothing(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:

    path = tmp_path / "broken.yml"
    path.write_text("version: [1\n")
    code, said = said_by(capfd, "-f", str(path), "apply")
    assert code == 3
    assert said.startswith(f"{path} cannot be used:")
    assert said.endswith("Nothing was touched.\n")


def test_the_file_may_be_named_before_or_after_the_command(
    capfd: pytest.CaptureFixture[str], fleet_yml: str
) -> None:
    assert run(["-f", fleet_yml, "config", "show"]) == 0
    before = capfd.readouterr().out
    assert run(["config", "show", "-f", fleet_yml]) == 0
    assert capfd.readouterr().out == before
    assert "name: prod" in before
