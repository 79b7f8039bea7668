"""Where persons come from must not tell cases: numbers, places, how a site codes and writes (L31, L36)."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.signals.formats import forms, stretches
from ml.leakage.statistics.alarms import JUDGED, Evidence, best_look, judged, level, strongest
from ml.leakage.statistics.shares import Flags, most_apart
from ml.leakage.statistics.tails import rank_tail

SITE_DIFFERENCE = 0.1  # of the shares of cases and of others, as for units
NUMBER_AUROC, CALENDAR_STRATA = 0.1, 10  # distance from one half, within tenths of the index dates
LEAST_SHARE = 0.05  # of the judged, who make a site or have a code
# Sites number their persons from another number on: of all numbers in use so many are free between two sites.
FREE_SHARE = 0.05
# Two codes of one thing: so few persons have both, of as many as would by chance within sex and age.
BOTH_SHARE, EXPECTED_BOTH = 0.1, 12.0

# The latest visit before the index, by the day it began.
VISIT_NUMBER = f"""
with {JUDGED}
select
    judged.example_id,
    arg_max(event.visit_occurrence_id, (event.event_date, event.visit_occurrence_id)) as visit
from judged
inner join clinical_event as event
    on judged.person_id = event.person_id
    and judged.index_date > event.event_date
where event.visit_occurrence_id is not null
group by judged.example_id
"""

# Where a person is kept, and where the latest visit before the index was: columns of the landed tables.
OF_PERSON, OF_VISIT = ("location_id", "provider_id", "care_site_id"), ("provider_id", "care_site_id")
PLACES = f"""
with
{JUDGED},
latest as (
    select
        judged.example_id,
        {{visit_columns}}
    from judged
    inner join {{visit}} as visit
        on judged.person_id = visit.person_id
        and judged.index_date > visit.visit_start_date
    group by judged.example_id
)
select
    judged.example_id,
    {{columns}}
from judged
left join {{person}} as person on judged.person_id = person.person_id
left join latest on judged.example_id = latest.example_id
order by judged.example_id
"""

# Which codes with a number each judged example was shown, of those that many were; sex and decade of age.
CODES = f"""
with
{JUDGED},
had as (
    select distinct
        event.example_id,
        event.concept_id,
        coalesce(example.sex, '') || '/' || coalesce(example.age // 10, -1) as stratum
    from judged
    inner join event on judged.example_id = event.example_id
    inner join example on judged.example_id = example.example_id
    where isfinite(event.value_as_number)
)
select *
from had
qualify count(*) over (partition by concept_id) >= $fewest
order by example_id, concept_id
"""


def sites_tell(shown: Shown) -> Finding:
    """Look at stretches of numbers, at places, at codes for one thing and at forms of results, by class."""
    alarm = "sites_do_not_tell_cases"
    known = judged(shown)
    if known.empty:
        return Finding(0, 0)
    part = level(alarm, shown.n_tasks) / (4 if shown.landing is not None else 3)
    fewest = LEAST_SHARE * len(known)
    has, among = forms(shown, known["example_id"], fewest)
    what = "difference of the shares of cases and others whose results of a code come in one form"
    seen = [
        _numbers(known, shown.frame(VISIT_NUMBER), part),
        _twins(known, shown.frame(CODES, fewest=fewest), part),
        most_apart(known["y_true"] == 1, has, part, SITE_DIFFERENCE, what, among=among),
    ]
    if shown.landing is not None:
        seen.append(_places(known, _placed(shown), part))
    return strongest(alarm, shown, seen)


def _numbers(known: pd.DataFrame, visit: pd.DataFrame, part: float) -> Evidence:
    """Look whether numbers of persons order cases, and in which stretches they and those of visits lie.

    Numbers often follow the day a person came: both are judged within tenths of the index dates.
    """
    days = known["index_date"].rank(method="first")
    tenth = pd.qcut(days, CALENDAR_STRATA, labels=False, duplicates="drop").to_numpy()
    y_true = known["y_true"].to_numpy()
    number = known[["example_id"]].merge(visit, how="left", on="example_id")["visit"]
    scores = [("the number of the person", known["person_id"].rank().to_numpy(), np.ones(len(known), bool))]
    for words, values in (("person", known["person_id"]), ("latest visit", number)):
        has = values.notna().to_numpy()
        stretch = stretches(values[has].to_numpy(dtype=np.int64), FREE_SHARE, LEAST_SHARE * has.sum())
        scores += [(f"a stretch of numbers of the {words}", one, has) for one in stretch]
    seen = []
    for words, score, has in scores:
        full = np.zeros(len(known))
        full[has] = score
        tail = rank_tail(y_true[has], full[has], part / len(scores), strata=tenth[has])
        seen.append((tail, int(has.sum()), words))
    away = [abs(tail.auroc - 0.5) for tail, _, _ in seen]
    best = best_look([tail.p_value for tail, _, _ in seen], away, NUMBER_AUROC)
    tail, n, words = seen[best]
    return Evidence(
        looked_at=n,
        p_value=min(1.0, len(scores) * tail.p_value),
        effect=away[best],
        minimum=NUMBER_AUROC,
        smallest=tail.smallest,
        what=f"distance of the AUROC of {words} from one half, strongest of {len(scores)}",
    )


def _placed(shown: Shown) -> pd.DataFrame:
    """Return the places of each judged example, in order; null where none is known."""
    latest = ",\n        ".join(
        f"arg_max_null(visit.{name}, (visit.visit_start_date, visit.visit_occurrence_id)) as {name}"
        for name in OF_VISIT
    )
    columns = [f"person.{name} as person_{name}" for name in OF_PERSON]
    columns += [f"latest.{name} as visit_{name}" for name in OF_VISIT]
    return shown.frame(
        PLACES.format(
            visit_columns=latest,
            columns=", ".join(columns),
            visit=shown.landed("visit_occurrence"),
            person=shown.landed("person"),
        )
    ).drop_duplicates("example_id")


def _places(known: pd.DataFrame, table: pd.DataFrame, part: float) -> Evidence:
    """Look at each place where many are; that none is known is one, too."""
    place = known[["example_id"]].merge(table, how="left", on="example_id").drop(columns="example_id")
    place = place.fillna(0)
    has = [
        (values == value).to_numpy(dtype=bool)
        for _, values in place.items()
        for value, n in values.value_counts().items()
        if n >= LEAST_SHARE * len(place)
    ]
    what = "difference of the shares of cases and others who are at a place"
    return most_apart(known["y_true"] == 1, _stacked(has, len(place)), part, SITE_DIFFERENCE, what)


def _twins(known: pd.DataFrame, table: pd.DataFrame, part: float) -> Evidence:
    """Look at each two codes that exclude each other, which of them cases and others have."""
    row = pd.Index(known["example_id"]).get_indexer(pd.Index(table["example_id"]))
    code, column = np.unique(table["concept_id"].to_numpy(), return_inverse=True)
    has = np.zeros((len(code), len(known)), dtype=bool)
    has[column, row] = True
    stratum = np.full(len(known), "", dtype=object)
    stratum[row] = table["stratum"].to_numpy()
    pairs = excluding(has, np.unique(stratum.astype(str), return_inverse=True)[1])
    first, second = (has[[pair[side] for pair in pairs]] for side in (0, 1))
    what = "difference of the shares of cases and others who have one of two codes that exclude each other"
    return most_apart(known["y_true"] == 1, first, part, SITE_DIFFERENCE, what, among=first ^ second)


def _stacked(has: list[Flags], n: int) -> Flags:
    return np.array(has) if has else np.zeros((0, n), dtype=bool)


def excluding(has: Flags, stratum: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return pairs of things that hardly anybody has both of, where many would by chance.

    Args:
        has: (L, N) who has each thing.
        stratum: (N,) of sex and age, which also make things exclude each other.
    """
    counts = has.astype(np.float64)
    both = counts @ counts.T
    expected = np.zeros_like(both)
    for one in np.unique(stratum):
        of_one = counts[:, stratum == one].sum(axis=1)
        expected += np.outer(of_one, of_one) / (stratum == one).sum()
    found = np.triu((expected >= EXPECTED_BOTH) & (both <= BOTH_SHARE * expected), k=1)
    return [(int(one), int(other)) for one, other in zip(*np.nonzero(found), strict=True)]


CHECKS = (
    LeakCheck(
        "sites_do_not_tell_cases",
        ("L31", "L36"),
        "warns",
        "Neither the stretch that a person's or visit's number lies in, nor a place, nor which of two codes"
        " that exclude each other or which form a person's results have tells cases.",
        "Local codes of diagnoses and drugs, which illness and treatment make exclude each other as well;"
        " sites that share numbers and codes.",
        sites_tell,
    ),
)
