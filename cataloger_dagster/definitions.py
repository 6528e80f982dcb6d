"""The code location: what ``workspace.yaml`` and ``dg`` load. The environment is read here, once."""

import os

import dagster as dg

from cataloger_dagster.defs.build import build_definitions
from cataloger_dagster.settings import Settings

defs: dg.Definitions = build_definitions(Settings.from_environment(os.environ))
