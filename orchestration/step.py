"""Steps: computed once a key, verified and reused after that, each with its record and its cost."""

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from ml.artefact import (
    DamagedArtefactError,
    differences,
    manifest,
    read_json,
    sha256_file,
    sha256_json,
    write_json,
)
from ml.cost import Cost, measured
from orchestration.lock import take
from orchestration.platform import Platform, now

SHOWN_OF_CHECK = ("looked_at", "found", "limit", "note", "cannot_see")
SEVERITIES = ("block", "signed_off", "warn")
NOTHING = " (there was nothing to look at)"
WEIGHT_GUARDS = ("weights_differ", "tokenizer_of_another_model")


@dataclass
class Computed:
    """What computing a step gave: facts worth showing, check rows, and a refusal if a guard stopped it."""

    metadata: dict[str, Any] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    refused: dict[str, str] | None = None


@dataclass(frozen=True)
class Record:
    """The record of a step, as stored: its key, what it wrote, and everything it reported."""

    name: str
    key: str
    data_version: str
    outputs: dict[str, str]
    metadata: dict[str, Any]
    checks: list[dict[str, Any]]
    cost: dict[str, Any]
    refused: dict[str, str] | None
    run_id: str
    made_at: str
    reused: bool = False


def carry_out(
    platform: Platform,
    context: dg.AssetExecutionContext,
    name: str,
    *,
    key: Mapping[str, Any],
    outputs: Sequence[Path],
    compute: Callable[[Cost], Computed],
    beside: Sequence[Path] = (),
    task: str = "",
    arm: str = "",
) -> Record:
    """Return the stored record if the key is the same and its artefacts are whole; else compute.

    `compute` gets the cost row to add to (a child process adds its own). Outputs of a refused step are
    whatever of them exists. Everything that the step wrote is hashed into the record; what lies `beside`
    is verified like it, but shared with other steps, and so no part of the data version.
    """
    take(platform.home.lock, context.run_id, context.instance)
    platform.register()
    hashed = sha256_json({"step": name, **key})
    stored = find_record(platform, name)
    if stored and stored.key == hashed and not _may_have_passed(stored):
        damaged = differences(platform.home.root, stored.outputs)
        if not damaged:
            context.log.info(f"{name}: nothing changed, reused")
            return dataclasses.replace(stored, reused=True)
        context.log.warning(f"{name}: {len(damaged)} stored files changed or are gone; computing again")
    context.log.info(f"{name}: computing")
    with measured() as cost:
        computed = compute(cost)
    hashes = _hashes(platform.home.root, outputs)
    cost.bytes = sum((platform.home.root / file).stat().st_size for file in hashes)
    record = Record(
        name=name,
        key=hashed,
        data_version=sha256_json({"files": hashes, "refused": computed.refused}),
        outputs={**hashes, **_hashes(platform.home.root, beside)},
        metadata=computed.metadata,
        checks=computed.checks,
        cost={"task": task, "arm": arm, "step": name, **cost.as_row()},
        refused=computed.refused,
        run_id=context.run_id,
        made_at=now(),
    )
    write_json(_record_path(platform, name), _storable(record))
    return record


def _may_have_passed(record: Record) -> bool:
    """Whether a step was refused for weights on this machine, which the key names but does not read."""
    return record.refused is not None and record.refused["guard"] in WEIGHT_GUARDS


def find_record(platform: Platform, name: str) -> Record | None:
    """Return the record of a step if it was ever computed in this home."""
    path = _record_path(platform, name)
    return Record(**read_json(path)) if path.exists() else None


def upstream(platform: Platform, name: str, *, verify: bool = True) -> Record:
    """Return the record of a step that this one reads, its artefacts verified.

    Raises:
        DamagedArtefactError: it was never computed here, or its bytes changed since.
    """
    record = find_record(platform, name)
    if record is None:
        raise DamagedArtefactError(
            f"`{name}` was not made yet in the home `{platform.home.root.name}`"
            f"\n\nhint: materialise it first, or everything with --select '*'"
        )
    if verify and (damaged := differences(platform.home.root, record.outputs)):
        raise DamagedArtefactError(
            f"{len(damaged)} files of `{name}` changed or are gone since they were made"
            f"\n\nhint: materialise `{name}` again"
        )
    return record


def result(
    record: Record, asset_key: dg.AssetKey, check_names: Sequence[str] = (), **more: Any
) -> dg.MaterializeResult:
    """Turn a record into what Dagster shows: metadata, the data version and the stored checks again."""
    shown = {
        **judged(record.checks),
        **{name: _shown(value) for name, value in record.metadata.items() if value != ""},
        **{name: _shown(value) for name, value in more.items()},
        "reused": record.reused,
        "wall_s": record.cost["wall_s"],
        "peak_mb": round(record.cost["peak_bytes"] / 2**20),
        "made_at": record.made_at,
    }
    by_name = {row["name"]: row for row in record.checks}
    return dg.MaterializeResult(
        asset_key=asset_key,
        data_version=dg.DataVersion(record.data_version),
        metadata=shown,
        check_results=[check_result(by_name[name], asset_key) for name in check_names],
    )


def blocking_row(name: str, task: str, *, looked_at: int, found: int) -> dict[str, Any]:
    """Return a row of the check table that may find nothing, and must have looked at something."""
    return {
        "name": name,
        "task": task,
        "looked_at": looked_at,
        "found": found,
        "limit": 0,
        "severity": "block",
        "passed": found == 0 and looked_at > 0,
    }


def check_result(row: Mapping[str, Any], asset_key: dg.AssetKey) -> dg.AssetCheckResult:
    """Turn a row of the check table into an asset check result."""
    severity = dg.AssetCheckSeverity.ERROR if row["severity"] == "block" else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        check_name=row["name"],
        asset_key=asset_key,
        passed=bool(row["passed"]),
        severity=severity,
        description=outcome(row) if row["passed"] else f"{outcome(row)}. {_sentence(row)}".rstrip(),
        metadata={name: row[name] for name in SHOWN_OF_CHECK if row.get(name, "") != ""},
    )


def _sentence(row: Mapping[str, Any]) -> str:
    note = str(row.get("note", ""))
    return note[:1].upper() + note[1:]


def outcome(row: Mapping[str, Any]) -> str:
    """Say what came of a check. Dagster calls ours non-blocking: it is the platform that they stop."""
    if row["passed"]:
        return "passed"
    if row["severity"] == "block":
        return "failed: it stops what depends on it" + ("" if row["looked_at"] else NOTHING)
    if row["severity"] == "signed_off":
        return "failed: the study signed it off, and the work went on"
    return "failed: a warning, nothing is refused" if row["looked_at"] else "no pass" + NOTHING


def judged(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what an asset's page says of its checks: how many came to what, and those that failed."""
    if not rows:
        return {}
    failed = [row for row in rows if not row["passed"] and (row["looked_at"] or row["severity"] == "block")]
    failed.sort(key=lambda row: SEVERITIES.index(row["severity"]))
    named = {
        what: ", ".join(f"`{row['name']}`" for row in failed if row["severity"] == severity)
        for what, severity in zip(("stopped_by", "signed_off_checks", "warned_by"), SEVERITIES, strict=True)
    }
    counted = Counter(outcome(row) for row in [*failed, *rows])
    counted.subtract(Counter(outcome(row) for row in failed))
    table = [
        {
            "check": f"`{row['name']}`",
            "if it fails": {"block": "stops", "warn": "warns"}.get(row["severity"], "signed off"),
            **{name: row[name] for name in ("looked_at", "found", "limit")},
            "note": row.get("note") or row.get("claim", ""),
        }
        for row in failed
    ]
    return {
        "checks": "; ".join(f"{n} {words}" for words, n in counted.items()),
        **{what: names for what, names in named.items() if names},
        **({"failed_checks": _shown(table)} if table else {}),
    }


def _shown(value: Any) -> Any:
    """Render a list of rows as a table; everything else stays as it is."""
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        return value
    columns = list(dict.fromkeys(column for row in value for column in row))
    lines = [columns, ["---"] * len(columns), *([row.get(column, "") for column in columns] for row in value)]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(map(str, line))} |" for line in lines))


def _hashes(root: Path, outputs: Sequence[Path]) -> dict[str, str]:
    hashes: dict[str, str] = {}
    for output in outputs:
        if output.is_dir():
            below = manifest(output).items()
            hashes.update({(output / file).relative_to(root).as_posix(): sha256 for file, sha256 in below})
        elif output.exists():
            hashes[output.relative_to(root).as_posix()] = sha256_file(output)
    return dict(sorted(hashes.items()))


def _record_path(platform: Platform, name: str) -> Path:
    return platform.home.steps / f"{name.replace('/', os.sep)}.json"


def _storable(record: Record) -> dict[str, Any]:
    stored = dataclasses.asdict(record)
    del stored["reused"]
    return stored
