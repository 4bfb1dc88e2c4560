"""What pydantic found wrong, in a user's words."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from dagfleet.fleet.document import KeyPath


def mistakes(error: ValidationError) -> Iterator[tuple[KeyPath, str]]:
    """Yield the place and the sentence for each mistake."""
    for found in error.errors(include_url=False):
        yield tuple(step for step in found["loc"] if step != "[key]"), str(found["msg"])
