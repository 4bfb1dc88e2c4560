"""Which of Dagster's packages belong together, which sets were tested, and which upgrades lead where."""

from collections.abc import Iterable, Mapping

from dagfleet.errors import ConfigurationError

TESTED = {"1.12.22": "0.28.22", "1.13.27": "0.29.27"}
"""Dagster's versions, and those of its libraries in the sets that were tested; the shipped locks pin them."""

_SAME = ("dagster-graphql", "dagster-pipes", "dagster-shared", "dagster-webserver")
_LIBRARIES = ("dagster-docker", "dagster-k8s", "dagster-postgres")
PACKAGES = ("dagster", *_SAME, *_LIBRARIES)
"""What is looked at in an image or a lock."""

# Dagster 1.0 came with libraries 0.16, and both have counted on together since.
_AHEAD = 16


def numbers(version: str) -> tuple[int, ...]:
    """Return `1.13.27` as numbers to compare; what is no number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))


def libraries_of(version: str) -> str:
    """Return the version of dagster-postgres and dagster-docker in the release of Dagster `version`."""
    _, minor, patch = (*numbers(version), 0, 0)[:3]
    return f"0.{minor + _AHEAD}.{patch}"


def mixed(packages: Mapping[str, str]) -> str | None:
    """Return which package is of another release than Dagster itself, in words; None when none is.

    `packages` are versions by name. pip pairs a Dagster whose libraries it does not find with ancient ones.
    """
    dagster = packages.get("dagster")
    if dagster is None:
        return None
    wanted = {**dict.fromkeys(_SAME, dagster), **dict.fromkeys(_LIBRARIES, libraries_of(dagster))}
    for name, version in wanted.items():
        if name in packages and packages[name] != version:
            return f"{name} {packages[name]} beside dagster {dagster}, whose release has {name} {version}"
    return None


def misfit(packages: Mapping[str, str], version: str) -> str | None:
    """Return why code with these packages cannot work in a fleet of Dagster `version`; None when it can.

    Of the same minor release it has to be: newer patches of a location's own are its owner's choice.
    """
    dagster = packages.get("dagster")
    if dagster is None:
        return "it has no Dagster"
    if told := mixed(packages):
        return f"it has {told}"
    if numbers(dagster)[:2] != numbers(version)[:2]:
        return f"it has Dagster {dagster}"
    return None


def refuse_upgrade(name: str, now: str, to: str, *, tested: Iterable[str] = TESTED) -> None:
    """Raise ConfigurationError when fleet `name` cannot go from Dagster `now` to Dagster `to`."""
    known = sorted(tested, key=numbers)
    newer = [each for each in known if numbers(each) > numbers(now)]
    if to[:1].isdigit() and numbers(to) < numbers(now):
        raise ConfigurationError(
            f"{name} runs Dagster {now}, and Dagster's tables cannot go back to {to}",
            fix="a backup made with that version is the way back: dagfleet backup list",
        )
    if to not in known:
        raise ConfigurationError(
            f"Dagster {to} was never tested with this Dagfleet",
            fix=f"tested and newer than {now}: {', '.join(newer)}"
            if newer
            else f"the newest tested is {now}",
        )
