"""The command line: collects the verbs that installed packages bring (entry points ``offing.commands``).

Each verb is a typed function that Typer turns into a command; it is loaded when it is called, so that
``offing run`` does not wait for plotting libraries. A dot in the name of an entry point makes a group:
``traces.import`` is ``offing traces import``. Errors meant for the user end with exit code 2 and no traceback.
"""

from __future__ import annotations

import ast
import os
import sys
from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

from simulator.foundation.errors import OffingError, RegistryError, did_you_mean

GROUP = "offing.commands"
ORDER = (
    "run", "validate", "show", "compare", "plot",
    "traces.formats", "traces.describe", "traces.import", "traces.transfer", "traces.plot", "traces.generate",
    "record.cpu", "techniques", "models", "hardware", "schema",
    "profile", "predict", "testbed", "fidelity", "reproduce",
)  # fmt: skip
GROUPS = {
    "traces": "Recordings in any known format: read, describe, convert, draw, and make synthetic ones.",
    "record": "Record what this machine does.",
}
"""What the groups are for; those of other packages are described by their verbs."""
HELP = {"help_option_names": ["-h", "--help"]}


def verbs() -> dict[str, EntryPoint]:
    """Return the entry point of every verb installed, by name.

    Raises:
        RegistryError: if two distributions give one name, or one gives a verb where another has a group.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        other = found.get(point.name)
        if other is not None and other.value != point.value:
            raise RegistryError(f'two commands are named "{point.name}": {other.value} and {point.value}')
        found[point.name] = point
    for name, point in found.items():
        group = name.rpartition(".")[0]
        if group in found:
            raise RegistryError(f'"{group}" ({found[group].value}) is a command, so "{name}" ({point.value}) cannot be')
    rank = {name: i for i, name in enumerate(ORDER)}
    return dict(sorted(found.items(), key=lambda item: (rank.get(item[0], len(rank)), item[0])))


class Verbs(TyperGroup):
    """A group whose commands are loaded on first use."""

    prefix = ""
    """What the names of its verbs begin with: ``traces.``; nothing for the outermost."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name its verbs and groups."""
        inside = (name.removeprefix(self.prefix) for name in verbs() if name.startswith(self.prefix))
        return list(dict.fromkeys(name.partition(".")[0] for name in inside))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return one verb, not loaded yet, or one group; None where there is none."""
        point = verbs().get(self.prefix + cmd_name)
        if point is not None:
            said = summary(point)
            return self.load(cmd_name) if said is None else TyperCommand(cmd_name, help=said)
        if cmd_name not in self.list_commands(ctx):
            return None
        group = Verbs(name=cmd_name, no_args_is_help=True, context_settings=HELP)
        group.prefix = f"{self.prefix}{cmd_name}."
        group.help = GROUPS.get(cmd_name) or f"{', '.join(group.list_commands(ctx))}."
        return group

    def load(self, name: str) -> Any:
        """Load one of its verbs."""
        verb = typer.Typer(add_completion=False)
        verb.command(name=name, context_settings=HELP)(verbs()[self.prefix + name].load())
        return typer.main.get_command(verb)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the verb that is called; answer an unknown one with the nearest."""
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            within = f" in {self.prefix.replace('.', ' ').strip()}" if self.prefix else ""
            near = did_you_mean(args[0], known)
            ctx.fail(f'no command named "{args[0]}"{within}.{near} Commands: {", ".join(known)}')
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if isinstance(command, Verbs) or name is None else self.load(name), rest

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


def summary(point: EntryPoint) -> str | None:
    """Return what the function of *point* says of itself, read from its source: a list of verbs loads none of them.

    None where there is no source to read.
    """
    module, _, function = point.value.partition(":")
    package, *inside = module.split(".")
    try:
        spec = find_spec(package)
        places = list(spec.submodule_search_locations or ()) if spec is not None else []
        source = next(p for p in (Path(place, *inside).with_suffix(".py") for place in places) if p.is_file())
        tree = ast.parse(source.read_text(encoding="utf-8"))
    except (ImportError, StopIteration, OSError, SyntaxError, ValueError):
        return None
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    return ast.get_docstring(found[0]) if found else None


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
