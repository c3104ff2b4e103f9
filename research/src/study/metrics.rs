//! What released metrics say: estimates from noised counts, with the intervals that the noise leaves.

use fedtwin_metrics::{Estimate, NoisedRisk, noised_dice};
use fedtwin_plan::histogram::Histogram;
use fedtwin_proto::domain::MetricsReleased;

/// Returns one line for people: the estimates, labelled as noised, and how large the noise is.
#[must_use]
pub fn line(released: &MetricsReleased) -> String {
    let sites = f64::from(u32::try_from(released.sites.len()).unwrap_or(u32::MAX));
    let site_noise = released.site_noise();
    let estimates: Vec<_> = estimates(released, site_noise * sites.sqrt())
        .into_iter()
        .map(|(name, estimate)| match estimate {
            Some(Estimate { value, low, high }) => format!("{name} {value:.3} ({low:.3} to {high:.3})"),
            None => format!("{name} hidden by the noise"),
        })
        .collect();
    format!(
        "round {}: noised metrics of {sites} sites, 95 % intervals of the noise alone: {}; each site's counts have a \
         noise of {site_noise:.1} patients",
        released.round,
        estimates.join(", ")
    )
}

/// Returns each score's estimate; absent where the noise hides it. `noise` is that of the sums, in patients.
#[must_use]
pub fn estimates(released: &MetricsReleased, noise: f64) -> Vec<(&'static str, Option<Estimate>)> {
    match released.histogram {
        Histogram::Risk => {
            let risk = NoisedRisk::new(released.patients(), noise);
            vec![
                ("accuracy", risk.accuracy()),
                ("auroc", risk.auroc()),
                ("brier", risk.brier()),
                ("ece", risk.ece()),
            ]
        }
        Histogram::Segmentation => vec![("mean dice", noised_dice(&released.patients(), noise))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn released(histogram: Histogram, patients: &[(usize, i64)], c_int: i64) -> MetricsReleased {
        let mut counts = vec![0; histogram.cells()];
        for &(cell, count) in patients {
            counts[cell] = count * c_int;
        }
        MetricsReleased {
            round: 7,
            sites: ["a", "b", "c", "d"].map(|name| name.parse().unwrap()).to_vec(),
            histogram,
            counts,
            m: 20.try_into().unwrap(),
            c_int: c_int.try_into().unwrap(),
        }
    }

    #[test]
    fn a_line_has_estimates_intervals_and_the_noise() {
        // 800 patients at 0.225 and 200 at 0.775, of whom 150 and 160 have the outcome.
        let cells = [(4, 650), (24, 150), (15, 40), (35, 160)];
        let said = line(&released(Histogram::Risk, &cells, 1 << 19));
        // (650 + 160) / 1000; the noise of each count is 2 patients at a site and 4 in the sum of four.
        assert!(said.starts_with("round 7: noised metrics of 4 sites"), "{said}");
        assert!(said.contains("accuracy 0.810 (0.7") && said.contains("auroc 0.7"), "{said}");
        assert!(said.ends_with("each site's counts have a noise of 2.0 patients"), "{said}");
        let said = line(&released(Histogram::Segmentation, &[(17, 500), (18, 500)], 1 << 19));
        assert!(said.contains("mean dice 0.900 (0.8"), "{said}");
    }

    #[test]
    fn what_the_noise_hides_has_no_number() {
        let said = line(&released(Histogram::Risk, &[(0, 5), (39, 5)], 1 << 17));
        assert!(said.contains("accuracy hidden by the noise, auroc hidden"), "{said}");
    }
}
