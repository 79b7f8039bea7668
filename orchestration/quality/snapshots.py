"""What is kept of a snapshot for the next refresh to be compared with, and which one that is.

`quality/now` holds the profile of the latest landing, `quality/before` that of the landing before it. A
landing that drifted too far is replaced by the next one and never becomes the landing before: what is wrong
must not become what is usual.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.artefact import read_json, sha256_file, sha256_json, whole_folder, write_json
from ml.in_memory import in_memory
from orchestration.home import Home
from orchestration.quality.drift import Profile, profile_of
from orchestration.quality.statistic import Statistic


@dataclass(frozen=True)
class Kept:
    """A profile that is kept, with what it was made from."""

    folder: Path

    @property
    def facts(self) -> dict[str, Any]:
        """landing, snapshot, definitions (hash of models and split salt), accepted."""
        return read_json(self.folder / "facts.json")

    @property
    def profile(self) -> Profile:
        """The counts."""
        return read_profile(self.folder / "snapshot_profile.parquet")

    @property
    def sha256(self) -> str:
        """Hash of both files."""
        return sha256_json(
            [sha256_file(self.folder / name) for name in ("facts.json", "snapshot_profile.parquet")]
        )


def earlier(home: Home, landing: str) -> Kept | None:
    """Return what this landing is compared with: the latest other landing that did not drift too far."""
    now, before = Kept(home.quality / "now"), Kept(home.quality / "before")
    if now.folder.exists() and now.facts["landing"] != landing and now.facts["accepted"]:
        return now
    return before if before.folder.exists() else None


def keep(home: Home, facts: dict[str, Any], published: Path) -> None:
    """Keep this snapshot's profile as the latest; the one of the landing before moves aside."""
    now, before = Kept(home.quality / "now"), Kept(home.quality / "before")
    if now.folder.exists() and earlier(home, facts["landing"]) == now:
        if before.folder.exists():
            shutil.rmtree(before.folder)
        now.folder.rename(before.folder)
    with whole_folder(now.folder) as folder:
        shutil.copyfile(published / "snapshot_profile.parquet", folder / "snapshot_profile.parquet")
        write_json(folder / "facts.json", facts)


def read_profile(path: Path) -> Profile:
    """Read the published profile of a snapshot."""
    with in_memory(path.parent) as connection:
        return profile_of(
            connection.execute("select quantity, part, bin, n from read_parquet(?)", [str(path)]).fetchall()
        )


def compare_rows(before: Path, now: Path) -> list[Statistic]:
    """Compare two published snapshots row by row: events that were changed or are gone, persons who moved.

    Both must come from the same models and the same split salt.
    """
    with in_memory(now.parent) as connection:
        connection.execute("set threads = 2; set memory_limit = '2GB'")
        events, gone = connection.execute(
            "select count(*), count(*) filter (where not exists (select 1 from read_parquet(?) as later"
            " where later.event_id = earlier.event_id)) from read_parquet(?) as earlier",
            [str(now / "clinical_event.parquet"), str(before / "clinical_event.parquet")],
        ).fetchall()[0]
        persons, moved = connection.execute(
            "select count(*), count(*) filter (where later.split <> earlier.split)"
            " from read_parquet(?) as earlier inner join read_parquet(?) as later"
            " on earlier.person_id = later.person_id",
            [str(before / "split.parquet"), str(now / "split.parquet")],
        ).fetchall()[0]
    share = gone / events if events else 0.0
    stays, keeps = "An event of the landing before is still there, unchanged", "A person keeps the split"
    return [
        Statistic("known_events_stay", "", stays, events, share, 0, 0.005, 0.05),
        Statistic("persons_keep_their_split", "", keeps, persons, moved, 0, 0, 0),
    ]
