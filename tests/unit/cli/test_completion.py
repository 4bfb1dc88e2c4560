"""What a shell asks when somebody presses the tab key."""

import pytest
from dagfleet.cli.main import run


def completed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str) -> list[str]:
    words = line.split(" ")
    monkeypatch.setenv("_DAGFLEET_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    with pytest.raises(SystemExit) as ended:
        run([])
    assert ended.value.code == 0
    return [answer.partition(",")[2] for answer in capsys.readouterr().out.split()]


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("dagfleet -f {file} check --limit ", ["alpha", "beta", "delta"]),
        ("dagfleet -f {file} check --limit d", ["delta"]),
        ("dagfleet -f {file} logs ", ["etl", "reporting", "web", "daemon", "admin"]),
        ("dagfleet -f /nowhere/fleet.yml logs ", ["web", "daemon", "admin"]),
        ("dagfleet com", ["completion"]),
    ],
)
def test_names_of_the_fleet_are_completed(
    line: str,
    answers: list[str],
    fleet_yml: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert completed(monkeypatch, capsys, line.format(file=fleet_yml)) == answers


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_DAGFLEET_COMPLETE" in capsys.readouterr().out
