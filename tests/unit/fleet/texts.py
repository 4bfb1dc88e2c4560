"""A small correct fleet.yml as text, any section of which a test replaces."""

from textwrap import dedent

from dagfleet.errors import FleetFileError
from dagfleet.fleet import Fleet, parse_fleet

SECTIONS = {
    "version": "version: 1",
    "name": "name: prod",
    "dagster": 'dagster: {version: "1.13.27"}',
    "control": "control: {host: alpha, web: {hostname: dagster.example.com, users: secret://web_users}}",
    "hosts": """
        hosts:
          alpha: {address: 10.0.1.1}
          beta: {address: 10.0.1.2}
          gamma: {address: 10.0.1.3}
          delta: {address: 10.0.1.4, docker: none}
        """,
    "locations": """
        locations:
          etl: {hosts: [beta, gamma], image: "etl:1", module: etl.defs}
          reporting: {hosts: [delta], requirements: [./reporting], module: reporting.defs}
        """,
    "secrets": "secrets: {web_users: {generated: {users: [demo]}}, warehouse: {env: WAREHOUSE}}",
}

SECRETS_WITH_CI = """
secrets:
  web_users: {generated: {users: [demo]}}
  warehouse: {env: WAREHOUSE}
  ci: {generated: {users: [ci]}}
  text: {generated: true}
"""


def fleet_text(**sections: str | None) -> str:
    """Return the file with `sections` replaced, added, or (None) left out."""
    chosen = {**SECTIONS, **sections}
    return "\n".join(dedent(text).strip() for text in chosen.values() if text is not None) + "\n"


def fleet_with(**sections: str | None) -> Fleet:
    """Return the fleet of that file."""
    return parse_fleet(fleet_text(**sections), name="fleet.yml")


def problems_of(text: str) -> dict[str, str]:
    """Return the facts that are wrong in a file, by key."""
    try:
        parse_fleet(text, name="fleet.yml")
    except FleetFileError as error:
        return {problem.key: problem.fact for problem in error.problems}
    return {}


def problems_with(**sections: str | None) -> dict[str, str]:
    """Return the facts that are wrong in the small fleet with `sections` replaced, by key."""
    return problems_of(fleet_text(**sections))


def location(**keys: str) -> str:
    """Return a `locations` section of one location `etl`, with `keys` on top of what it needs."""
    values = {"hosts": "[beta]", "image": '"etl:1"', "module": "etl.defs", **keys}
    return (
        "locations: {etl: {" + ", ".join(f"{key}: {value}" for key, value in values.items() if value) + "}}"
    )
