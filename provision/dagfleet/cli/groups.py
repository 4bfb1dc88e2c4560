"""A command group whose help reads like a page: commands under headings, in the order they are needed."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import ClassVar

import click


class Page(click.Group):
    """A group with `sections` (heading to command names) and `examples` at the end of its help."""

    sections: ClassVar[Mapping[str, Sequence[str]]] = {}
    examples: str = ""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings; one without a heading would be a mistake of ours."""
        del ctx
        width = max(len(name) for name in self.commands)
        for heading, names in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(f"{name:<{width}}", self.commands[name].get_short_help_str(limit=80)) for name in names]
                )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are."""
        del ctx
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the command that was probably meant."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            near = get_close_matches(args[0], self.commands, n=1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise click.UsageError(f'there is no command "{args[0]}"{hint}', ctx)
        return super().resolve_command(ctx, args)
