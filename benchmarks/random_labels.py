"""Whether an arm learns from labels dealt at random (catalogue L38): frozen heads, and arms that are trained.

    python -m benchmarks.random_labels                    # tiny networks, every regime; recorded
    python -m benchmarks.random_labels --home --results <file>    # the arms of the study and home in force

Labels are dealt within each split; then everything from the fit on is done again by `ml.arm.run_arm`, guards
and choice on tuning included, and `ml.leakage.fits.permutation` judges what the arm scores of held-out.
Texts and vectors are taken as they are stored: neither reads a label. Ends with 1 if an arm has learned
anything.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.arm import run_arm
from ml.arm_spec import LIBRARIES, ArmSpec, ViewSpec
from ml.artefact import write_json
from ml.inputs.fitting import CountTokens
from ml.inputs.text import write_patient_texts
from ml.inputs.view import TextOptions
from ml.leakage.fits.permutation import FULL, LOOK, RANDOM_AUROC, random_evidence
from ml.leakage.statistics.alarms import level
from ml.models.registry import MODELS
from ml.random_labels import deal_labels
from ml.refusal import RefusalError

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results") / "random_labels.json"
ALARM = "nothing_is_learned_from_random_labels"
TRAINED = ("lora", "full", "verbalizer")  # regimes; counts are dealt to in every run of the platform
CONTEXT, TINY_CONTEXT = 128, 48  # tokens
CONFIGURATIONS = 2
TASK, PERSONS, EXAMPLES = "long_los", 1_500, 400  # of the tiny world
Progress = Callable[[str], None]


def dealt_scores(
    spec: ArmSpec, repetitions: int, *, seed: int, work: Path, progress: Progress
) -> tuple[pd.DataFrame, int]:
    """Return what an arm scores of held-out after each dealing, and how many dealings a guard stopped.

    Args:
        spec: an arm on all labels; where it writes to is not used.
        repetitions: dealings of labels.
        seed: of the dealings.
        work: an empty folder.
        progress: told what happens.

    Returns repetition, y_true (as dealt), y_score: what `random_evidence` judges. A guard that finds the
    labels of train or tuning ranked backwards says nothing of held-out: that dealing is left out and counted.
    """
    tables, stopped = [], 0
    for number, stream in enumerate(np.random.SeedSequence(seed).spawn(repetitions)):
        with tempfile.TemporaryDirectory(dir=work) as name:
            passing = Path(name)
            dealt = deal_labels(Path(spec.examples), passing / "examples", np.random.default_rng(stream))
            places = {"examples": dealt, "work": passing / "work", "fitted": passing / "fitted"}
            places["predictions"] = passing / "predictions.parquet"
            again = dataclasses.replace(
                spec, seeds=spec.seeds[:1], **{name: str(path) for name, path in places.items()}
            )
            try:
                run_arm(again, lambda _: None)
            except RefusalError as error:
                if error.guard != "labels_flipped":
                    raise
                stopped += 1
                continue
            scored = pd.read_parquet(places["predictions"])
        own = scored[scored["split"] == "held_out"].rename(columns={"y_score_raw": "score"})
        tables.append(own.assign(repetition=number)[["repetition", "y_true", "score"]])
        progress(f"{spec.arm}: {number + 1} of {repetitions} fits on labels dealt at random")
    return pd.concat(tables, ignore_index=True).rename(columns={"score": "y_score"}), stopped


def judged(
    spec: ArmSpec, repetitions: int, *, seed: int, work: Path, n_arms: int, progress: Progress
) -> dict[str, Any]:
    """Deal labels to an arm and say what it learned: counts, mean AUROC, chance, and what was not seen."""
    table, stopped = dealt_scores(spec, repetitions, seed=seed, work=work, progress=progress)
    part = level(ALARM, n_tasks=1) / n_arms
    evidence = random_evidence(table, part)
    return {
        "arm": spec.arm,
        "model": spec.model,
        "regime": spec.regime,
        "head": spec.head if spec.regime == "frozen" else "",
        "repetitions": repetitions - stopped,
        "stopped_by_a_guard": stopped,
        "held_out": int(table["repetition"].value_counts().iloc[0]),
        "mean_auroc": round(0.5 + evidence.effect, 4),
        "chance_at_most": float(f"{evidence.p_value:.2g}"),
        "not_seen_below": round(0.5 + max(RANDOM_AUROC, evidence.smallest), 3),
        "learned": bool(evidence.p_value <= part and evidence.effect >= evidence.minimum),
    }


def frozen_arms(examples: Path, below: Path) -> list[ArmSpec]:
    """Embed the texts of a cut with MiniLM; return the arms on its vectors, one a head, as yet not run."""
    from ml.embedding.encode import embed
    from ml.embedding.encoder import encoder_configuration
    from ml.embedding.tokens import token_counter
    from ml.models.loading import find_model

    model = MODELS["minilm"]
    folder, texts, index = find_model(model, None), below / "texts", below / "index.parquet"
    write_texts(examples, texts, token_counter(folder), CONTEXT)
    described = encoder_configuration(model, max_tokens=CONTEXT, device="cpu")
    vectors, report = embed(
        texts / "text.parquet",
        model,
        folder,
        below / "store",
        dataclasses.replace(described, threads=1),
        progress=lambda _: None,
    )
    vectors.to_parquet(index, index=False)
    view = ViewSpec("vectors", str(index), str(below / "store" / report.store))
    return [
        _arm(f"minilm_{head}", examples, (view,), model="minilm", regime="frozen", head=head)
        for head in ("logistic_regression", "mlp")
    ]


def tiny_arms(examples: Path, below: Path, question: str) -> list[ArmSpec]:
    """Return arms that train a tiny network with random weights on the texts of a cut, one a regime."""
    from ml.embedding.tokens import token_counter
    from ml.models.smoke import write_smoke_model

    name = "smoke_llama"
    folder = write_smoke_model(MODELS[name].architecture, below / "models" / name)
    write_texts(examples, below / "texts", token_counter(folder), TINY_CONTEXT)
    given = {
        "model": name,
        "models_folder": str(below / "models"),
        "rests_on_smoke": True,
        "question": question,
        "mode": "lora",
    }
    views = (ViewSpec("text", str(below / "texts")),)
    return [_arm(f"tiny_{regime}", examples, views, regime=regime, **given) for regime in TRAINED]


def write_texts(examples: Path, target: Path, count_tokens: CountTokens, max_tokens: int) -> None:
    """Write the texts of a cut as the platform does, without an instruction."""
    write_patient_texts(
        examples,
        target,
        TextOptions(),
        prefix="",
        max_tokens=max_tokens,
        count_tokens=count_tokens,
        progress=lambda _: None,
    )


def _arm(name: str, examples: Path, views: tuple[ViewSpec, ...], **given: Any) -> ArmSpec:
    nowhere = dict.fromkeys(("work", "predictions", "fitted"), "")
    return ArmSpec(
        arm=name,
        views=views,
        seeds=(1,),
        configurations=CONFIGURATIONS,
        examples=str(examples),
        **nowhere,
        **given,
    )


def arms_of_home() -> dict[str, list[ArmSpec]]:
    """Return, by task, the arms of the home in force that learn on texts or vectors with all labels."""
    from orchestration.arms import _spec
    from orchestration.platform import platform_of

    platform = platform_of(os.environ)
    return {
        name: [
            _spec(platform, task, arm)
            for arm in platform.study.arms
            if arm.regime in (*TRAINED, "frozen")
            and not arm.k
            and not (arm.regime == "verbalizer" and arm.mode == "zero_shot")
            and platform.home.predictions(name, arm.name).exists()
        ]
        for name, task in platform.tasks.items()
    }


def look_at(
    arms: Sequence[ArmSpec], task: str, repetitions: int, work: Path, progress: Progress
) -> list[dict[str, Any]]:
    """Deal labels to each arm of a task and say what it learned."""
    return [
        {
            "task": task,
            **judged(arm, repetitions, seed=1, work=work, n_arms=len(arms), progress=progress),
        }
        for arm in arms
    ]


def tiny_world(repetitions: int, work: Path, progress: Progress) -> list[dict[str, Any]]:
    """Deal labels to tiny networks on a cut of a small simulated site."""
    sys.path.insert(0, str(ROOT / "tests"))
    from leakage.proving import read_own_tasks
    from leakage.site import make_site

    from ml.inputs.examples import ExampleOptions, cut_examples

    site = make_site(work / "site", 1, PERSONS, (TASK,))
    examples = work / "examples"
    cut_examples(site.published, TASK, examples, ExampleOptions(EXAMPLES, 1))
    question = read_own_tasks()[TASK].question
    return look_at(tiny_arms(examples, work, question), TASK, repetitions, work, progress)


def main() -> int:
    """Deal labels to every arm; record; return 0 if none has learned anything."""
    parser = argparse.ArgumentParser(description="Arms on labels dealt at random")
    parser.add_argument("--home", action="store_true", help="the arms of the study and home in force")
    parser.add_argument("--repetitions", type=int, default=LOOK, help=f"of each arm; {FULL} see smaller ones")
    parser.add_argument("--results", type=Path, help="where the record goes, if not among the results")
    given = parser.parse_args()

    def progress(line: str) -> None:
        print(line, flush=True)

    with tempfile.TemporaryDirectory(prefix="random-labels-") as folder:
        work = Path(folder)
        if given.home:
            by_task = arms_of_home()
            arms = [
                row
                for task, of_task in by_task.items()
                for row in look_at(of_task, task, given.repetitions, work, progress)
            ]
        else:
            arms = tiny_world(given.repetitions, work, progress)
    record = {
        "of": "a home" if given.home else f"tiny networks on a simulated site of {PERSONS:,} persons",
        "versions": {name: version(name) for name in LIBRARIES},
        "holds": bool(arms) and not any(row["learned"] for row in arms),
        "arms": arms,
    }
    write_json(given.results or RESULTS, record)
    print(json.dumps(record, indent=2))
    return 0 if record["holds"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
