#!/bin/sh
# nibabel 5.4.2 (numpy 2.3.5, Python 3): labels of a floating-point array that is saved as uint8 are not the labels that are read.
#
# A segmentation that a model or a resampling left as float64, with the whole numbers 0, 1 and 2 alone, is saved by way of
# set_data_dtype(uint8). Every number fits the type, and still the file gets a slope: the largest range is stretched over the
# type's 256 steps. Label 1 reads 0.9961, so that a reader which truncates to integers, as numpy's astype does, has no label 1 any more;
# with -1 ("ignore") among the labels background reads -0.0039. The same array as int16 is off by 1.5e-5, enough for
# truncation to take labels 3 and 4 of five for 2 and 3. An integer array is stored as it is.
#
# Whoever reads masks has to round to the nearest label, and to accept labels that are off by a few hundredths.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nibabel==5.4.2 numpy==2.3.5
"$folder/venv/bin/python" - <<'PYTHON'
import nibabel, numpy

def read_back(labels, stored):
    image = nibabel.Nifti1Image(labels.reshape(-1, 1, 1), numpy.eye(4))
    image.set_data_dtype(stored)
    return nibabel.Nifti1Image.from_bytes(image.to_bytes()).get_fdata().ravel()

def expect(labels, stored, read, truncated, dtype="float64"):
    found = read_back(numpy.array(labels, dtype), stored)
    print(labels, dtype, "as", stored, "reads", found.round(6).tolist(), "truncated", found.astype(int).tolist())
    assert numpy.allclose(found, read, atol=1e-6) and found.astype(int).tolist() == truncated, "the behaviour changed"

expect([0.0, 1.0, 2.0], "uint8", [0, 0.996078, 2], [0, 0, 2])
expect([-1.0, 0.0, 1.0], "uint8", [-1, -0.003922, 1], [-1, 0, 1])
expect([0.0, 1.0, 2.0, 3.0, 4.0], "int16", [0, 1.000015, 2.000031, 2.999985, 4], [0, 1, 2, 2, 3])
expect([0, 1, 2], "uint8", [0, 1, 2], [0, 1, 2], dtype="int16")
PYTHON
