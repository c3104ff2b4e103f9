//! What checks a cohort's records and shows them one by one.

pub(crate) mod rows;
pub(crate) mod scans;
