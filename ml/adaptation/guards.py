"""The guards: each stops an arm by its name, with the reason, when a known fault shows itself.

Published pipelines fell to every one of them: adapters under `no_grad`, test rows that vanish, logits given
as probabilities, flipped labels, examples of the prompt among those that are judged.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from ml.refusal import RefusalError

GUARDS = {
    "nothing_trained": "no trainable tensor of a part moved, or none got a gradient",
    "reloaded_scores_differ": "the saved model, loaded again, scores otherwise",
    "loss_not_finite": "the loss is NaN or infinite",
    "example_without_score": "an example has no finite score, or none at all",
    "score_not_probability": "a score lies outside 0 to 1: a logit, perhaps",
    "held_out_differs": "the held-out examples or labels are not those that every arm must score",
    "labels_flipped": "train or tuning is ranked credibly backwards",
    "fitted_outside_train": "something was fitted on a person outside train, or chosen outside tuning",
    "person_in_two_splits": "a person of train, tuning or held-out stands in another of them as well",
    "few_shot_example_in_test": "an example shown in the prompt or drawn for training is judged as well",
    "padding_read": "a score depends on padding: the pooled token is no token of the text",
    "answer_not_one_token": "the tokenizer has no single token for yes or for no",
    "weights_differ": "weights missing, unexpected, or not those of the registry",
    "tokenizer_of_another_model": "the tokenizer's vocabulary is not the network's",
    "smoke_only_in_comparison": "random weights take part in a registered comparison",
    "one_class": "train or tuning has no case, or no non-case",
    "too_few_to_draw": "no `k` of the arm has that many cases and non-cases in train and in tuning",
    "too_few_to_fold": "train has too few persons of a class to leave some of them out",
    "prompt_too_long": "a prompt is longer than the model reads",
    "part_refused": "an arm that this one joins was refused",
}
EPSILON = float(np.finfo(np.float64).eps)
BACKWARDS = 4.2649  # standard errors below 0.5; one-sided normal: a wrong alarm in 100,000 runs


def _refuse(guard: str, reason: str) -> RefusalError:
    assert guard in GUARDS, guard
    return RefusalError(guard, reason)


def require_finite_loss(loss: float, step: int) -> None:
    """Stop at a loss that is NaN or infinite: no such weights are ever saved."""
    if not np.isfinite(loss):
        raise _refuse("loss_not_finite", f"the loss at step {step} is {loss}")


def require_gradients(gradients: Mapping[str, Sequence[bool]]) -> None:
    """Stop unless each trained part has a tensor with a gradient that is not zero.

    Args:
        gradients: part (adapter, head, backbone) -> one flag a trainable tensor.
    """
    if not gradients:
        raise _refuse("nothing_trained", "nothing is trainable")
    for part, flags in gradients.items():
        if not any(flags):
            raise _refuse("nothing_trained", f"none of {len(flags)} tensors of the {part} has a gradient")


def require_moved(moved: Mapping[str, Sequence[bool]]) -> None:
    """Stop unless each trained part has a tensor that training changed."""
    for part, flags in moved.items():
        if not any(flags):
            raise _refuse("nothing_trained", f"none of {len(flags)} tensors of the {part} moved")


def require_equal_scores(scores: np.ndarray, reloaded: np.ndarray, *, tolerance: float) -> None:
    """Stop when the reloaded model scores otherwise, beyond the arithmetic of its number format.

    Args:
        scores: probabilities, float64 (N,), finite.
        reloaded: likewise.
        tolerance: of their logits: where the outcome is rare, probabilities of 0.001 and 0.01 are close and
            say something else.
    """
    if scores.shape != reloaded.shape:
        raise _refuse("reloaded_scores_differ", f"{len(reloaded)} scores instead of {len(scores)}")
    difference = np.abs(_logit(scores) - _logit(reloaded))
    # What float64 cannot tell apart just below 1 is no difference.
    allowed = tolerance + 4 * EPSILON / (1 - np.clip(np.minimum(scores, reloaded), 0, 1 - EPSILON / 2))
    if not bool((difference <= allowed).all()):
        raise _refuse("reloaded_scores_differ", f"largest difference of logits {difference.max():.3g}")


def require_scores(scores: np.ndarray, *, n_expected: int) -> None:
    """Stop unless there is one probability an example."""
    if len(scores) != n_expected:
        raise _refuse("example_without_score", f"{len(scores)} scores for {n_expected} examples")
    unscored = int((~np.isfinite(scores)).sum())
    if unscored:
        raise _refuse("example_without_score", f"{unscored} of {len(scores)} examples have no finite score")
    outside = int(((scores < 0) | (scores > 1)).sum())
    if outside:
        raise _refuse("score_not_probability", f"{outside} of {len(scores)} scores lie outside 0 to 1")


def require_held_out(scored: str, expected: str, *, n_scored: int, n_expected: int) -> None:
    """Stop unless the hash over what was scored in held-out is that of the task's examples."""
    if scored != expected:
        raise _refuse(
            "held_out_differs",
            f"scored {n_scored} held-out examples ({scored[:12]}) of {n_expected} ({expected[:12]})",
        )


def require_order(y_true: np.ndarray, scores: np.ndarray, *, split: str) -> None:
    """Stop when labels of `split` are ranked credibly backwards by a model that was trained.

    The standard error of the AUROC under no skill is that of the rank-sum test.
    """
    n_cases, n_others = int(y_true.sum()), int((1 - y_true).sum())
    if not n_cases or not n_others or np.ptp(scores) == 0:
        return
    error = np.sqrt((n_cases + n_others + 1) / (12 * n_cases * n_others))
    auroc = float(roc_auc_score(y_true, scores))
    if auroc < 0.5 - BACKWARDS * error:
        raise _refuse("labels_flipped", f"{split} is ranked backwards, AUROC {auroc:.3f}")


def require_fitted_inside(used: Mapping[str, np.ndarray], allowed: Mapping[str, np.ndarray]) -> None:
    """Stop when an example was used for a purpose that its split does not serve.

    What the input views fit (vocabulary, bins, columns) is fitted again on train alone by their own check.

    Args:
        used: purpose (fit, select, recalibrate) -> bool (N,), which examples were read for it.
        allowed: purpose -> bool (N,), which might be.
    """
    for purpose, rows in used.items():
        outside = int((rows & ~allowed[purpose]).sum())
        if outside:
            words = {"fit": "fitted on", "select": "chosen on", "recalibrate": "recalibrated on"}[purpose]
            raise _refuse("fitted_outside_train", f"{words} {outside} examples that it must not see")


def require_one_split(person_id: np.ndarray, split: np.ndarray) -> None:
    """Stop when a person is in two splits: what is learnt of someone in one is judged in the other."""
    persons = {str(name): set(person_id[split == name].tolist()) for name in np.unique(split)}
    for one, other in itertools.combinations(persons, 2):
        if persons[one] & persons[other]:
            raise _refuse("person_in_two_splits", f"someone is in {one} and in {other}")


def require_disjoint(shown: Iterable[Any], judged: Iterable[Any], *, what: str) -> None:
    """Stop when persons or texts shown in a prompt, or drawn to train on, are among those judged."""
    repeated = set(shown) & set(judged)
    if repeated:
        raise _refuse("few_shot_example_in_test", f"{len(repeated)} {what} stand on both sides")


def require_padding_unread(
    read: Callable[[Sequence[Sequence[int]]], np.ndarray],
    tokens: Sequence[Sequence[int]],
    *,
    fewest: int,
    tolerance: float,
) -> None:
    """Stop when a text is read otherwise beside a longer one than alone.

    Args:
        read: token lists -> what the head is given of each, float (N, D).
        tokens: of every text.
        fewest: tokens that a text must have to be read.
        tolerance: allowed difference, as a share of the largest value.
    """
    probed = _short_and_long(tokens, fewest)
    together = read(probed)
    alone = np.concatenate([read([one]) for one in probed])
    difference = float(np.abs(together - alone).max() / max(np.abs(alone).max(), 1e-12))
    if not difference <= tolerance:
        raise _refuse("padding_read", f"padding changes what is read of a text by {difference:.2g} of it")


def _short_and_long(tokens: Sequence[Sequence[int]], fewest: int) -> list[list[int]]:
    """Return the shortest text and the middle one, cut or repeated where they are about equally long."""
    by_length = sorted(tokens, key=len)
    short, long = list(by_length[0]), list(by_length[len(by_length) // 2])
    if 2 * len(short) > len(long):
        short = long[: max(fewest, len(long) // 2)]
    if len(short) == len(long):  # it cannot be cut, so it has few tokens: twice as many fit any context
        long = long + long
    return [short, long]


def _logit(probability: np.ndarray) -> np.ndarray:
    inside = np.clip(probability, np.finfo(np.float64).tiny, 1 - EPSILON / 2)
    return np.log(inside) - np.log1p(-inside)


def require_answers(yes: Sequence[int], no: Sequence[int]) -> None:
    """Stop when a tokenizer spells yes or no in pieces: their first piece is no answer."""
    for word, ids in (("yes", yes), ("no", no)):
        if not ids:
            raise _refuse("answer_not_one_token", f"no single token spells `{word}`")


def require_prompts_fit(longest: int, allowed: int, *, n_examples: int) -> None:
    """Stop before a model is asked more than it reads: a prompt that is cut has lost its question."""
    if longest > allowed:
        raise _refuse(
            "prompt_too_long",
            f"a prompt with {n_examples} examples in it has {longest} tokens, the model reads {allowed}:"
            " ask for a smaller `k` or `max_tokens`",
        )


def require_two_classes(y_true: np.ndarray, split: np.ndarray) -> None:
    """Stop unless train and tuning each have a case and a non-case.

    Args:
        y_true: (N,) labels 0 or 1.
        split: (N,) of each.
    """
    for name in ("train", "tuning"):
        if len(np.unique(y_true[split == name])) < 2:
            raise _refuse(
                "one_class", f"{name} has no case, or no non-case: nothing can be learned or chosen"
            )


def require_foldable(n_persons: Sequence[int], remaining: Sequence[np.ndarray]) -> None:
    """Stop unless persons of both classes can be left out and are still there.

    Args:
        n_persons: of each class, who has an example of it.
        remaining: labels of what is left without each fold.
    """
    if min(n_persons) < 2 or any(np.ptp(labels) == 0 for labels in remaining):
        raise _refuse("too_few_to_fold", "train has too few persons of a class to fit without some of them")


def require_comparable(*, smoke_only: bool, is_compared: bool, arm: str) -> None:
    """Stop random weights from taking part in a registered comparison."""
    if smoke_only and is_compared:
        raise _refuse(
            "smoke_only_in_comparison", f"arm `{arm}` rests on random weights: no verdict may rest on it"
        )


def require_parts(refused: Sequence[str]) -> None:
    """Stop an arm that joins others when one of them was refused."""
    if refused:
        raise _refuse("part_refused", ", ".join(f"`{name}`" for name in refused) + " was refused")
