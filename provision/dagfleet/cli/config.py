"""`dagfleet config`: what fleet.yml may say, and what it says."""

import json
from typing import ClassVar

import click

from dagfleet.cli.groups import Page
from dagfleet.cli.settings import Settings, common_options, json_option


class ConfigPage(Page):
    """Its help."""

    sections: ClassVar = {"Commands": ("docs", "schema", "show")}
    examples = """
dagfleet config docs hosts                    every key below hosts, and what it means
dagfleet config schema > fleet.schema.json    then, in fleet.yml's first line:
# yaml-language-server: $schema=fleet.schema.json
"""


@click.group(
    cls=ConfigPage, short_help="Explain fleet.yml: its keys, its schema, what it means with all defaults."
)
@common_options
def config() -> None:
    """Explain fleet.yml: every key, the schema for editors, what it means with all defaults filled in."""


@config.command(short_help="Say what every key of fleet.yml means.")
@click.argument("part", required=False, default="")
@common_options
@click.pass_obj
def docs(settings: Settings, part: str) -> None:
    """Say what every key of fleet.yml means, its values and default; PART is one such as control.web."""
    from dagfleet.errors import ConfigurationError
    from dagfleet.fleet import json_schema
    from dagfleet.fleet.mistakes import did_you_mean
    from dagfleet.fleet.reference import part_names, reference_text

    schema = json_schema()
    text = reference_text(schema, only=part)
    if not text:
        raise ConfigurationError(
            f'fleet.yml has no part "{part}"', fix=did_you_mean(part, part_names(schema))
        )
    settings.terminal.say(text)


@config.command(short_help="Print the JSON Schema of fleet.yml, for editors.")
@common_options
@click.pass_obj
def schema(settings: Settings) -> None:
    """Print the JSON Schema of fleet.yml: editors complete keys and underline mistakes with it."""
    from dagfleet.fleet import json_schema

    settings.terminal.say(json.dumps(json_schema(), indent=2))


@config.command(short_help="Print what fleet.yml means, defaults filled in.")
@json_option
@common_options
@click.pass_obj
def show(settings: Settings, as_json: bool) -> None:
    """Print what fleet.yml means, defaults filled in; secrets stay references."""
    content = settings.fleet_file().fleet.model_dump(mode="json", exclude_none=True)
    if as_json:
        settings.terminal.say(json.dumps(content, indent=2))
        return
    import io

    from ruamel.yaml import YAML

    text = io.StringIO()
    yaml = YAML()
    yaml.width = 100
    yaml.dump(content, text)
    settings.terminal.say(text.getvalue().rstrip())
