"""What arms are shown of the chosen examples: texts, counts and sequences, written twice and compared.

The one place here that knows `ml.inputs`: once from the full source, once from what a cut has left.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from definitions.compiled import Database
from ml.inputs.count import write_count_features
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.sequence import write_patient_sequences
from ml.inputs.text import write_patient_texts
from ml.inputs.view import CountOptions, SequenceOptions, TextOptions

EXAMPLES = 150  # texts are slow to write; the first ones in the order of a hash
FILES = ("text/text", "text/shown", "counts/row", "counts/column", "counts/value", "sequences/sequence")


@dataclass(frozen=True)
class Shown:
    """How many examples were written twice, and how many of the files were not equal."""

    examples: int
    differences: int


def shown_twice(database: Database, whole: str, task: str) -> Shown:
    """Write texts, counts and sequences from the full source and from the cut one, and compare them.

    `database` holds the cut events and inputs and the table `chosen` of examples; `whole` is the attached
    database of the full source. Labels and concepts are the full source's on both sides: they are no inputs,
    and the rows of examples carry them.
    """
    with TemporaryDirectory(prefix="shown-") as name:
        folders = [Path(name) / side for side in ("whole", "cut")]
        for folder, tables in zip(folders, (f"{whole}.", ""), strict=True):
            _publish(database, folder / "published", tables, whole)
            _write(folder, task)
        different = sum(
            not pq.read_table(folders[0] / f"{file}.parquet").equals(
                pq.read_table(folders[1] / f"{file}.parquet")
            )
            for file in FILES
        )
        written = pq.read_table(folders[0] / "text" / "text.parquet").num_rows
    return Shown(written, different)


def _publish(database: Database, folder: Path, tables: str, whole: str) -> None:
    folder.mkdir(parents=True)
    queries = {
        "cohort": f"from chosen order by sha256(example_id) limit {EXAMPLES}",
        "label": f"from {whole}.label",
        "split": "select distinct person_id, 'train' as split from chosen",
        "example_input": f"from {tables}example_input",
        "clinical_event": f"from {tables}clinical_event order by person_id, event_no",
        "concept": "from landing.concept",
        "concept_ancestor": "from landing.concept_ancestor",
    }
    for name, query in queries.items():
        database.connection.execute(f"copy ({query}) to '{folder / name}.parquet' (format parquet)")


def _write(folder: Path, task: str) -> None:
    examples = folder / "examples"
    cut_examples(folder / "published", task, examples, ExampleOptions(max_examples=None, seed=0))
    write_patient_texts(
        examples,
        folder / "text",
        TextOptions(),
        prefix="",
        max_tokens=2048,
        count_tokens=lambda texts: [len(text.split()) for text in texts],
        progress=lambda _: None,
    )
    write_count_features(examples, folder / "counts", CountOptions())
    write_patient_sequences(examples, folder / "sequences", SequenceOptions())
