import io
import time

import pytest
from dagfleet.cli.terminal import Terminal


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_plain_lines_that_fit() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    with terminal.working("check", "asking 4 hosts") as now:
        now("still asking")
    terminal.line("check", terminal.paint("4 hosts ok", fg="green"), 1.34)
    terminal.line("done", "https://dagster.example.com")
    lines = stream.getvalue().splitlines()
    assert lines == [f"{'check    4 hosts ok':<91}{'1.3 s':>9}", "done     https://dagster.example.com"]
    assert len(lines[0]) == 100
    assert "\x1b" not in stream.getvalue()


def test_long_words_wrap_under_themselves() -> None:
    stream = io.StringIO()
    Terminal(stream).line("certs", "issued " * 30, 2)
    lines = stream.getvalue().splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 100 for line in lines)
    assert lines[1].startswith(" " * 9 + "issued")


def test_a_terminal_has_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in Terminal(Tty()).paint("ok", fg="green")


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert Terminal(Tty()).paint("ok", fg="green") == "ok"


def test_long_work_moves_on_a_terminal_and_leaves_only_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Tty()
    terminal = Terminal(stream)
    with terminal.working("check", "asking 4 hosts"):
        time.sleep(0.3)
        terminal.say("beta answered")
    said = stream.getvalue()
    assert "asking 4 hosts" in said
    assert "beta answered" in said
    assert said.rstrip().endswith("\x1b[2K") or "\x1b[1A" in said
