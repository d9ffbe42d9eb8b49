"""``trioq init``: a project that works at once. What it writes lies in ``project/``."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from trioq.cli.common import fail
from trioq.cli.init.plan import Plan, package_name, plan, wrong_with


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--name", help="Of the package, the namespace and the project.")
@click.option(
    "--pyproject", "in_pyproject", is_flag=True, help="The configuration goes into pyproject.toml."
)
def init(directory: Path, *, name: str | None, in_pyproject: bool) -> None:
    """Write a project: a configuration, handlers, tests.

    In a project of yours it adds what is missing, and says what to add to your files: none is
    changed. Where one of those that it would write is there already, it writes none.
    """
    called = package_name(directory) if name is None else name
    if (wrong := wrong_with(called)) is not None:
        raise click.UsageError(f"{wrong}." + ("" if name else " Say another with --name NAME."))
    made = plan(directory, called, in_pyproject=in_pyproject)
    if made.conflicts:
        where = "here" if directory == Path() else f"in {directory}"
        fail(f"nothing was written, since there is already {where}: {', '.join(made.conflicts)}")
    for path, text in made.write.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8", newline="\n") as out:  # nor what came meanwhile
            out.write(text)
    _tell(directory, made)


def _tell(directory: Path, made: Plan) -> None:
    click.echo(f"made {', '.join(sorted(made.write))}")
    for path, text in made.add.items():
        click.echo(f"\nadd to {path}:\n")
        for line in text.strip().splitlines():
            click.echo(f"    {line}".rstrip())
    click.echo("\nnow:\n")
    if directory.resolve() != Path.cwd():
        click.echo(f"    cd {shlex.quote(os.fspath(directory))}")
    click.echo("    trioq dev                # runs jobs, and what you change")
    click.echo("""    trioq enqueue welcome '{"email": "ada@example.com"}'""")
    click.echo("    pytest                   # comes with pip install --group dev")
