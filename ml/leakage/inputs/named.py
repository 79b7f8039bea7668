"""Names of codes that say the outcome has been: its history, its sequela, its aftercare (L08)."""

import re
from collections.abc import Collection, Iterable

from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.task_definition import Task

# What is named after one of these has been, as vocabularies name it: "Anaemia following X", "History of X".
# What follows "complication" may be what it complicates: "Complication of X".
BEFORE_IT = re.compile(
    r"\b(history of|h/o|hx of|past|previous|prior|old|healed|status post|s/p|state following|after|following"
    r"|post|sequelae?(?: of)?|sequel of|late effects?(?: of)?|residual|complications?(?: of)?|complicating"
    r"|due to|secondary to|caused by|because of|resulting from|as a result of|as a consequence of"
    r"|follow[- ]?up|aftercare|surveillance|monitoring|recovery from|rehabilitation|recurrent|recurrence of"
    r"|convalescence)\b"
)
# What is named before one of these has been: "X, in remission", "X follow-up".
AFTER_IT = re.compile(
    r"\b(follow[- ]?up|aftercare|surveillance|monitoring|in remission|in recovery|resolved|healed|sequelae?"
    r"|late effects?|rehabilitation|clinic|care plan|care management|self[- ]management|survivor"
    r"|complications?|treated|with sequelae?|recurrence)\b"
)
# A relative's outcome, one that may come, and one that is not there have not been.
NOT_HAD = re.compile(
    r"\b(family|relatives?|mother|father|maternal|paternal|siblings?|parents?|brothers?|sisters?|sons?"
    r"|daughters?|grand\w+|aunts?|uncles?|no|not|without|absence|absent|negative|never|risk|suspected|possible"
    r"|screening|prevention|preventive|prophylaxis|prophylactic|vaccin\w+|fear|education|test for|excluded"
    r"|ruled out|rule out|exposure)\b"
)
# Words that do not tell one disease from another.
EMPTY = frozenset(
    ("a", "an", "and", "as", "at", "by", "for", "from", "in", "into", "its", "nos", "of", "on", "or", "other",
     "the", "to", "unspecified", "with", "condition", "disease", "disorder", "finding")
)  # fmt: skip


def outcome_named_afterwards(shown: Shown) -> Finding:
    """Look for names of shown codes that hold the outcome's words beside one that says it has been."""
    (looked_at,) = shown.row("select count(*) from event")
    code = shown.frame("select distinct concept_name as name from event")["name"]
    outcome = shown.frame(
        "select distinct concept.concept_name as name from outcome"
        " inner join concept on outcome.concept_id = concept.concept_id"
        " where outcome.operator is null and outcome.value_set is null and length(concept.concept_name) >= 4"
    )["name"]
    outcomes = shortest(outcome.dropna())
    names = [name for name in code.dropna() if says_it_has_been(name, outcomes)]
    found = 0
    if names:
        (found,) = shown.row(
            "select count(*) from event where concept_name in (select unnest($names::varchar[]))", names=names
        )
    return Finding(looked_at, found, note=f"{len(names)} such concepts." if found else "")


def words_of(name: str) -> frozenset[str]:
    """Return the words of a name that tell it from others, in one spelling and without plurals.

    >>> sorted(words_of("Haemorrhages of the gastrointestinal tract"))
    ['gastrointestinal', 'hemorrhage', 'tract']
    """
    plain = name.lower().replace("ae", "e").replace("oe", "e")
    words = (
        word.removesuffix("s") if len(word) > 4 and not word.endswith(("ss", "us", "is")) else word
        for word in re.findall(r"[a-z0-9]+", plain)
    )
    return frozenset(word for word in words if word not in EMPTY)


def shortest(names: Iterable[str]) -> list[frozenset[str]]:
    """Return the words of each name, less those that hold all words of another."""
    kept: list[frozenset[str]] = []
    for words in sorted({words_of(name) for name in names}, key=lambda one: (len(one), sorted(one))):
        if words and not any(one <= words for one in kept):
            kept.append(words)
    return kept


def says_it_has_been(name: str, outcomes: Collection[frozenset[str]]) -> bool:
    """Say whether all words of an outcome stand on the side of a word that says it has been.

    >>> says_it_has_been("Anaemia following haemorrhage of stomach", [frozenset({"hemorrhage", "stomach"})])
    True
    >>> says_it_has_been("Family history of heart failure", [frozenset({"heart", "failure"})])
    False
    """
    lower = name.lower()
    if NOT_HAD.search(lower):
        return False
    sides = [lower[mark.end() :] for mark in BEFORE_IT.finditer(lower)][:1]
    sides += [lower[: mark.start()] for mark in AFTER_IT.finditer(lower)][-1:]
    told = [words_of(side) for side in sides]
    return any(outcome <= side for side in told for outcome in outcomes)


def _names_outcomes(task: Task, kinds: Collection[str]) -> bool:
    return task.outcome_in_history == "forbid" and bool(task.outcome_concept_sets)


CHECKS = (
    LeakCheck(
        "no_outcome_named_in_history",
        ("L08",),
        "blocks",
        "No code that is shown is named as the outcome's history, sequela, complication, recurrence or"
        " follow-up: its words beside `history of`, `following`, `due to`, `in remission` and their like.",
        "It reads English names; a history in other words, an operation or a drug that only the outcome has,"
        " passes: new_codes_come_to_all_alike sees one that comes in the last 90 days.",
        outcome_named_afterwards,
        applies=_names_outcomes,
        otherwise="an earlier outcome is allowed, or the outcome is no concept",
    ),
)
