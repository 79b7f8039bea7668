"""The code location of this environment: `dagster asset materialize -m orchestration.definitions`."""

import os

from orchestration.graph import build_definitions
from orchestration.platform import platform_of

defs = build_definitions(
    platform_of(os.environ), executor=os.environ.get("SECOND_OPINION_EXECUTOR", "in_process")
)
