"""Hiding secrets in text that people or logs get to see."""

import re
from collections.abc import Callable, Iterable

MASK = "********"
# A line of a longer secret is hidden on its own when it is long enough not to be an ordinary word.
SHORTEST_LINE = 8


def masker(values: Iterable[str]) -> Callable[[str], str]:
    """Return a function that replaces each of `values` by asterisks.

    Longer ones go first, so that a secret which contains another leaves no rest. Output comes line by line:
    each line of a secret with several, and each password of `user:password` lines, is hidden as well.
    """
    hidden = {part for value in values for part in _parts(value)}
    if not hidden:
        return lambda text: text
    pattern = re.compile(
        "|".join(re.escape(part) for part in sorted(hidden, key=lambda part: (-len(part), part)))
    )
    return lambda text: pattern.sub(MASK, text)


def _parts(value: str) -> Iterable[str]:
    if value.strip():
        yield value
    for line in value.splitlines():
        _, _, password = line.partition(":")
        for part in (line.strip(), password.strip()):
            if len(part) >= SHORTEST_LINE:
                yield part
