"""Rules that look at more than one key."""

from collections.abc import Iterator
from typing import Any

from dagfleet.fleet.document import KeyPath


def broken_rules(data: dict[Any, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield the place and the sentence for each broken rule."""
    return iter(())
