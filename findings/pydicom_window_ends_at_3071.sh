#!/bin/sh
# pydicom 3.0.2 (numpy 2.4.6, Python 3): a CT windowed at 40/400 reaches from -1024 to 3071, or from -32768 to 32767.
#
# apply_windowing with a centre of 40 HU and a width of 400 makes -160 HU and less the darkest, and 240 HU and more the
# brightest value. One would guess an output from 0 to 255, 0 to 1, or -160 to 240. It is the range that the file's bits and
# rescale allow for: 12 bits and an intercept of -1024 give -1024 to 3071, and the centre becomes 1028.6; 16 signed bits
# and an intercept of 0 give -32768 to 32767, and the centre becomes 81.6.
#
# Scanners store the same Hounsfield units either way, so that one patient windowed at two hospitals is two inputs to a
# network. Map the window to 0 and 1 by hand.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pydicom==3.0.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing

hounsfield = numpy.array([[-1000.0, -160.0, 40.0, 240.0, 1000.0]])

def windowed(bits, signed, intercept):
    header = Dataset()
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, bits, bits - 1
    header.PixelRepresentation = int(signed)
    header.RescaleSlope, header.RescaleIntercept = 1, intercept
    header.WindowCenter, header.WindowWidth = 40, 400
    found = apply_windowing(hounsfield, header).round(2).tolist()[0]
    print(bits, "bits", "signed" if signed else "unsigned", "intercept", intercept, ":", hounsfield.tolist()[0], "becomes", found)
    return found

assert windowed(12, False, -1024) == [-1024, -1024, 1028.63, 3071, 3071], "the behaviour changed"
assert windowed(16, True, 0) == [-32768, -32768, 81.62, 32767, 32767], "the behaviour changed"
PYTHON
