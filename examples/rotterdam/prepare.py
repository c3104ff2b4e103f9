"""Makes four hospitals' tables of the Rotterdam tumour bank, each with a quarter of the German study to test on.

python3 examples/rotterdam/prepare.py FOLDER OUT, where FOLDER has rotterdam.csv and gbsg.csv as R's package survival writes
them. Patients are in the order of their year of surgery, so that hospitals differ in age and in treatment.
"""

import csv
import pathlib
import shutil
import sys

COLUMNS = ["patient", "age", "nodes", "pgr", "er", "meno", "size", "grade", "hormon", "days", "status"]


def read(file):
    with open(file, newline="") as lines:
        return list(csv.DictReader(lines))


def rotterdam(row):
    size = {"<=20": 1, "20-50": 2, ">50": 3}[row["size"]]
    # Relapse or death, whichever came first.
    days = min(int(row["rtime"]), int(row["dtime"]))
    status = max(int(row["recur"]), int(row["death"]))
    return ["r" + row["pid"], *same(row), size, row["grade"], row["hormon"], days, status]


def german(row):
    size = 1 if float(row["size"]) <= 20 else 2 if float(row["size"]) <= 50 else 3
    return ["g" + row["pid"], *same(row), size, row["grade"], row["hormon"], row["rfstime"], row["status"]]


def same(row):
    return [row[name] for name in ["age", "nodes", "pgr", "er", "meno"]]


def main(folder, out):
    train = sorted(read(folder / "rotterdam.csv"), key=lambda row: (int(row["year"]), int(row["pid"])))
    test = read(folder / "gbsg.csv")
    for number, name in enumerate("abcd"):
        own = train[number * len(train) // 4 : (number + 1) * len(train) // 4]
        parts = [("train", rotterdam(row)) for row in own] + [("test", german(row)) for row in test[number::4]]
        site = out / name
        site.mkdir(parents=True, exist_ok=True)
        with open(site / "rows.csv", "w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *(row for _, row in parts)])
        with open(site / "split.csv", "w", newline="") as file:
            csv.writer(file).writerows([["patient", "part"], *([row[0], part] for part, row in parts)])
        shutil.copy(pathlib.Path(__file__).parent / "schema.toml", site)
        (site / "cohort.toml").write_text(
            f'name = "breast"\npatients = {len(own)}\n'
            '[source.table]\nfile = "rows.csv"\nschema = "schema.toml"\n'
            '[split.listed]\nfile = "split.csv"\npatient = "patient"\npart = "part"\n'
        )


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
