"""Whom Dagfleet logs in as at the web UI."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

VARIABLE = "DAGFLEET_WEB_LOGIN"


@dataclass(frozen=True)
class Login:
    """A user of the web UI and the password in clear; never printed by repr."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login(user={self.user!r})"


def login(users: str, *, environ: Mapping[str, str] = os.environ) -> Login | None:
    """Return whom to log in as: `DAGFLEET_WEB_LOGIN` (`user:password`), else the first user in `users` whose
    password is there in clear; None when only hashes are known.
    """
    for line in (environ.get(VARIABLE, ""), *users.splitlines()):
        user, colon, password = line.strip().partition(":")
        if colon and user and password and not password.startswith("$"):
            return Login(user, password)
    return None
