//! When a site's trainer could run without the kernel's protection.

/// Entries over which a site's trainer could run unprotected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unprotected {
    /// The first.
    pub since: u64,
    /// The entry that ended it; absent where it is so still.
    pub until: Option<u64>,
}

impl std::fmt::Display for Unprotected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "trainer unprotected since entry {}", self.since)?;
        self.until.map_or(Ok(()), |until| write!(f, " until entry {until}"))
    }
}
