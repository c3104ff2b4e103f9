"""Writes the Parquet files beside this script, and expected.csv with the same values as pyarrow understands them.

    python make_parquet.py

needs pyarrow 25, polars 1.42 and pandas 3 or later ones; the tests read what it wrote. Nothing in it is a patient's.
"""
import csv
import datetime
import decimal
import pathlib

import pandas
import polars
import pyarrow
from pyarrow import parquet

FOLDER = pathlib.Path(__file__).parent
ROWS = 40
ZONE = datetime.timezone.utc


def some(nth, value, every):
    return None if nth % every == every - 1 else value


def column(make, every=7):
    return [some(nth, make(nth), every) for nth in range(ROWS)]


DAYS = [datetime.date(2024, 2, 29), datetime.date(1969, 12, 31), datetime.date(1582, 10, 14)]
MOMENTS = [datetime.datetime(2024, 2, 29, 12, 34, 56, 789012), datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)]
TIMES = [datetime.time(0, 0), datetime.time(23, 59, 59, 999999)]
DECIMALS = ["0.00", "-0.01", "12345678901234567890123456789012345.67", "1.50"]
BIG = [2**64 - 1, 2**63, 5]

TABLE = pyarrow.table({
    # Beyond 2^53, where a double has not all whole numbers.
    "id": pyarrow.array([9007199254740993 + 7 * nth for nth in range(ROWS)], pyarrow.int64()),
    "died": pyarrow.array([nth % 3 == 0 for nth in range(ROWS)], pyarrow.bool_()),
    "bmi": pyarrow.array(column(lambda nth: 20 + nth / 7), pyarrow.float64()),
    "dose": pyarrow.array(column(lambda nth: 0.1 * nth, 5), pyarrow.float32()),
    "small": pyarrow.array(column(lambda nth: nth - 20), pyarrow.int8()),
    "count": pyarrow.array(column(lambda nth: 4294967295 - nth, 4), pyarrow.uint32()),
    "stage": pyarrow.array(column(lambda nth: nth % 4 + 1, 6), pyarrow.int16()),
    "ward": pyarrow.array(column(lambda nth: ["a", "b", "H\u00e4ma"][nth % 3]), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())),
    "note": pyarrow.array(column(lambda nth: ["x", "y"][nth % 2]), pyarrow.large_string()),
    "price": pyarrow.array(column(lambda nth: decimal.Decimal(DECIMALS[nth % 4])), pyarrow.decimal128(38, 2)),
    "day": pyarrow.array(column(lambda nth: DAYS[nth % 3]), pyarrow.date32()),
    "local": pyarrow.array(column(lambda nth: MOMENTS[nth % 2]), pyarrow.timestamp("us")),
    "moment": pyarrow.array(column(lambda nth: MOMENTS[nth % 2]), pyarrow.timestamp("us", "Europe/Berlin")),
    "clock": pyarrow.array(column(lambda nth: TIMES[nth % 2]), pyarrow.time64("us")),
    "big": pyarrow.array(column(lambda nth: BIG[nth % 3]), pyarrow.uint64()),
    "visits": pyarrow.array([[nth] * (nth % 3) for nth in range(ROWS)], pyarrow.list_(pyarrow.int32())),
})


def text(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.datetime):
        zone = "Z" if value.tzinfo else ""
        value = value.astimezone(ZONE) if zone else value
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f") + zone
    if isinstance(value, datetime.time):
        return value.strftime("%H:%M:%S.%f")
    # A single-precision number is the double that it is.
    return repr(value) if isinstance(value, float) else str(value)


def main():
    for codec in ["none", "snappy", "gzip", "zstd", "lz4"]:
        parquet.write_table(TABLE, FOLDER / f"pyarrow-{codec}.parquet", compression=codec)
    parquet.write_table(TABLE, FOLDER / "pyarrow-pages.parquet", compression="zstd", data_page_version="2.0",
                        row_group_size=13, data_page_size=1, use_dictionary=False, write_statistics=False)
    encodings = {"id": "DELTA_BINARY_PACKED", "bmi": "BYTE_STREAM_SPLIT", "note": "DELTA_BYTE_ARRAY"}
    parquet.write_table(TABLE.drop_columns(["visits"]), FOLDER / "pyarrow-encodings.parquet", use_dictionary=False,
                        column_encoding=encodings, version="2.6", write_statistics=False)
    old = TABLE.drop_columns(["visits", "big", "clock"])
    parquet.write_table(old, FOLDER / "pyarrow-int96.parquet", version="1.0", use_deprecated_int96_timestamps=True)
    own = polars.from_arrow(TABLE.drop_columns(["visits"]))
    own.write_parquet(FOLDER / "polars.parquet")
    own.to_pandas(use_pyarrow_extension_array=False).to_parquet(FOLDER / "pandas.parquet")
    with open(FOLDER / "expected.csv", "w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        flat = TABLE.drop_columns(["visits"])
        lines.writerow(flat.column_names)
        lines.writerows([text(value) for value in row.values()] for row in flat.to_pylist())
    print(pyarrow.__version__, polars.__version__, pandas.__version__)


main()
