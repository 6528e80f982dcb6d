"""Starts the runner: ``python -I <this folder> <settings as JSON>``, frames on stdin and stdout."""

import sys

from cataloger_sandbox.runner import main

main(sys.argv[1])
