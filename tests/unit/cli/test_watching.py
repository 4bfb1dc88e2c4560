"""Looking again and again."""

import io

import pytest
from dagfleet.cli.terminal import Terminal
from dagfleet.cli.watching import watched


class Enough:
    """Sleeps twice, then somebody presses Ctrl-C."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == 3:
            raise KeyboardInterrupt


@pytest.mark.parametrize("live", [True, False])
def test_each_look_follows_the_one_before_until_ctrl_c_and_the_last_decides_the_exit_code(live: bool) -> None:
    screen = io.StringIO()
    terminal = Terminal(screen)
    terminal.live = live
    looks: list[int] = []

    def look() -> int:
        looks.append(len(looks))
        terminal.say(f"look {len(looks)}")
        return 1 if len(looks) == 3 else 0

    enough = Enough()
    assert watched(look, 7, terminal, sleep=enough) == 1
    assert enough.slept == [7, 7, 7]
    pages = screen.getvalue().split("\x1b[H\x1b[2J")
    if live:
        assert [page.splitlines()[-1] for page in pages[1:]] == ["look 1", "look 2", "look 3"]
    else:
        assert screen.getvalue() == "look 1\nlook 2\nlook 3\n", "no cursor is moved in a pipe"


def test_without_watch_one_look_is_all() -> None:
    assert watched(lambda: 5, None, Terminal(io.StringIO()), sleep=lambda _: pytest.fail("it waits")) == 5
