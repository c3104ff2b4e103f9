#!/bin/sh
# DuckDB 2.0.1, Polars 2.1.0, pandas 2.3.3 (Python 3): "01/02/20" is a day of 2001, of the year 20, or of 2020.
#
# All three read a table with the dates 01/02/20 and 03/04/20, pandas with a warning. DuckDB takes year, month, day:
# 20 February 2001. Polars takes day, month, year: 1 February of the year 20. pandas takes month, day, year: 2 January 2020.
# With years of four digits DuckDB decides by the whole file: 01/02/2020 is 1 February, unless another row (03/24/2020)
# cannot be read day first; then the same row is 2 January. Polars leaves such a file as text, pandas reads it month first.
#
# One would guess one reading for one text. In a federation ages and survival times would depend on a site's software, and on
# which other patients it has: the form of a date has to be stated, never guessed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1 polars==2.1.0 pandas==2.3.3 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import datetime, os, tempfile
import duckdb, pandas, polars

def read(*texts):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "visits.csv")
        with open(path, "w") as file:
            file.write("\n".join(["visit", *texts]) + "\n")
        found = {
            "duckdb": duckdb.sql(f"select * from read_csv('{path}')").fetchall()[0][0],
            "polars": polars.read_csv(path, try_parse_dates=True)["visit"][0],
            "pandas": pandas.read_csv(path, parse_dates=["visit"])["visit"][0].date(),
        }
    print(texts, "first row", {name: str(value) for name, value in found.items()})
    return tuple(found.values())

day = datetime.date
assert read("01/02/20", "03/04/20") == (day(2001, 2, 20), day(20, 2, 1), day(2020, 1, 2)), "the behaviour changed"
assert read("01/02/2020", "03/04/2020") == (day(2020, 2, 1), day(2020, 2, 1), day(2020, 1, 2)), "the behaviour changed"
assert read("01/02/2020", "03/24/2020") == (day(2020, 1, 2), "01/02/2020", day(2020, 1, 2)), "the behaviour changed"
PYTHON
