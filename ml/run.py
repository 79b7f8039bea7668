"""One step of work as a process of its own: `python -m ml.run <spec.json>`.

Loading torch costs memory that a process returns only by ending, so such work runs here, and only when
there is work. The spec names the step and its arguments; progress goes to stdout a line at a time; the
result goes to the file that the spec names. The same command runs on a machine with a GPU.
"""

import ctypes
import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml.artefact import read_json, whole_file, whole_folder, write_json
from ml.cost import peak_bytes

PR_SET_PDEATHSIG = 1  # prctl(2): the signal to get when the parent dies
REFUSED = 3  # exit code of a refusal; the result file holds its guard and reason

Progress = Callable[[str], None]


def simulate(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Write the simulated source and the world's state beside it."""
    from ml.simulator.source import write_source

    persons = arguments["persons"]
    progress(f"simulating {persons} persons")
    write_source(
        Path(arguments["directory"]),
        Path(arguments["world_directory"]),
        persons=persons,
        seed=arguments["seed"],
    )
    return {"persons": persons}


def text(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Write the patient texts of a task for one tokenizer and context."""
    from ml.embedding.tokens import token_counter
    from ml.inputs.text import write_patient_texts
    from ml.inputs.view import TextOptions

    return write_patient_texts(
        Path(arguments["examples"]),
        Path(arguments["target"]),
        TextOptions(**arguments["options"]),
        prefix=arguments["prefix"],
        max_tokens=arguments["max_tokens"],
        count_tokens=token_counter(Path(arguments["folder"])),
        progress=progress,
    )


def embed(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Embed the patient texts of a task with one encoder."""
    from ml.embedding.encode import embed
    from ml.embedding.store import EncoderConfiguration
    from ml.models.registry import MODELS

    index, report = embed(
        Path(arguments["texts"]),
        MODELS[arguments["model"]],
        Path(arguments["folder"]),
        Path(arguments["store"]),
        EncoderConfiguration.of(arguments["configuration"]),
        progress=progress,
    )
    with whole_file(Path(arguments["target"])) as temporary:
        index.to_parquet(temporary, index=False)
    return dataclasses.asdict(report)


def arm(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Adapt one arm to one task and write its predictions."""
    from ml.arm import run_arm
    from ml.arm_spec import ArmSpec

    return run_arm(ArmSpec.of(arguments), progress)


def oracle(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Roll the simulated world forward from each held-out index."""
    from ml.inputs.examples import read_examples
    from ml.simulator.oracle import true_risk

    example = read_examples(Path(arguments["examples"]))
    held_out = example[(example["split"] == "held_out") & example["y_true"].notna()]
    risk = true_risk(
        Path(arguments["world_directory"]),
        held_out[["example_id", "person_id", "index_date"]],
        outcome_concept_ids=set(arguments["outcome_concept_ids"]),
        tar_start_days=arguments["tar_start_days"],
        tar_end_days=arguments["tar_end_days"],
        seed=arguments["seed"],
    )
    with whole_file(Path(arguments["target"])) as temporary:
        risk.to_parquet(temporary, index=False)
    progress(f"true risk of {len(risk)} examples from {int(risk['n_rollouts'].max())} rollouts each")
    return {"examples": len(risk), "rollouts": int(risk["n_rollouts"].max())}


def evaluate(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Evaluate the arms of one task on held-out and tuning."""
    import pandas as pd

    from ml.evaluation.evaluate import evaluate_task
    from ml.evaluation.verdict import Comparison, Competitor

    predictions = {arm: pd.read_parquet(path) for arm, path in sorted(arguments["predictions"].items())}
    evaluated = evaluate_task(
        arguments["task"],
        predictions,
        title=arguments["title"],
        oracle=pd.read_parquet(arguments["oracle"]) if arguments["oracle"] else None,
        comparisons=[Comparison(**row) for row in arguments["comparisons"]],
        n_bootstrap=arguments["n_bootstrap"],
        seed=arguments["seed"],
        alpha=arguments["alpha"],
        n_primary=arguments["n_primary"],
        qualifiers=arguments["qualifiers"],
        competitors={arm: Competitor(**row) for arm, row in arguments["competitors"].items()},
        refused=arguments["refused"],
        n_reading=arguments["n_reading"],
        looks_ahead=arguments["looks_ahead"],
    )
    with whole_folder(Path(arguments["target"])) as folder:
        for name in TASK_TABLES:
            getattr(evaluated, name).to_parquet(folder / f"{name}.parquet", index=False)
    progress(f"{len(evaluated.metrics)} metric rows, {len(evaluated.verdicts)} comparisons")
    shown = evaluated.metrics[["arm", "split", "metric", "value", "ci_low", "ci_high"]]
    shown = shown[(shown["split"] == "held_out") & shown["metric"].isin(["auroc", "auprc", "brier"])]
    return {
        "results": json.loads(shown.drop(columns="split").round(3).to_json(orient="records")),
        "replicates_redrawn": evaluated.n_redrawn,
    }


def own_date(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Refit the count baselines of one task as if every event had been known on its own date."""
    from ml.sensitivity import RefitArm, own_date_sensitivity

    return own_date_sensitivity(
        arguments["task"],
        Path(arguments["examples"]),
        tuple(RefitArm(**row) for row in arguments["arms"]),
        Path(arguments["target"]),
        Path(arguments["metrics"]),
        configurations=arguments["configurations"],
        n_bootstrap=arguments["n_bootstrap"],
        seed=arguments["seed"],
        progress=progress,
    )


def leakage(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Look for leaks in what the models of one task were shown, or in how they scored."""
    from ml.leakage.registry import run_checks
    from ml.leakage.shown import open_shown
    from ml.random_labels import CountArm, write_random_labels
    from ml.tasks import read_tasks

    seeds, root = Path(arguments["seeds"]), Path(arguments["root"])
    arms = [CountArm.read(row) for row in arguments["count_arms"]]
    write_random_labels(root, arguments["task"], arms, seed=arguments["seed"], progress=progress)
    with open_shown(
        root,
        read_tasks(seeds)[arguments["task"]],
        seeds=seeds,
        views=arguments["views"],
        arms=arguments["arms"],
        refits=[arm["arm"] for arm in arguments["count_arms"]],
        seed=arguments["seed"],
        n_tasks=arguments["n_tasks"],
        landing=Path(arguments["landing"]) if arguments["landing"] else None,
    ) as shown:
        return {"rows": run_checks(shown, arguments["stage"], progress)}


TASK_TABLES = ("metrics", "verdicts", "curves", "checks", "ceiling")

STEPS: dict[str, Callable[[dict[str, Any], Progress], dict[str, Any]]] = {
    "simulate": simulate,
    "text": text,
    "embed": embed,
    "arm": arm,
    "oracle": oracle,
    "evaluate": evaluate,
    "own_date": own_date,
    "leakage": leakage,
}


def main(spec_path: str) -> int:
    """Carry out the step of a spec; return the exit code."""
    die_with_parent()
    os.environ.update({"TZ": "UTC", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    spec = read_json(Path(spec_path))
    try:
        result = STEPS[spec["step"]](spec["arguments"], _progress)
    except RuntimeError as error:
        if not hasattr(error, "guard"):
            raise
        refusal = {"guard": error.guard, "reason": error.reason}  # pyright: ignore[reportAttributeAccessIssue]
        write_json(Path(spec["result"]), {"refused": refusal, "peak_bytes": peak_bytes()})
        return REFUSED
    write_json(Path(spec["result"]), {**json.loads(json.dumps(result)), "peak_bytes": peak_bytes()})
    return 0


def _progress(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def die_with_parent() -> None:
    """End when the process that started this one ends, even by SIGKILL (Linux)."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit("The parent process is gone")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
