import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from dagfleet.cli.groups import Page
from dagfleet.cli.main import cli

HELP = "from dagfleet.cli.main import run; run(['--help'])"
SLOW = (
    "ansible",
    "cryptography",
    "docker",
    "gevent",
    "paramiko",
    "pydantic",
    "pyinfra",
    "requests",
    "rich",
    "ruamel",
)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from dagfleet.cli.main import run; run(['--help']); "
        f"loaded = sorted(set({SLOW!r}) & set(sys.modules)); sys.exit(f'loaded {{loaded}}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_takes_less_than_a_third_of_a_second_of_work() -> None:
    def seconds() -> float:
        before = time.process_time_ns()
        import resource

        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", HELP], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert before
        return (after.ru_utime + after.ru_stime) - (used.ru_utime + used.ru_stime)

    assert min(seconds() for _ in range(3)) < 0.3


def test_every_command_stands_under_a_heading() -> None:
    def pages(group: Page) -> list[Page]:
        return [
            group,
            *(page for each in group.commands.values() if isinstance(each, Page) for page in pages(each)),
        ]

    assert isinstance(cli, Page)
    for page in pages(cli):
        listed = [name for names in page.sections.values() for name in names]
        assert sorted(listed) == sorted(page.commands)


def commands() -> list[tuple[str, ...]]:
    assert isinstance(cli, Page)
    found: list[tuple[str, ...]] = []
    for name, command in cli.commands.items():
        found.append((name,))
        if isinstance(command, Page):
            found += [(name, child) for child in command.commands]
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(cli, [*words, "--help"])
    assert answer.exit_code == 0
    assert f"dagfleet {' '.join(words)}" in answer.output.replace("cli ", "dagfleet ")
    assert "-f, --file FILE" in answer.output


@pytest.mark.parametrize(
    "words", [("check",), ("plan",), ("status",), ("lock", "status"), ("config", "show")]
)
def test_reading_commands_speak_json(words: tuple[str, ...]) -> None:
    assert "--json" in CliRunner().invoke(cli, [*words, "--help"]).output
