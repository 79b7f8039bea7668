"""The mechanisms of the world that can be switched off, and which hazards each may touch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Switches:
    """Mechanisms of METHODS 25; False takes one away and leaves the average rates roughly where they were."""

    order: bool = True
    trend: bool = True
    recency: bool = True
    interaction: bool = True
    rare_groups: bool = True
    risky_visits: bool = True
    benign_variation: bool = True


# The hazards that read a mechanism; `tests/test_simulator_hazards.py` holds that no other one does.
TOUCHES: dict[str, frozenset[str]] = {
    "order": frozenset({"heart_failure", "pancreatic_cancer"}),
    "trend": frozenset({"heart_failure", "pancreatic_cancer", "gastrointestinal_bleed"}),
    "recency": frozenset({"heart_failure", "pancreatic_cancer", "gastrointestinal_bleed", "death"}),
    "interaction": frozenset({"heart_failure", "pancreatic_cancer", "gastrointestinal_bleed"}),
    "rare_groups": frozenset({"heart_failure", "pancreatic_cancer", "gastrointestinal_bleed"}),
    "risky_visits": frozenset({"heart_failure", "pancreatic_cancer", "gastrointestinal_bleed", "contact"}),
    "benign_variation": frozenset({"contact", "minor_illness", "benign_skin_lesion", "eye_or_ear_change"}),
}
