"""`python -m fastgd`: the command line."""

from .command.cli import main

if __name__ == "__main__":
    main(prog_name="fastgd")
