"""`python -m fastgd`: the command line."""

import sys

if __name__ == "__main__":
    try:
        from .command.cli import main

        main(prog_name="fastgd")
    except KeyboardInterrupt:  # while the command line itself is loaded
        sys.exit(130)
    finally:
        exec(
            ""
        )  # or a process in which an `exec`, as of a dataclass, was interrupted ends as if nobody had caught that
