"""The regimes that read text with a network: LoRA, full fine-tuning, and yes or no in words."""

import dataclasses
import gc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ml.adaptation.answers import prompt_tokens, prompts
from ml.adaptation.budgets import SELECTION_METRIC, recipe
from ml.adaptation.checkpoint import Checkpoints
from ml.adaptation.guards import require_disjoint, require_padding_unread, require_prompts_fit
from ml.adaptation.hardware import THREADS, device, working_dtype
from ml.adaptation.lesson import Lesson, Trained
from ml.adaptation.network import Lora, TextScorer, build_classifier, build_verbalizer, save_memory
from ml.adaptation.saved_network import load_network, save_network
from ml.adaptation.scoring import score
from ml.adaptation.shown import Adapted, Setting, Shown
from ml.adaptation.training import Training
from ml.models.loading import load_architecture

PADDING_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1}  # as a share of the largest value
# Of logits after reloading: the same weights in other batches, so that sums round otherwise. Measured on
# MiniLM and tiny networks of six classes: 1e-6 and 6e-3; a rounding error grows with the root of depth and of
# width, so about eightfold to 36 layers and 4,096 numbers.
LOGIT_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.1}
LARGE = 1_000_000_000  # parameters; from here activations are recomputed
RELOADED_ROWS = 64  # examples that the reloaded network scores again
Tokens = list[list[int]]


def lora(shown: Shown, setting: Setting) -> Adapted:
    """Train adapters in a frozen backbone, with a linear head."""
    return _tune_classifier(shown, setting, is_lora=True)


def full(shown: Shown, setting: Setting) -> Adapted:
    """Train the whole backbone, with a linear head."""
    return _tune_classifier(shown, setting, is_lora=False)


def verbalizer(shown: Shown, setting: Setting) -> Adapted:
    """Ask a decoder for yes or no: as it is, with examples in the prompt, or with trained adapters.

    Raises:
        RefusalError: a prompt is longer than the model reads (`prompt_too_long`), before any is scored.
    """
    torch.set_num_threads(THREADS)
    weights, texts = setting.folder, shown.texts
    assert weights is not None
    assert texts is not None
    examples = _examples(shown) if setting.mode == "in_context" else []
    asked = prompts(texts.prefix, texts.texts, question=setting.question, examples=examples)

    def build(configuration: dict[str, Any]) -> TextScorer:
        adapter = Lora(configuration["rank"], configuration["dropout"]) if configuration else None
        return build_verbalizer(
            setting.model, weights, lora=adapter, seed=setting.seed, four_bit=setting.four_bit
        )

    def tokenise(scorer: TextScorer) -> Tokens:
        tokens = prompt_tokens(
            scorer.tokenizer,
            asked,
            answer_prefix=setting.model.answer_prefix,
            is_chat=setting.model.is_chat,
        )
        require_prompts_fit(max(map(len, tokens)), setting.model.max_tokens or 0, n_examples=len(examples))
        return tokens

    if setting.mode == "lora":
        return _tune(shown, setting, "verbalizer", build, tokenise)
    scorer = build({})
    tokens = tokenise(scorer)
    _require_padding_unread(scorer, tokens)
    scores = score(scorer, tokens, work=setting.work / "scores.json", progress=setting.progress)
    save_network(scorer, setting.target)
    return _adapted(setting, tokens, scores, {}, [], converged=True)


def _tune_classifier(shown: Shown, setting: Setting, *, is_lora: bool) -> Adapted:
    torch.set_num_threads(THREADS)
    weights, texts = setting.folder, shown.texts
    assert weights is not None
    assert texts is not None
    shown_texts = [texts.prefix + text for text in texts.texts]

    def build(configuration: dict[str, Any]) -> TextScorer:
        adapter = Lora(configuration["rank"], configuration["dropout"]) if is_lora else None
        return build_classifier(
            setting.model,
            weights,
            lora=adapter,
            seed=setting.seed,
            prefix=texts.prefix,
            four_bit=setting.four_bit,
        )

    def tokenise(scorer: TextScorer) -> Tokens:
        return scorer.tokenizer(shown_texts, verbose=False)["input_ids"]

    kind = load_architecture(weights).kind
    return _tune(shown, setting, f"{'lora' if is_lora else 'full'}_{kind}", build, tokenise)


def _tune(
    shown: Shown,
    setting: Setting,
    family: str,
    build: Callable[[dict[str, Any]], TextScorer],
    tokenise: Callable[[TextScorer], Tokens],
) -> Adapted:
    """Train every configuration, keep the best on tuning, save it and score every example with it."""
    rows = {"fit": shown.fit_rows, "select": shown.tuning_rows}
    y_true = np.full(len(shown), np.nan)
    for purpose, mine in rows.items():
        y_true[mine] = shown.labels(mine, purpose)  # pyright: ignore[reportArgumentType]
    trials: list[dict[str, Any]] = []
    best: Trained | None = None
    chosen: dict[str, Any] = {}
    tokens: Tokens = []
    scores, wall_s = np.empty(0), 0.0
    for number, configuration in enumerate(setting.configurations):
        scorer = build(configuration)
        tokens = tokens or tokenise(scorer)
        _require_padding_unread(scorer, tokens)
        if sum(weight.numel() for weight in scorer.parameters()) >= LARGE:
            save_memory(scorer)
        work = setting.work / f"configuration-{number}"
        checkpoints = Checkpoints(work, setting.key)
        training = Training(
            scorer,
            Lesson(tokens, y_true, rows["fit"], rows["select"]),
            recipe(family, configuration),
            seed=setting.seed,
            checkpoints=checkpoints,
            work=work,
            progress=lambda line, n=number: setting.progress(f"configuration {n + 1}: {line}"),
        )
        trained = _trained(training, scorer, checkpoints)
        wall_s += trained.wall_s
        trials.append({**configuration, SELECTION_METRIC: round(trained.best_auroc, 6), **_cost(trained)})
        if best is None or trained.best_auroc > best.best_auroc:
            best, chosen = trained, configuration
            save_network(scorer, setting.target)
            scores = score(scorer, tokens, work=work / "scores.json", progress=setting.progress)
        del training, scorer
        _free()
    adapted = _adapted(setting, tokens, scores, chosen, trials, converged=best is None or best.converged)
    spent = {name: sum(trial[name] for trial in trials) for name in ("steps", "tokens", "petaflops")}
    return dataclasses.replace(adapted, used={**spent, "training_s": round(wall_s, 1)})


def _trained(training: Training, scorer: TextScorer, checkpoints: Checkpoints) -> Trained:
    """Train, or take up the weights of a training that ended before a kill."""
    finished = checkpoints.finished()
    if finished is not None:
        weights, facts = finished
        scorer.load_trainable(weights)
        return Trained(**facts)
    trained = training.run()
    checkpoints.finish(scorer.trainable(), dataclasses.asdict(trained))
    return trained


def _adapted(
    setting: Setting,
    tokens: Tokens,
    scores: np.ndarray,
    chosen: dict[str, Any],
    trials: list[dict[str, Any]],
    *,
    converged: bool,
) -> Adapted:
    def reload(rows: np.ndarray) -> np.ndarray:
        assert setting.folder is not None
        _free()
        again = load_network(setting.target, setting.model, setting.folder, four_bit=setting.four_bit)
        return score(again, [tokens[row] for row in rows])

    return Adapted(
        y_score_raw=scores,
        configuration=chosen,
        reload=reload,
        tolerance=LOGIT_TOLERANCE[working_dtype(device())],
        reloaded_rows=RELOADED_ROWS,
        trials=trials,
        converged=converged,
    )


def _examples(shown: Shown) -> list[tuple[str, int]]:
    """Return the examples of a prompt: the whole draw, so k a class, case and non-case in turn."""
    assert shown.texts is not None
    rows = shown.fit_rows
    labels = shown.labels(rows, "fit")
    order = np.lexsort((-labels, shown.place[rows]))
    judged = np.flatnonzero(shown.split != "train")
    require_disjoint(shown.person_id[rows], shown.person_id[judged], what="persons")
    return [(shown.texts.texts[rows[n]], int(labels[n])) for n in order]


def _require_padding_unread(scorer: TextScorer, tokens: Sequence[Sequence[int]]) -> None:
    def read(given: Sequence[Sequence[int]]) -> np.ndarray:
        with torch.inference_mode():
            return scorer.read(*scorer.collate(given)).float().cpu().numpy()

    scorer.eval()
    tolerance = PADDING_TOLERANCE[working_dtype(device())]
    require_padding_unread(read, tokens, fewest=scorer.n_prefix + 1, tolerance=tolerance)


def _cost(trained: Trained) -> dict[str, Any]:
    return {
        "epochs": trained.epochs,
        "best_epoch": trained.best_epoch,
        "steps": trained.steps,
        "tokens": trained.tokens,
        "petaflops": round(trained.petaflops, 9),
        "memory_halvings": trained.halvings,
        "converged": trained.converged,
    }


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
