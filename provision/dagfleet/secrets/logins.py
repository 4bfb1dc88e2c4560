"""Logins of the web UI and the registry as HAProxy reads them: a user and a SHA-crypt hash a line."""

import hashlib
import hmac
import re

from passlib.hash import sha512_crypt

from dagfleet.errors import ConfigurationError

# HAProxy computes the hash anew for each request, so the cost is crypt(3)'s default (milliseconds).
ROUNDS = 5000
_HASH = re.compile(r"^\$[56]\$(rounds=\d{4,9}\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{43,86}$")
_USER = re.compile(r"^[A-Za-z_][A-Za-z0-9_.@-]{0,31}$")
_CRYPT_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def logins(text: str, *, salt: str, secret: str) -> str:
    """Turn lines `user:password` or `user:$6$...` into lines `user:hash`.

    The hash of a password depends on user, password and the fleet's own `salt` only, so that applying twice
    changes nothing. Raises ConfigurationError naming `secret` and the line's number, never its content.
    """
    users: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        user, colon, password = line.strip().partition(":")
        where = f'secret "{secret}", line {number}'
        if not colon or not password:
            raise ConfigurationError(
                f"{where} is not user:password", fix="write a user, a colon and a password"
            )
        if not _USER.fullmatch(user):
            raise ConfigurationError(
                f"{where}: this cannot be a user's name", fix="use letters, digits and . _ @ -"
            )
        if user in users:
            raise ConfigurationError(f'{where}: user "{user}" is there twice', fix="keep one of the lines")
        users[user] = _hashed(user, password, salt, where)
    if not users:
        raise ConfigurationError(
            f'secret "{secret}" names no user', fix="write a line user:password for each"
        )
    return "\n".join(f"{user}:{hashed}" for user, hashed in users.items())


def _hashed(user: str, password: str, salt: str, where: str) -> str:
    if password.startswith(("$5$", "$6$")):
        if not _HASH.fullmatch(password):
            raise ConfigurationError(
                f"{where}: the hash is not whole",
                fix="make one with mkpasswd -m sha-512, or write the password",
            )
        return password
    digest = hmac.digest(salt.encode(), f"{user}\0{password}".encode(), hashlib.sha256)
    letters = "".join(_CRYPT_ALPHABET[byte % 64] for byte in digest[:16])
    return str(sha512_crypt.using(salt=letters, rounds=ROUNDS).hash(password))
