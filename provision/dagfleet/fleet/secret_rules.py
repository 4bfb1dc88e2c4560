"""Rules about secrets in fleet.yml: where they may stand, that each is declared and has one source."""

from collections.abc import Iterator, Mapping
from typing import Any

from dagfleet.fleet.document import KeyPath
from dagfleet.fleet.mistakes import did_you_mean
from dagfleet.fleet.model import Fleet, Secret
from dagfleet.fleet.values import SECRET_SCHEME, secret_name

Finding = tuple[KeyPath, str]

# Made up by Dagfleet itself when the file does not declare them.
IMPLICIT_SECRETS = ("postgres_password", "replication_password", "web_users_salt")


def implicit_secrets(fleet: Fleet) -> tuple[str, ...]:
    """Return the secrets that this fleet needs although its file may not declare them."""
    needed = {
        "postgres_password": fleet.postgres.mode == "managed",
        "replication_password": fleet.streams,
    }
    return tuple(name for name in IMPLICIT_SECRETS if needed.get(name, True))


_PLACES: tuple[KeyPath, ...] = (
    ("control", "web", "users"),
    ("control", "web", "certificate"),
    ("locations", "*", "env", "*"),
    ("pki", "passphrase"),
    ("postgres", "url"),
    ("postgres", "databases", "*", "password"),
    ("registry", "users"),
)
# What holds lines `user:password`.
_LOGINS: tuple[KeyPath, ...] = (("control", "web", "users"), ("registry", "users"))


def broken_secret_rules(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield the place and the sentence for each broken rule."""
    declared = data.get("secrets")
    secrets = declared if isinstance(declared, dict) else {}
    for path, text in _texts(data, ()):
        if SECRET_SCHEME in text:
            yield from _reference(path, text, secrets)
    for name, source in secrets.items():
        if isinstance(source, dict):
            yield from _sources(("secrets", str(name)), source)


def _reference(path: KeyPath, text: str, secrets: Mapping[Any, Any]) -> Iterator[Finding]:
    name = secret_name(text)
    if not any(_fits(path, place) for place in _PLACES):
        yield (
            path,
            "a secret cannot stand here; it can in a location's env, control.web, pki, postgres and registry",
        )
    elif name is None:
        yield path, f"a secret is the whole value: {SECRET_SCHEME}NAME, with nothing around it"
    elif name not in secrets and name not in IMPLICIT_SECRETS:
        yield path, f'no secret is named "{name}"; {_declare(name, [str(known) for known in secrets])}'
    elif path in _LOGINS and _is_random_text(secrets.get(name)):
        yield path, f'"{name}" is random text, not users; write generated: {{users: [NAME]}} for it'


def _sources(path: KeyPath, source: Mapping[Any, Any]) -> Iterator[Finding]:
    known = list(Secret.model_fields)
    written = [key for key in known if source.get(key) is not None]
    if len(written) > 1:
        yield path, f"has {len(written)} sources: {' and '.join(written)}; keep one"
    elif not written and not any(str(key) not in known or source[key] is None for key in source):
        yield path, f"has no source; give it one of {', '.join(known)}"


def _is_random_text(source: object) -> bool:
    generated = source.get("generated") if isinstance(source, dict) else None
    return generated is True or (isinstance(generated, dict) and not generated.get("users"))


def _declare(name: str, known: list[str]) -> str:
    hint = did_you_mean(name, known)
    return hint if hint.startswith("did you mean") else "declare it under secrets"


def _fits(path: KeyPath, place: KeyPath) -> bool:
    return len(path) == len(place) and all(
        want in {"*", step} for step, want in zip(path, place, strict=True)
    )


def _texts(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if path == ("secrets",):
        return
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _texts(below, (*path, str(key)))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _texts(below, (*path, index))
