"""The command line: collects the verbs that installed packages bring (entry points ``offing.commands``).

Each verb is a typed function that Typer turns into a command; it is loaded when it is called, so that
``offing run`` does not wait for plotting libraries. Errors meant for the user end with exit code 2 and no traceback.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import EntryPoint, entry_points, version

import click
import typer
from rich.console import Console

from simulator.foundation.errors import OffingError, RegistryError, did_you_mean

GROUP = "offing.commands"
ORDER = ("run", "validate", "show", "plot", "techniques", "models", "hardware", "schema", "profile")


def verbs() -> dict[str, EntryPoint]:
    """Return the entry point of every verb installed, by name.

    Raises:
        RegistryError: if two distributions give one name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        other = found.get(point.name)
        if other is not None and other.value != point.value:
            raise RegistryError(f'two commands are named "{point.name}": {other.value} and {point.value}')
        found[point.name] = point
    rank = {name: i for i, name in enumerate(ORDER)}
    return dict(sorted(found.items(), key=lambda item: (rank.get(item[0], len(rank)), item[0])))


class Verbs(click.Group):
    """A group whose commands are loaded on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all verbs."""
        return list(verbs())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one verb."""
        point = verbs().get(cmd_name)
        if point is None:
            return None
        app = typer.Typer(add_completion=False)
        app.command(name=cmd_name)(point.load())
        return typer.main.get_command(app)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Answer an unknown verb with the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in verbs():
            known = verbs()
            ctx.fail(f'no command named "{args[0]}".{did_you_mean(args[0], known)} Commands: {", ".join(known)}')
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"offing {version('offing')}")
        ctx.exit()


app = Verbs(
    name="offing",
    help="Simulate edge-cloud machine-learning systems. Start with: offing run quick/split_inference",
    no_args_is_help=True,
    params=[click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_print_version)],
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 0, or 2 where the input was wrong."""
    try:
        app(arguments, prog_name="offing", standalone_mode=True)
    except OffingError as error:
        console = Console(stderr=True, soft_wrap=True)
        console.print("Error:", style="bold red", end=" ")
        console.print(str(error), markup=False, highlight=False)
        sys.exit(2)
    except BrokenPipeError:  # a reader such as head has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped; nothing was written.")
        sys.exit(130)
