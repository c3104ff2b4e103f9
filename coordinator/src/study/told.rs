//! What an attempt's followers were told of each site: enough to see what is wrong, and no more, however often a
//! site says it. A study keeps a bounded number of events, and none may push out those of the others.

use std::collections::BTreeMap;

use fedtwin_plan::SiteName;
use fedtwin_proto::domain::Event;

/// What was told in one attempt.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<SiteName, OfSite>);

#[derive(Debug, Default)]
struct OfSite {
    failures: u32,
    received: bool,
}

impl Told {
    /// Returns the event of a site's failure, unless enough were told.
    pub(super) fn failure(&mut self, site: SiteName, reason: String) -> Option<Event> {
        let OfSite { failures, .. } = self.0.entry(site.clone()).or_default();
        if *failures >= FAILURES_TOLD_MAX {
            return None;
        }
        *failures += 1;
        Some(Event::SiteFailed { site, reason })
    }

    /// Returns the event of a site's update, the first time: it comes again when its acknowledgement was lost.
    pub(super) fn received(&mut self, site: SiteName, bytes: u64) -> Option<Event> {
        let OfSite { received, .. } = self.0.entry(site.clone()).or_default();
        let first = !std::mem::replace(received, true);
        first.then_some(Event::UpdateReceived { site, bytes })
    }
}

/// Something and its repetitions: a site that goes on has nothing new to tell in an attempt.
const FAILURES_TOLD_MAX: u32 = 4;
