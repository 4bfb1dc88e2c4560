"""What can go wrong, as a person is told it."""

from __future__ import annotations


class BackupError(Exception):
    """The thing and the fact in the message, the next step in `fix`."""

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix
