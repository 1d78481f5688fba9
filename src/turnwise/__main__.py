"""`python -m turnwise`: the command."""

from turnwise.cli.main import main

if __name__ == "__main__":
    main()
