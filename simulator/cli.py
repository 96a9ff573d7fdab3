"""The command line: collects the verbs that installed packages bring (entry points ``offing.commands``).

Each verb is a typed function that Typer turns into a command; it is loaded when it is called, so that
``offing run`` does not wait for plotting libraries. Errors meant for the user end with exit code 2 and no traceback.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from simulator.foundation.errors import OffingError, RegistryError, did_you_mean

GROUP = "offing.commands"
ORDER = ("run", "validate", "show", "compare", "plot", "techniques", "models", "hardware", "schema", "profile")


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


class Verbs(TyperGroup):
    """A group whose commands are loaded on first use."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name all verbs."""
        return list(verbs())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load one verb; None where there is none."""
        point = verbs().get(cmd_name)
        if point is None:
            return None
        verb = typer.Typer(add_completion=False)
        verb.command(name=cmd_name, context_settings=HELP)(point.load())
        return typer.main.get_command(verb)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Answer an unknown verb with the nearest one."""
        known = verbs()
        if args and not args[0].startswith("-") and args[0] not in known:
            ctx.fail(f'no command named "{args[0]}".{did_you_mean(args[0], known)} Commands: {", ".join(known)}')
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; end quietly where somebody stops it (Typer would, without a word)."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            Console(stderr=True).print("Stopped; nothing was written.")
            raise typer.Exit(130) from None
        except BrokenPipeError:  # a reader such as head has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None


HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(cls=Verbs, no_args_is_help=True, add_completion=False, context_settings=HELP)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"offing {version('offing')}")
        raise typer.Exit


@app.callback()
def offing(
    _: Annotated[bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print it.")] = False,
) -> None:
    """Simulate edge-cloud machine-learning systems. Start with: offing run quick/split_inference."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 0, or 2 where the input was wrong."""
    try:
        app(arguments, prog_name="offing")
    except OffingError as error:
        console = Console(stderr=True, soft_wrap=True)
        console.print("Error:", style="bold red", end=" ")
        console.print(str(error), markup=False, highlight=False)
        sys.exit(2)
