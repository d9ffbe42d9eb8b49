"""``trioq``, and ``python -m trioq``: the command line, if it is installed."""

import sys

from trioq.errors import NotInstalled
from trioq.extras import extra


def main() -> None:
    """The command line's entry point."""
    try:
        with extra("the command line"):
            from trioq import cli
    except NotInstalled as error:
        sys.exit(f"trioq: {error}")
    cli.main()


if __name__ == "__main__":
    main()
