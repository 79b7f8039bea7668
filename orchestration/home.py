"""The home: everything the platform writes, and where. One study, one home, one Dagster instance."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ml.artefact import read_json, write_json
from ml.strict import InputError

ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = ROOT / "dbt_project"


@dataclass(frozen=True)
class Home:
    """Paths below SECOND_OPINION_HOME, each named once."""

    root: Path

    @property
    def landing(self) -> Path:
        """Landed sources, one folder a snapshot key."""
        return self.root / "landing"

    @property
    def simulated_source(self) -> Path:
        """The simulated OMOP source."""
        return self.root / "simulated" / "cdm"

    @property
    def simulated_world(self) -> Path:
        """What restarts the simulated world; never part of the source."""
        return self.root / "simulated" / "world"

    @property
    def warehouse(self) -> Path:
        """dbt's database."""
        return self.root / "warehouse.duckdb"

    @property
    def dbt(self) -> Path:
        """dbt's target and logs."""
        return self.root / "dbt"

    @property
    def published(self) -> Path:
        """The link to the snapshot in force."""
        return self.root / "published"

    @property
    def quality(self) -> Path:
        """What was judged of the data: pages to read, and profiles to compare refreshes by."""
        return self.root / "quality"

    @property
    def snapshots(self) -> Path:
        """Published snapshots, one folder a hash of contents."""
        return self.root / "snapshots"

    def examples(self, task: str) -> Path:
        """One task's rows, cut from the snapshot."""
        return self.root / "tasks" / task / "examples"

    def input_view(self, task: str, view: str) -> Path:
        """An input view of a task: text, count features or the index of its embeddings."""
        return self.root / "tasks" / task / view

    def own_date_examples(self, task: str) -> Path:
        """One task's rows as if every event had been known on its own date."""
        return self.root / "tasks" / task / "own_date" / "examples"

    def own_date_refits(self, task: str) -> Path:
        """The count baselines fitted on them."""
        return self.root / "tasks" / task / "own_date" / "refits"

    def own_date_metrics(self, task: str) -> Path:
        """What they scored, unsuppressed."""
        return self.root / "evaluation" / "own_date" / f"{task}.parquet"

    @property
    def embeddings(self) -> Path:
        """The embedding stores."""
        return self.root / "embeddings"

    def predictions(self, task: str, arm: str) -> Path:
        """One arm's predictions on one task."""
        return self.root / "predictions" / task / f"{arm}.parquet"

    def refusal(self, task: str, arm: str) -> Path:
        """Why an arm was refused."""
        return self.root / "predictions" / task / f"{arm}.refused.json"

    def fitted(self, task: str, arm: str) -> Path:
        """One arm's fitted model and the record of its fit."""
        return self.root / "fitted" / task / arm

    def oracle(self, task: str) -> Path:
        """True risks of a task's held-out examples; no arm may read them."""
        return self.root / "oracle" / f"{task}.parquet"

    @property
    def evaluation(self) -> Path:
        """Result tables, unsuppressed; they stay."""
        return self.root / "evaluation"

    @property
    def report(self) -> Path:
        """What may leave."""
        return self.root / "report"

    @property
    def steps(self) -> Path:
        """Records of computed steps."""
        return self.root / "steps"

    @property
    def registration(self) -> Path:
        """When the study was fixed."""
        return self.root / "registration.json"

    @property
    def held_out_log(self) -> Path:
        """Every reading of held-out data."""
        return self.root / "held_out_log.jsonl"

    @property
    def lock(self) -> Path:
        """Who writes."""
        return self.root / "lock.json"

    @property
    def closing(self) -> Path:
        """When a run last ended with a report, made or found unchanged."""
        return self.root / "closing.json"

    @property
    def identity(self) -> Path:
        """Whose home this is."""
        return self.root / "home.json"


def default_home(study_name: str) -> Path:
    """Return the home of a study when SECOND_OPINION_HOME is unset."""
    return ROOT / "var" / study_name


def claim_home(root: Path, study_name: str, *, now: str) -> Home:
    """Make or open a home for a study, its files readable by their owner only.

    Raises:
        InputError: it is another study's home, or a folder with something else in it.
    """
    home = Home(root)
    os.umask(0o077)
    root.mkdir(parents=True, exist_ok=True)
    if not home.identity.exists():
        foreign = [entry.name for entry in root.iterdir() if entry.name not in ("dagster", "dbt")]
        if foreign:
            raise InputError(
                f"The folder `{root.name}` is no home: it holds {len(foreign)} other entries"
                "\n\nhint: set SECOND_OPINION_HOME to a new or empty folder"
            )
        write_json(home.identity, {"study": study_name, "made_at": now})
    owner = read_json(home.identity)["study"]
    if owner != study_name:
        raise InputError(
            f"The home `{root.name}` belongs to study `{owner}`, not to `{study_name}`"
            "\n\nhint: set SECOND_OPINION_HOME to another folder; one study has one home"
        )
    return home


def forget_old(folder: Path, *, keep: Path) -> None:
    """Remove all but two of the states in a folder: `keep`, and the latest before it."""
    others = sorted(
        (state for state in folder.iterdir() if state.is_dir() and state != keep),
        key=lambda state: state.stat().st_mtime,
    )
    for state in others[:-1]:
        shutil.rmtree(state)
