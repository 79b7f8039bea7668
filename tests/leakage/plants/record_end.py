"""L11 and L12: the end of the record, and aggregates of all of it, among the inputs."""

import numpy as np

from leakage.plants.availability import VISIT, _visit_says
from leakage.plants.plant import plant
from leakage.plants.views import add_count_column
from leakage.site import Site

VALUE = "value_as_number, value_as_concept_id, unit_concept_id, applied_rule"


@plant("L11", level="data", task="dhf_1y", hurts=True)
def days_to_the_end_of_observation(site: Site, rng: np.random.Generator) -> None:
    """A column of the count features holds the days from the index to the end of observation."""
    rows = site.labelled("dhf_1y")
    days = (rows["observation_period_end_date"] - rows["index_date"]).dt.days
    add_count_column(site, "dhf_1y", "days_to/observation_end", rows["example_id"], days)
    site.rebuild("views")


@plant("L11", level="data", task="gi_bleed_1y")
def last_contact_under_another_name(site: Site, rng: np.random.Generator) -> None:
    """A column named as a latest value holds the days from the index to the last event of the record."""
    rows = site.rows(
        "select example_id, datediff('day', index_date, max(event_date)) as days from cohort inner join"
        " clinical_event using (person_id) where task = 'gi_bleed_1y' group by example_id, index_date"
    )
    add_count_column(site, "gi_bleed_1y", "latest_value/3027018//contact", rows["example_id"], rows["days"])
    site.rebuild("views")


@plant("L11", level="code", task="long_los")
def death_is_known_a_month_early(site: Site, rng: np.random.Generator) -> None:
    """A death counts as known thirty days before it, so that it stands among the inputs."""
    site.mutate("event_availability", "else event_date + lag_days",
                "else event_date + lag_days - if(domain = 'Death', 30, 0)")  # fmt: skip
    # The cohort takes who is alive, so that step has to look at when it happened.
    site.mutate("entry_step", "entry_label.death_available_date <= entry_label.index_date",
                "entry_label.death_date <= entry_label.index_date")  # fmt: skip
    site.rebuild("source")


@plant("L11", level="code", task="dhf_1y")
def age_at_the_end_of_observation(site: Site, rng: np.random.Generator) -> None:
    """The age of an example is that on the last day of observation, by the name of the age at the index."""
    from ml.inputs import examples

    old = "cohort.age::integer as age"
    new = (
        "(cohort.age + date_diff('day', cohort.index_date, cohort.observation_period_end_date) // 365)"
        "::integer as age"
    )
    assert examples.EXAMPLE.count(old) == 1
    site.code["ml.inputs.examples.EXAMPLE"] = examples.EXAMPLE.replace(old, new)
    site.rebuild("published")


def _value(site: Site, value: str) -> None:
    site.mutate("event_availability", VALUE, f"{value} as {VALUE}")
    site.rebuild("source")


@plant("L12", level="code", task="dhf_1y")
def values_scaled_over_the_record(site: Site, rng: np.random.Generator) -> None:
    """A value is its distance from the person's mean over the whole record."""
    _value(site, "value_as_number - avg(value_as_number) over (partition by person_id, concept_id)")


@plant("L12", level="code", task="dhf_1y")
def values_of_the_end(site: Site, rng: np.random.Generator) -> None:
    """A value is the highest that the person ever had of that measurement, later ones included."""
    _value(site, "max(value_as_number) over (partition by person_id, concept_id)")


@plant("L12", level="code", task="paca_1y")
def missing_values_from_the_next(site: Site, rng: np.random.Generator) -> None:
    """A missing value is filled with the next one that was taken."""
    _value(site, "coalesce(value_as_number, first_value(value_as_number ignore nulls) over (partition by"
           " person_id, concept_id order by event_date rows between 1 following and unbounded"
           " following))")  # fmt: skip


@plant("L12", level="code", task="long_los", hurts=True)
def visits_of_all_the_record(site: Site, rng: np.random.Generator) -> None:
    """The start of a visit carries the share of the person's visits that last a week or more."""
    assert "{number}" in VISIT
    _visit_says(
        site, number="avg(if(visit_end_date - visit_start_date >= 7, 1.0, 0.0)) over (partition by person_id)"
    )
