import pytest
from dagfleet.probe.units import count, duration, size


@pytest.mark.parametrize(
    ("number", "text"),
    [(512, "512 B"), (3 * 1024**2, "3 MiB"), (int(3.1 * 1024**3), "3.1 GiB"), (31 * 1024**3 + 5, "31 GiB")],
)
def test_sizes_have_the_unit_that_fits(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.34, "1.3 s"),
        (48.4, "48 s"),
        (201, "3 min 21 s"),
        (240, "4 min"),
        (7500, "2 h 5 min"),
        (7200, "2 h"),
    ],
)
def test_durations_are_human(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts_agree_with_their_noun() -> None:
    assert (count(1, "host"), count(0, "host"), count(2, "leaf", "leaves")) == (
        "1 host",
        "0 hosts",
        "2 leaves",
    )
