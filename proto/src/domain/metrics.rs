//! Noised counts: from a site, and summed over the sites.

use fedtwin_plan::SiteName;
use fedtwin_plan::histogram::Histogram;
use fedtwin_plan::numbers::Count;

use super::{AttemptKey, Malformed, names};
use crate::limits::METRICS_CELLS_MAX;
use crate::wire;

/// One site's noised counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// The attempt that made the model.
    pub key: AttemptKey,
    /// The counts in grid units, one for each cell.
    pub values: Vec<i64>,
}

impl TryFrom<wire::MetricsMessage> for Counts {
    type Error = Malformed;

    fn try_from(wire: wire::MetricsMessage) -> Result<Self, Malformed> {
        let (counts, rest) = wire.counts.as_chunks::<8>();
        if counts.len() > METRICS_CELLS_MAX || !rest.is_empty() {
            return Err(Malformed::new("counts", "is no histogram of 64-bit integers"));
        }
        let values = counts.iter().map(|&count| i64::from_le_bytes(count)).collect();
        Ok(Self { key: AttemptKey::new(&wire.study, wire.round, wire.attempt)?, values })
    }
}

/// The counts of all sites that released them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsReleased {
    /// Rounds behind the model.
    pub round: u32,
    /// The sites.
    pub sites: Vec<SiteName>,
    /// What the cells are.
    pub histogram: Histogram,
    /// The sums over the sites, in grid units.
    pub counts: Vec<i64>,
    /// The noise of one site in each count has a standard deviation of 2^m grid units.
    pub m: Count<10, 30>,
    /// The grid units of one patient.
    pub c_int: Count<1, 0x7fff_ffff>,
}

impl MetricsReleased {
    /// Returns the standard deviation of one site's noise in each count, in patients.
    #[must_use]
    pub fn site_noise(&self) -> f64 {
        f64::from(self.m.get()).exp2() / f64::from(self.c_int.get())
    }

    /// Returns the sums in patients.
    #[must_use]
    pub fn patients(&self) -> Vec<f64> {
        #[expect(clippy::cast_precision_loss, reason = "noise is larger than the last digits")]
        self.counts.iter().map(|&count| count as f64 / f64::from(self.c_int.get())).collect()
    }
}

impl TryFrom<wire::MetricsReleased> for MetricsReleased {
    type Error = Malformed;

    fn try_from(wire: wire::MetricsReleased) -> Result<Self, Malformed> {
        let histogram = match wire.histogram.as_str() {
            RISK => Histogram::Risk,
            SEGMENTATION => Histogram::Segmentation,
            _ => return Err(Malformed::new("histogram", "is not one that plans have")),
        };
        if wire.counts.len() != histogram.cells() {
            return Err(Malformed::new("counts", "is not as long as the histogram"));
        }
        Ok(Self {
            round: wire.round,
            sites: names("sites", &wire.sites)?,
            histogram,
            counts: wire.counts,
            m: Count::try_from(i64::from(wire.m)).map_err(|e| Malformed::new("m", e))?,
            c_int: Count::try_from(i64::from(wire.c_int)).map_err(|e| Malformed::new("c_int", e))?,
        })
    }
}

impl From<MetricsReleased> for wire::MetricsReleased {
    fn from(released: MetricsReleased) -> Self {
        let histogram = match released.histogram {
            Histogram::Risk => RISK,
            Histogram::Segmentation => SEGMENTATION,
        };
        Self {
            round: released.round,
            sites: released.sites.into_iter().map(String::from).collect(),
            histogram: histogram.to_owned(),
            counts: released.counts,
            m: released.m.get(),
            c_int: released.c_int.get(),
        }
    }
}

const RISK: &str = "risk";
const SEGMENTATION: &str = "segmentation";
