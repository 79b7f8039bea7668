"""Landing CSV: with the names of its own header, every row kept, nothing skipped and nothing shown."""

from datetime import date
from pathlib import Path

import pytest
from landing_source import SECRET_ID, TABLES, csv_text, landed_rows, refusal, tables, write_csv, write_parquet

from orchestration.landing import land


def rows_of_all(folder: Path) -> dict[str, list[tuple]]:
    return {table: landed_rows(folder, table, "*") for table in TABLES}


@pytest.mark.parametrize(
    ("delimiter", "suffix"), [(",", ".csv"), (";", ".csv"), ("\t", ".csv"), ("\t", ".tsv"), ("|", ".TXT")]
)
def test_a_csv_source_lands_as_its_parquet_twin(tmp_path, delimiter, suffix):
    land(write_csv(tmp_path / "s", TABLES, delimiter, suffix), tmp_path / "t")
    land(write_parquet(tmp_path / "p", TABLES), tmp_path / "u")
    assert rows_of_all(tmp_path / "t") == rows_of_all(tmp_path / "u")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_quoted_delimiters_quotes_and_line_breaks_stay_in_their_cell(tmp_path, newline):
    texts = ['one, "two"; three\tfour', "line one\nline two", 'ends with "']
    source = tables(condition_occurrence={"condition_source_value": texts})
    folder = write_csv(tmp_path / "s", source)
    (folder / "condition_occurrence.csv").write_bytes(
        csv_text(source["condition_occurrence"], newline=newline).encode()
    )
    landed = land(folder, tmp_path / "t")
    assert landed.rows["condition_occurrence"] == 3
    found = landed_rows(tmp_path / "t", "condition_occurrence", "condition_source_value")
    assert [row[0] for row in found] == texts


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    folder = write_csv(tmp_path / "s", TABLES)
    for file in folder.iterdir():
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    land(folder, tmp_path / "t")
    assert landed_rows(tmp_path / "t", "person", "person_id")[0] == (SECRET_ID,)


def test_a_quoted_header_and_names_with_blanks_and_capitals_are_read(tmp_path):
    folder = write_csv(tmp_path / "s", TABLES)
    file = folder / "person.csv"
    head, _, body = file.read_text(encoding="utf-8").partition("\n")
    quoted = ",".join(f'"{name.upper()} "' for name in head.split(","))
    file.write_text(f"{quoted}\n{body}", encoding="utf-8")
    land(folder, tmp_path / "t")
    assert landed_rows(tmp_path / "t", "person", "person_id")[0] == (SECRET_ID,)


def test_dates_without_dashes_are_read(tmp_path):
    dates = ["20120506", "20130506", "2014-05-06 10:11:12"]
    land(write_csv(tmp_path / "s", tables(condition_occurrence={"condition_start_date": dates})),
         tmp_path / "t")  # fmt: skip
    found = landed_rows(tmp_path / "t", "condition_occurrence", "condition_start_date")
    assert found == [(date(2012, 5, 6),), (date(2013, 5, 6),), (date(2014, 5, 6),)]


def test_ids_beyond_2_to_the_53_stay_exact_in_text(tmp_path):
    ids = ["-9007199254740993", "9223372036854775807", "1.0"]
    land(write_csv(tmp_path / "s", tables(condition_occurrence={"visit_occurrence_id": ids})), tmp_path / "t")
    found = landed_rows(tmp_path / "t", "condition_occurrence", "visit_occurrence_id")
    assert found == [(-9007199254740993,), (9223372036854775807,), (1,)]


@pytest.mark.parametrize("text", ["1.5", "2.5", "12 34", "x12", "9223372036854775808", "nan", "1e-3"])
def test_text_that_is_no_whole_number_is_no_id(tmp_path, text):
    folder = write_csv(
        tmp_path / "s", tables(condition_occurrence={"visit_occurrence_id": ["1", text, None]})
    )
    said = refusal(folder, tmp_path / "t")
    assert "1 values of `condition_occurrence.visit_occurrence_id` are not BIGINT" in said


@pytest.mark.parametrize("text", ["2012-02-30", "31/12/2012", "2012", "yesterday", "20121301"])
def test_text_that_is_no_date_is_a_fault(tmp_path, text):
    folder = write_csv(
        tmp_path / "s", tables(condition_occurrence={"condition_end_date": ["2012-05-06", text, None]})
    )
    said = refusal(folder, tmp_path / "t")
    assert "1 values of `condition_occurrence.condition_end_date` are not DATE" in said


def test_empty_cells_and_blanks_are_nulls(tmp_path):
    texts, ids = ["", "  ", "E11"], ["", " ", "5"]
    source = tables(condition_occurrence={"condition_source_value": texts, "visit_occurrence_id": ids})
    land(write_csv(tmp_path / "s", source), tmp_path / "t")
    found = landed_rows(tmp_path / "t", "condition_occurrence", "condition_source_value, visit_occurrence_id")
    assert found == [(None, None), (None, None), ("E11", 5)]


def test_a_header_alone_is_an_empty_table(tmp_path):
    folder = write_csv(tmp_path / "s", TABLES)
    (folder / "death.csv").write_text("person_id,death_date\n", encoding="utf-8")
    landed = land(folder, tmp_path / "t")
    assert landed.rows["death"] == 0
    assert "death" not in landed.absent


def spoil(folder: Path, text: str, file: str = "condition_occurrence.csv", encoding: str = "utf-8") -> Path:
    (folder / file).write_bytes(text.encode(encoding))
    return folder


def test_a_first_line_that_is_data_is_refused_and_not_taken_for_a_header(tmp_path):
    body = csv_text(TABLES["person"]).partition("\n")[2]
    folder = spoil(write_csv(tmp_path / "s", TABLES), body, "person.csv")
    said = refusal(folder, tmp_path / "t")
    assert "`person.csv` is not a header" in said


def test_a_header_separated_otherwise_than_its_rows_is_refused(tmp_path):
    folder = write_csv(tmp_path / "s", TABLES, "\t")
    head, _, body = csv_text(TABLES["person"], "\t").partition("\n")
    spoil(folder, head.replace("\t", " ") + "\n" + body, "person.csv")
    assert "`person.csv`" in refusal(folder, tmp_path / "t")


@pytest.mark.parametrize("change", ["longer", "shorter"])
@pytest.mark.parametrize("rows", ["all", "one"])
def test_rows_of_another_length_than_the_header_are_refused(tmp_path, change, rows):
    head, *lines = csv_text(TABLES["condition_occurrence"]).splitlines()
    changed = [line + ",x,y" if change == "longer" else line.rpartition(",")[0] for line in lines]
    lines = changed if rows == "all" else [lines[0], changed[1], lines[2]]
    folder = spoil(write_csv(tmp_path / "s", TABLES), "\n".join([head, *lines]) + "\n")
    said = refusal(folder, tmp_path / "t")
    assert "`condition_occurrence`" in said
    assert "header" in said


@pytest.mark.parametrize("place", ["a row", "a late row", "the header"])
def test_a_file_that_is_not_utf_8_is_refused(tmp_path, place):
    source = tables(condition_occurrence={"condition_source_value": ["Wéight", "b", "c"]})
    text = csv_text(source["condition_occurrence"])
    if place == "a late row":
        head, _, body = text.partition("\n")
        text = head + "\n" + csv_text(TABLES["condition_occurrence"]).partition("\n")[2] * 500 + body
    if place == "the header":
        text = text.replace("condition_source_value", "condition_source_vàlue")
    folder = spoil(write_csv(tmp_path / "s", TABLES), text, encoding="latin-1")
    said = refusal(folder, tmp_path / "t")
    assert "condition_occurrence" in said
    assert "UTF-8" in said


def test_a_row_that_does_not_fit_is_named_without_its_values(tmp_path):
    head, *lines = csv_text(TABLES["person"]).splitlines()
    folder = spoil(write_csv(tmp_path / "s", TABLES), "\n".join([head, lines[0] + ",x"]) + "\n", "person.csv")
    assert "`person`" in refusal(folder, tmp_path / "t")


def test_an_unclosed_quote_does_not_swallow_rows(tmp_path):
    head, *lines = csv_text(TABLES["condition_occurrence"]).splitlines()
    lines[0] = lines[0].replace(",E11", ',"E11')
    folder = spoil(write_csv(tmp_path / "s", TABLES), "\n".join([head, *lines]) + "\n")
    assert "condition_occurrence" in refusal(folder, tmp_path / "t")


def test_names_with_quotes_as_athena_writes_them_are_kept(tmp_path):
    # Athena's files are split by tabs and never quoted: a quote is a character of the name.
    names = ['Carcinoma "in situ" of skin', '"Bad" cholesterol']
    source = {**TABLES, "concept": {**TABLES["concept"], "concept_name": names}}
    folder = write_csv(tmp_path / "s", source, "\t")
    lines = ["\t".join(source["concept"])]
    lines += ["\t".join(map(str, row)) for row in zip(*source["concept"].values(), strict=True)]
    spoil(folder, "\n".join(lines) + "\n", "concept.csv")
    land(folder, tmp_path / "t")
    assert [row[0] for row in landed_rows(tmp_path / "t", "concept", "concept_name")] == names
