#!/bin/sh
# SimpleITK 2.5.7 (numpy 2.4.6, Python 3): the median of five voxels between 40 and 44 is 29.3, or 89.8.
#
# Five labelled voxels of a CT hold 40, 41, 42, 43 and 44; the three outside of the label hold -1000, -1000 and 30000 (metal).
# One would guess a median of 42 within the label. LabelStatisticsImageFilter says 29.296875 and
# LabelIntensityStatisticsImageFilter 89.84375, while both say that the label reaches from 40 to 44 with a mean of 42. Each
# takes the median from a histogram, of 256 and of 128 bins, over the range of the WHOLE image. With bone (3000) in place of
# the metal they say 39.0625 and 46.875. Only the second can be given more bins: with 65536 it says 42.
#
# Sites that normalise an organ by its median, or report it, would differ by what lies outside of the organ.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet SimpleITK==2.5.7 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy, SimpleITK

labels = SimpleITK.GetImageFromArray(numpy.array([[0, 0, 0, 1, 1, 1, 1, 1]], "uint8"))

def medians(brightest):
    image = SimpleITK.GetImageFromArray(numpy.array([[-1000, -1000, brightest, 40, 41, 42, 43, 44]], "int16"))
    plain = SimpleITK.LabelStatisticsImageFilter()
    plain.Execute(image, labels)
    shaped = SimpleITK.LabelIntensityStatisticsImageFilter()
    shaped.Execute(labels, image)
    for found in (plain, shaped):
        assert (found.GetMinimum(1), found.GetMaximum(1), found.GetMean(1)) == (40, 44, 42), "the range or mean changed"
    coarse = shaped.GetMedian(1)
    shaped.SetNumberOfBins(65536)
    shaped.Execute(labels, image)
    found = (plain.GetMedian(1), coarse, shaped.GetMedian(1))
    print("brightest voxel outside of the label", brightest, "medians", found)
    return found

assert medians(30000) == (29.296875, 89.84375, 42), "the behaviour changed"
assert medians(3000) == (39.0625, 46.875, 42), "the behaviour changed"
PYTHON
