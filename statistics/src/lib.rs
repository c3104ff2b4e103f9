//! Classical statistics as functions of sums over patients.
//!
//! Whatever is estimated here needs of a site a vector of numbers that is added to those of other sites: counts, powers,
//! scores and informations. Such a vector can travel as integers ([`Scale`]), be masked and be noised; what the noise
//! adds to an interval is then an argument. Pure functions: no IO, no randomness, no clock. Small counts are
//! [`Suppressed`] before a person sees them.
//!
//! Left out on purpose: what a sum may cost, and whether it may leave a site.

mod event_counts;
mod exact;
mod interval;
mod kaplan_meier;
mod linear;
mod log_rank;
mod moments;
mod normal;
mod quantile;
pub mod regression;
mod small_cells;
mod two_by_two;

pub use event_counts::{EventCounts, NotAGrid, TimeGrid};
pub use exact::{NotAScale, Scale, SumOverflow, sum};
pub use interval::{Estimate, Level};
pub use kaplan_meier::{CurvePoint, kaplan_meier};
pub use log_rank::{LogRank, LogRankSums};
pub use moments::{Moments, MomentsNoise};
pub use normal::{chi_square_tail, normal_tail};
pub use quantile::{Quantile, quantile};
pub use small_cells::{Cell, SmallCells, Suppressed, SuppressedTable};
pub use two_by_two::TwoByTwo;
