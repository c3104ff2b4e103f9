"""Unpacks those members of wheels whose whole path matches a pattern: unpack.py TARGET PATTERN WHEEL..."""

import re
import sys
import zipfile

target, pattern, *wheels = sys.argv[1:]
for wheel in wheels:
    with zipfile.ZipFile(wheel) as archive:
        members = [m for m in archive.infolist() if re.fullmatch(pattern, m.filename) and not m.is_dir()]
        megabytes = sum(m.file_size for m in members) / 1e6
        print(f"  {wheel.rsplit('/', 1)[-1]}: {len(members)} files, {megabytes:.0f} MB", flush=True)
        archive.extractall(target, members)
