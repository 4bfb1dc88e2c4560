"""What the control host remembers of releases."""

from dagfleet.probe.history import Release, parsed

FIRST = Release(
    number=1, at="2026-11-21T14:02:11+00:00", by="ops@laptop", command="dagfleet apply", version="0.1.0",
    config="ab12", seconds=76.1, hosts={"alpha": 3}, stopped=("beta",),
)  # fmt: skip


def test_a_release_reads_back_as_it_was_written() -> None:
    [read] = parsed(FIRST.as_line() + "\n")
    assert read.number == 1
    assert read.hosts == {"alpha": 3}
    assert list(read.stopped) == ["beta"]
    assert read.when.year == 2026


def test_a_line_that_a_crash_cut_short_hides_no_other() -> None:
    text = (
        FIRST.as_line()
        + "\n"
        + FIRST.as_line()[:40]
        + "\n"
        + FIRST.as_line().replace('"number": 1', '"number": 2')
    )
    assert [each.number for each in parsed(text)] == [1, 2]
