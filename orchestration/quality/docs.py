"""Great Expectations judges the counts, one suite a kind and scope, and writes its data docs of them."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from orchestration.expectations import RAISED

# The pages ask other servers for style sheets and scripts; none is asked, the pages stay as they are here.
FOREIGN = re.compile(
    r"<script[^>]*src=\"(?:https?:)?//[^>]*>\s*</script>|<link[^>]*href=\"(?:https?:)?//[^>]*>"
    r"|<img[^>]*src=\"(?:https?:)?//[^>]*>|url\(['\"]?https?:[^)]*\)",
    re.IGNORECASE,
)
STYLE = """<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-top: 1px solid #ddd; padding: .3rem .6rem; text-align: left; }
.text-danger { color: #b00020; }
.text-success { color: #00703c; }
i.text-danger::before { content: "failed"; font-style: normal; font-weight: 700; }
i.text-success::before { content: "passed"; font-style: normal; }
body:has(#option2:checked) .ge-section:has(i.text-success):not(:has(i.text-danger)) { display: none; }
.modal, .walkthrough-card, .navbar, .dropdown-menu, .cooltip, button, footer { display: none; }
</style>
"""
INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Data quality</title></head><body>
<h1>Data quality</h1>
<p>Suites of all rows warn; those of a task, and drift, decide whether arms may learn.
Each opens on its checks, with what they looked at, found and allowed.
Counts are not suppressed: this page does not leave the home.</p>
<table><tr><th>Suite</th><th>Passed</th><th>Failed</th><th>Nothing to look at</th><th>What failed</th></tr>
{% for suite in suites %}
<tr><td>{% if suite.page %}<a href="{{ suite.page }}">{{ suite.name }}</a>
{% else %}{{ suite.name }}{% endif %}</td>
<td>{{ suite.passed }}</td><td>{{ suite.failed | length }}</td><td>{{ suite.idle }}</td>
<td>{% for row in suite.failed %}<div class="text-danger">{{ row.claim }}
({{ {"block": "blocks", "warn": "warns"}.get(row.severity, "signed off") }})</div>{% endfor %}</td></tr>
{% endfor %}
</table></body></html>
"""


def judge_suites(rows: Sequence[dict[str, Any]], site: Path) -> list[dict[str, Any]]:
    """Return the rows with `passed`, suite by suite, and write Great Expectations' pages of them to `site`.

    A row that looked at nothing is no expectation: it does not pass, and its suite's notes name it.

    Args:
        rows: check rows with `suite`, `claim` and `allowed` beside; counts and statistics only.
        site: an empty folder; `index.html` is where to start.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # pyright: ignore[reportAttributeAccessIssue]
    context.add_data_docs_site("quality", _site(site))
    source = context.data_sources.add_pandas("counts")
    suites: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        suites.setdefault(_suite_name(row), []).append(row)
    judged = [row for name, part in suites.items() for row in _judge_suite(context, source, name, part)]
    context.build_data_docs(site_names=["quality"])
    (site / "index.html").write_text(_index(suites, judged, site), encoding="utf-8")
    for page in sorted(site.rglob("*.html")):
        whole = FOREIGN.sub("", page.read_text(encoding="utf-8"))
        page.write_text(whole.replace("</head>", STYLE + "</head>", 1), encoding="utf-8")
    return judged


def _judge_suite(context: Any, source: Any, name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    import great_expectations as gx
    import pandas as pd
    from great_expectations.expectations.core.expect_column_max_to_be_between import (
        ExpectColumnMaxToBeBetween,
    )
    from great_expectations.expectations.metadata_types import FailureSeverity

    looked = [row for row in rows if row["looked_at"]]
    columns = {_column(row): row for row in looked}
    if len(columns) < len(looked):
        raise ValueError(f"two checks of `{name}` have one name")
    idle = [row["claim"] for row in rows if not row["looked_at"]]
    suite = gx.ExpectationSuite(
        name=name,
        expectations=[
            ExpectColumnMaxToBeBetween(
                column=column,
                max_value=row["limit"],
                severity=FailureSeverity.CRITICAL if row["severity"] == "block" else FailureSeverity.WARNING,
                meta={"check": row["name"], "looked_at": row["looked_at"], "allowed": row["allowed"]},
            )
            for column, row in columns.items()
        ],
        notes=[f"Nothing to look at, so not passed: {'; '.join(idle) or 'none'}."],
    )
    if not looked:
        context.suites.add(suite)
        return [{**row, "passed": False} for row in rows]
    asset = source.add_dataframe_asset(name)
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(
            name=name, data=asset.add_batch_definition_whole_dataframe("all"), suite=context.suites.add(suite)
        )
    )
    table = pd.DataFrame({column: [float(row["found"])] for column, row in columns.items()})
    # The values are counts, so that a page may show the one it observed.
    outcome = definition.run(batch_parameters={"dataframe": table}, result_format="BASIC")
    held: dict[str, bool] = {}
    for one in outcome.results:
        if one.exception_info and one.exception_info.get("raised_exception"):
            raise RuntimeError(RAISED)
        held[one.expectation_config.kwargs["column"]] = bool(one.success)
    return [{**row, "passed": bool(row["looked_at"]) and held[_column(row)]} for row in rows]


def _index(names: Iterable[str], judged: Sequence[dict[str, Any]], site: Path) -> str:
    """The first page: each suite with what it found. Great Expectations' own is empty without its scripts."""
    suites: list[dict[str, Any]] = []
    for name in names:
        rows = [row for row in judged if _suite_name(row) == name]
        looked = [row for row in rows if row["looked_at"]]
        page = next(site.glob(f"validations/{name}/**/*.html"), None)
        suites.append(
            {
                "name": name,
                "page": page and quote(page.relative_to(site).as_posix()),
                "passed": sum(row["passed"] for row in looked),
                "failed": sorted(
                    (row for row in looked if not row["passed"]), key=lambda row: row["severity"] != "block"
                ),
                "idle": len(rows) - len(looked),
            }
        )
    return jinja2.Environment(autoescape=True).from_string(INDEX).render(suites=suites)


def _suite_name(row: dict[str, Any]) -> str:
    return f"{row['suite']} of {row['task'] or 'all rows'}"


def _column(row: dict[str, Any]) -> str:
    return f"{row['claim']} (found, of {row['looked_at']:,} looked at; allowed: {row['allowed']})"


def _site(folder: Path) -> Any:
    return {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
    }
