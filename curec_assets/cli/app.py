"""The console script: all commands together, and how they fail."""

import sys
from collections.abc import Sequence

import typer

from curec_assets.cli import ask, compare, data, hand_on, home, policies, runs, settings
from resources.errors import CurecError

app = typer.Typer(
    name="curec",
    help="Recommendations with reasons. Home and profile are those of CUREC_HOME (.curec) and "
    "CUREC_PROFILE (laptop).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (runs, ask, compare, hand_on, policies, data, home, settings):
    module.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code.

    0: done; 1: refused, or something was found, in words on standard error; 2: a wrong argument.
    """
    try:
        app(args=arguments, prog_name="curec")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except CurecError as error:
        print(f"curec: {error}", file=sys.stderr)
        return 1
    return 0
