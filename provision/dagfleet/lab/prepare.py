"""`python -m dagfleet.lab.prepare`: an engine and the practice image."""

import sys

from dagfleet.errors import DagfleetError
from dagfleet.lab.practice import prepare


def main() -> int:
    """Prepare, a line per step; return the exit code."""
    try:
        prepare(lambda title, seconds: print(f"{title:<60}{seconds:6.0f} s"))
    except DagfleetError as error:
        print(f"{error.message}; {error.fix}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
