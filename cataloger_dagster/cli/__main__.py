"""``python -m cataloger_dagster.cli`` is ``cataloger``, for environments whose scripts are not on the path."""

from cataloger_dagster.cli import main

if __name__ == "__main__":
    main()
