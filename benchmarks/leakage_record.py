"""The record of the mutation suite: every plant, every clean world, sums for each set, and what holds."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from benchmarks.leakage_run import Job, Result

# The full size, little more than an hour on two quiet cores: sites 1 and 2 of a plant, clean worlds 0 to 99.
SEEDS, WORLDS = 2, 100


def recorded(run: Mapping[str, Any], jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the record: what was asked for, what was run, sums, every plant, every world.

    It holds when all that was asked for was run, nothing raised, no plant of a set that the checks were
    improved on was missed, no argument is wrong, no clean world is blocked, each kind of leak that names
    checks has a plant caught on every seed, and nothing was learned from random labels. The last set is a
    measurement: how much is caught of what the checks were not written for.
    """
    from leakage.sets import MEASURED

    asked = set(jobs)
    parts = {(part, name, seed): result for (part, name, seed), result in run["parts"]}
    parts = {job: result for job, result in sorted(parts.items(), key=_place) if job in asked}
    plants = _plants(parts)
    worlds = {
        str(seed): {"persons": int(name), **result}
        for (part, name, seed), result in parts.items()
        if part == "world"
    }
    frozen = [
        {"task": name, "seed": seed, **result}
        for (part, name, seed), result in parts.items()
        if part == "frozen"
    ]
    sets = {
        name: of_plants([plant for plant in plants.values() if plant["set"] == name])
        for name in sorted({plant["set"] for plant in plants.values()})
    }
    total = {**of_plants(plants.values()), **of_worlds(worlds.values())}
    uncaught = kinds_uncaught(plants.values())
    wrong = sorted(name for name, plant in plants.items() if plant["argued"] and is_caught(plant))
    return {
        **{key: run[key] for key in ("commit", "changed_since_commit", "versions", "persons")},
        "remarks": run.get("remarks", []),  # by whoever ran it, where parts were not run in one go
        "holds": not any(
            (
                any(own["missed"] for name, own in sets.items() if name != MEASURED),
                total["errors"],
                total["checks_that_raised_on_a_plant"],
                total["false_blocks"],
                total["not_made"],
                total["checks_that_raised_on_a_clean_world"],
                uncaught,
                wrong,
                any("error" in one or one["learned"] for one in frozen),
                len(parts) < len(asked),
            )
        ),
        "asked": counted(asked),
        "run": counted(parts),
        "seconds": round(sum(result["seconds"] for result in parts.values())),
        "cpu_seconds": round(sum(result.get("cpu_seconds", 0) for result in parts.values())),
        "wall_seconds": round(run.get("wall_seconds", 0)),
        "total": total,
        "sets": sets,
        "measured": MEASURED,
        "kinds_without_a_plant_caught_on_every_seed": uncaught,
        "argued_and_caught_on_every_seed": wrong,
        "plants": plants,
        "worlds": worlds,
        "frozen": frozen,
    }


def _place(item: tuple[Job, Result]) -> tuple[str, int, str]:
    (part, name, seed), _ = item
    return (part, seed, name) if part == "world" else (part, 0, f"{name}/{seed:06d}")


def _plants(parts: Mapping[Job, Result]) -> dict[str, Any]:
    from leakage.plants import PLANTS
    from leakage.proving import catalogue
    from leakage.sets import argued, sets

    set_of, why = sets(), argued()
    found: dict[str, Any] = {}
    for (part, name, seed), result in parts.items():
        if part != "plant" or name not in set_of:
            continue
        plant, leak = PLANTS[name], catalogue()[PLANTS[name].leak]
        about = {
            **{key: getattr(plant, key) for key in ("leak", "mechanism", "level", "task")},
            "set": set_of[name],
            "named": list(leak.held_by),
            "why_none_is_named": "" if leak.held_by else leak.why,
            "argued": why.get(name, ""),
            "seeds": {},
        }
        found.setdefault(name, about)["seeds"][str(seed)] = result
    return found


def verdict(plant: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    """Return what came of one planting: caught, argued, missed, no_check_is_named or error."""
    if "error" in one:
        return "error"
    if not plant["named"]:
        return "no_check_is_named"
    if one["verdict"] == "caught":
        return "caught"
    return "argued" if plant["argued"] else "missed"


def is_caught(plant: Mapping[str, Any]) -> bool:
    """Return whether a plant was caught on every seed that it was planted on."""
    return all(verdict(plant, one) == "caught" for one in plant["seeds"].values())


def kinds_uncaught(plants: Collection[Mapping[str, Any]]) -> list[str]:
    """Return the kinds of leak that name checks and have no plant caught on every seed."""
    kinds = {plant["leak"] for plant in plants if plant["named"]}
    return sorted(kinds - {plant["leak"] for plant in plants if is_caught(plant)})


def of_plants(plants: Collection[Mapping[str, Any]]) -> dict[str, int]:
    """Return sums over plantings: a plant on a seed."""
    plantings = [(plant, one) for plant in plants for one in plant["seeds"].values()]
    n = Counter(verdict(plant, one) for plant, one in plantings)
    made = [one for _, one in plantings if "error" not in one]
    missed = [one for plant, one in plantings if verdict(plant, one) == "missed"]
    caught = [one for plant, one in plantings if verdict(plant, one) == "caught"]
    return {
        "plants": len(plants),
        "plants_caught_on_every_seed": sum(is_caught(plant) for plant in plants),
        "planted": len(made),
        "caught": n["caught"],
        "caught_and_blocked": sum(one["blocks"] for one in caught),
        "argued": n["argued"],
        "missed": n["missed"],
        "missed_and_seen_by_another": sum(one["verdict"] == "by_another" for one in missed),
        "no_check_is_named": n["no_check_is_named"],
        "errors": n["error"],
        "checks_that_raised_on_a_plant": sum(len(one["raised"]) for one in made),
    }


def of_worlds(worlds: Collection[Mapping[str, Any]]) -> dict[str, int]:
    """Return sums over clean worlds; tasks that lack cases, which the platform stops before, stand apart."""
    made = [world["tasks"] for world in worlds if "error" not in world]
    of_tasks = [alarms for tasks in made for task, alarms in tasks.items() if task != "snapshot"]
    looks = [alarms for tasks in made for alarms in tasks.values()]
    return {
        "worlds": len(made),
        "not_made": len(worlds) - len(made),
        "tasks": len(of_tasks),
        "tasks_wanting_cases": sum(bool(alarms["wanting"]) for alarms in of_tasks),
        "checks_run": sum(alarms["checks"] for alarms in looks),
        "checks_that_raised_on_a_clean_world": sum(len(alarms["raised"]) for alarms in looks),
        "false_blocks": _alarms(looks, "blocks", wanting=False),
        "false_warnings": _alarms(looks, "warns", wanting=False),
        "false_blocks_where_cases_are_wanting": _alarms(looks, "blocks", wanting=True),
        "false_warnings_where_cases_are_wanting": _alarms(looks, "warns", wanting=True),
        "worlds_with_a_false_block": _worlds(made, "blocks"),
        "worlds_with_a_false_warning": _worlds(made, "warns"),
    }


def _alarms(looks: Sequence[Mapping[str, Any]], does: str, *, wanting: bool) -> int:
    return sum(len(alarms[does]) for alarms in looks if bool(alarms["wanting"]) == wanting)


def _worlds(made: Sequence[Mapping[str, Any]], does: str) -> int:
    return sum(any(alarms[does] and not alarms["wanting"] for alarms in tasks.values()) for tasks in made)


def counted(jobs: Collection[Job]) -> dict[str, Any]:
    """Return how many parts there are of each kind, and the seeds of the plants."""
    of = {kind: [job for job in jobs if job[0] == kind] for kind in ("plant", "world", "frozen")}
    return {
        "plants": len({name for _, name, _ in of["plant"]}),
        "plantings": len(of["plant"]),
        "seeds": sorted({seed for *_, seed in of["plant"]}),
        "worlds": len(of["world"]),
        "frozen": len(of["frozen"]),
    }
