"""The leakage checks over ten million events: seconds of each, and how much memory all of them took.

    .venv/bin/python -m benchmarks.warehouse /a/directory
    .venv/bin/python -m benchmarks.leakage_scale /a/directory

Takes the landed source and the warehouse that `benchmarks.warehouse` left in the directory, publishes the
snapshot, cuts every example of one task, writes the three views and runs each check of inputs, in one process
of one thread. Texts are measured in words, so that no tokenizer is loaded. Writes
benchmarks/results/leakage_scale.json; ends with 1 if a check that blocks found something.
"""

import argparse
import os
import re
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from ml.artefact import write_json
from ml.inputs.count import write_count_features
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.sequence import write_patient_sequences
from ml.inputs.text import write_patient_texts
from ml.inputs.view import BUILT_IN_VIEWS, CountOptions, ModelInput, SequenceOptions, TextOptions
from ml.leakage.registry import checks_of
from ml.leakage.shown import Shown, open_shown
from ml.tasks import read_tasks
from orchestration.publish import publish_folder

SEEDS = Path(__file__).resolve().parent.parent / "dbt_project" / "seeds"
RESULTS = Path(__file__).with_name("results") / "leakage_scale.json"
TASK, N_TASKS, MAX_TOKENS = "dhf_1y", 3, 256
WORD = re.compile(r"\w+|[^\w\s]")


def main() -> int:
    """Publish, cut, show and look; return 1 if a check that blocks found something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("directory", type=Path, help="where `benchmarks.warehouse` worked")
    folder: Path = parser.parse_args().directory.resolve()
    site = folder / "site"
    show(folder, site)
    task = read_tasks(SEEDS)[TASK]
    with open_shown(site, task, seeds=SEEDS, n_tasks=N_TASKS, landing=folder / "landing") as shown:
        checks = [look(check, shown) for check in checks_of(task, shown.kinds, "inputs")]
        sizes = {name: shown.row(f"select count(*) from {name}")[0] for name in
                 ("person", "clinical_event", "example", "event")}  # fmt: skip
    result = {
        "task": TASK,
        "rows": sizes,
        "cpu_seconds": round(sum(check["cpu_seconds"] for check in checks), 1),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "load_average": round(os.getloadavg()[0], 1),
        "checks": sorted(checks, key=lambda check: -check["cpu_seconds"]),
    }
    write_json(RESULTS, result)
    print(RESULTS.read_text(encoding="utf-8"))
    return int(any(check["found"] and check["severity"] == "block" for check in checks))


def show(folder: Path, site: Path) -> None:
    """Publish the warehouse of a folder as a site's snapshot, and write one task's cut and views."""
    shutil.rmtree(site, ignore_errors=True)
    (site / "snapshots").mkdir(parents=True)
    snapshot = publish_folder(folder / "warehouse.duckdb", site / "snapshots")
    (site / "published").symlink_to(site / "snapshots" / snapshot, target_is_directory=True)
    below = site / "tasks" / TASK
    examples = below / "examples"
    cut_examples(site / "published", TASK, examples, ExampleOptions(None, 0))
    counts, sequence = (ModelInput(BUILT_IN_VIEWS[name]) for name in ("counts", "sequence"))
    text = ModelInput(BUILT_IN_VIEWS["text"], "minilm", MAX_TOKENS)
    write_count_features(examples, below / counts.name, CountOptions())
    write_patient_sequences(examples, below / sequence.name, SequenceOptions())
    write_patient_texts(examples, below / text.name, TextOptions(), prefix="", max_tokens=MAX_TOKENS,
                        count_tokens=lambda prompts: [len(WORD.findall(prompt)) for prompt in prompts],
                        progress=lambda _: None)  # fmt: skip


def look(check: Any, shown: Shown) -> dict[str, Any]:
    """Run one check; return what it took and how much it looked at and found."""
    started = time.process_time()
    row = check.run(shown)
    seconds = round(time.process_time() - started, 2)
    return {
        "name": row.name,
        "severity": row.severity,
        "looked_at": row.looked_at,
        "found": row.found,
        "cpu_seconds": seconds,
    }


if __name__ == "__main__":
    sys.exit(main())
