#!/bin/sh
# SimpleITK 2.5.7 (numpy 2.4.6, Python 3): an image cannot be added to the copy of itself that was written as NIfTI.
#
# An image at the origin (-123.4, 10.1, 7.7) mm is written as .nii.gz and read again. The voxels are the same and the
# position is off by 1.5e-6 mm, as NIfTI keeps it in 32 bits. One would guess that the two can be combined. Adding them
# raises "Inputs do not occupy the same physical space!": the tolerance is a millionth of the voxel's size, here 7e-7 mm, and
# at 123 mm a 32-bit number is exact to some 4e-6 mm only. At an origin of (-123.5, 10, 7.75) mm, which 32 bits hold, it works.
# The same image written as .nrrd can be added.
#
# An image and its mask that travelled by different formats fail so at some sites, by where the patient lay: compare
# positions with a tolerance of thousandths of a voxel (or ProcessObject.SetGlobalDefaultCoordinateTolerance), not the default.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet SimpleITK==2.5.7 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import os, tempfile
import numpy, SimpleITK

def added(origin, suffix):
    image = SimpleITK.GetImageFromArray(numpy.ones((2, 2, 2), "float32"))
    image.SetSpacing((0.7, 0.7, 3.3))
    image.SetOrigin(origin)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "image" + suffix)
        SimpleITK.WriteImage(image, path)
        copy = SimpleITK.ReadImage(path)
    moved = max(abs(a - b) for a, b in zip(image.GetOrigin(), copy.GetOrigin()))
    try:
        image + copy
        outcome = "added"
    except RuntimeError as error:
        outcome = "refused" if "same physical space" in str(error) else str(error)
    print(origin, suffix, "moved by", moved, "mm:", outcome)
    return outcome, moved

outcome, moved = added((-123.4, 10.1, 7.7), ".nii.gz")
assert outcome == "refused" and 1.5e-6 < moved < 1.6e-6, "the behaviour changed"
assert added((-123.5, 10.0, 7.75), ".nii.gz") == ("added", 0), "the behaviour changed"
assert added((-123.4, 10.1, 7.7), ".nrrd") == ("added", 0), "the behaviour changed"

SimpleITK.ProcessObject.SetGlobalDefaultCoordinateTolerance(1e-3)
assert added((-123.4, 10.1, 7.7), ".nii.gz")[0] == "added", "the tolerance changed"
PYTHON
