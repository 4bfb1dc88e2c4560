"""`dagfleet completion`: the script with which a shell completes our commands."""

import click
from click.shell_completion import get_completion_class

from dagfleet.cli.settings import Settings, common_options

SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print the script that lets a shell complete dagfleet's words.")
@click.argument("shell", type=click.Choice(SHELLS))
@common_options
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete commands, options, hosts and locations.

    For bash: dagfleet completion bash >~/.local/share/bash-completion/completions/dagfleet
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    root = context.find_root()
    settings: Settings = context.obj
    settings.terminal.say(kind(root.command, {}, "dagfleet", "_DAGFLEET_COMPLETE").source())
