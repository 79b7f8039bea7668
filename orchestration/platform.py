"""The platform as this environment sets it: one study, its tasks, its home and its source."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml.adaptation.names import REGIME_NAMES
from ml.artefact import read_json, write_json
from ml.compatibility import require_possible_arms
from ml.leakage.catalogue import signable_checks
from ml.models.registry import MODELS
from ml.strict import InputError
from ml.study import Study, read_study
from ml.tasks import Task, read_tasks
from orchestration.home import DBT_PROJECT, ROOT, Home, claim_home, default_home
from orchestration.quality.catalogue import signable_quality


@dataclass(frozen=True)
class Platform:
    """Everything a step needs to know; made once a code location."""

    study: Study
    tasks: dict[str, Task]  # the study's own
    catalogue: dict[str, Task]
    home: Home
    given_source: Path | None
    models_folder: Path | None
    download: bool

    @property
    def source(self) -> Path:
        """Where the OMOP source lies: what the environment says, else what the study says.

        Raises:
            InputError: neither says.
        """
        if self.given_source is not None:
            return self.given_source
        if self.simulates:
            return self.home.simulated_source
        if self.study.source.path is not None:
            return (ROOT / self.study.source.path).resolve()
        raise InputError(
            f"Study `{self.study.name}` names no source"
            "\n\nhint: set SECOND_OPINION_SOURCE to a directory of Parquet or CSV files or a DuckDB file"
        )

    @property
    def simulates(self) -> bool:
        """Whether the source step writes the source itself."""
        return self.given_source is None and self.study.source.simulate is not None

    def register(self) -> None:
        """Write down, before any held-out example is scored, which protocol this is and since when."""
        registered = read_registrations(self.home)
        if all(row["study_sha256"] != self.study.sha256 for row in registered):
            row = {"study": self.study.name, "study_sha256": self.study.sha256, "registered_at": now()}
            write_json(self.home.registration, [*registered, row])


def read_registrations(home: Home) -> list[dict[str, Any]]:
    """Return every protocol that this home has registered, oldest first."""
    return read_json(home.registration) if home.registration.exists() else []


def platform_of(environment: Mapping[str, str]) -> Platform:
    """Read the four variables of the contract and what they point to.

    Raises:
        InputError: a variable points nowhere, or the study, the seeds or the home are wrong.
    """
    tasks = read_tasks(DBT_PROJECT / "seeds")
    study_path = Path(environment.get("SECOND_OPINION_STUDY") or ROOT / "studies" / "demo.toml")
    if not study_path.is_absolute() and not study_path.exists():
        study_path = ROOT / study_path
    signable = (*signable_checks(), *signable_quality(DBT_PROJECT / "seeds"))
    study = read_study(study_path, tasks=tasks, models=MODELS, regimes=REGIME_NAMES, signable=signable)
    require_possible_arms(study, MODELS)
    given_source = _existing(environment, "SECOND_OPINION_SOURCE")
    if given_source and study.source.simulate:
        raise InputError(
            f"SECOND_OPINION_SOURCE is set, but study `{study.name}` simulates its patients"
            "\n\nhint: unset it, or copy the study, say what the `data` are and drop `simulate`"
        )
    given_home = environment.get("SECOND_OPINION_HOME")
    home = claim_home(
        Path(given_home).expanduser().resolve() if given_home else default_home(study.name),
        study.name,
        now=now(),
    )
    return Platform(
        study=study,
        tasks={name: tasks[name] for name in study.tasks},
        catalogue=tasks,
        home=home,
        given_source=given_source,
        models_folder=_existing(environment, "SECOND_OPINION_MODELS"),
        download=environment.get("SECOND_OPINION_DOWNLOAD") == "1",
    )


def now() -> str:
    """Return the time of day in UTC, for records; never part of a key."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _existing(environment: Mapping[str, str], name: str) -> Path | None:
    given = environment.get(name)
    if not given:
        return None
    path = Path(given).expanduser().resolve()
    if not path.exists():
        raise InputError(f"{name} points to `{path.name}`, which does not exist")
    return path
