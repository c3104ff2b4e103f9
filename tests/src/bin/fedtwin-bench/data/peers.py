"""Reads a table with polars or pyarrow, all of its columns, with as many threads as they like, and says what it took."""
import json
import resource
import sys
import time

peer, path = sys.argv[1:]
is_csv = path.endswith(".csv")
if peer == "polars":
    import polars

    start = time.perf_counter()
    rows = len(polars.read_csv(path) if is_csv else polars.read_parquet(path))
elif is_csv:
    from pyarrow import csv

    start = time.perf_counter()
    rows = len(csv.read_csv(path))
else:
    from pyarrow import parquet

    start = time.perf_counter()
    rows = len(parquet.read_table(path))
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "peak_kb": peak, "rows": rows}))
