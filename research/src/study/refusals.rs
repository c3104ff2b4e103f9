//! Who refused a study, or failed in it, and why: what a researcher needs to know of one that had too few sites.

use std::collections::BTreeMap;
use std::fmt;

use fedtwin_plan::SiteName;
use fedtwin_proto::domain::Event;

/// The sites that refused or failed last, with what they did and the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals(BTreeMap<SiteName, (&'static str, String)>);

impl Refusals {
    /// Takes note of an event; a site that restarted may answer again, and one that failed may send its next update.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::SiteAnswered { site, refused: Some(reason) } => {
                self.0.insert(site.clone(), ("refused", reason.clone()));
            }
            Event::SiteFailed { site, reason } => {
                self.0.insert(site.clone(), ("failed", reason.clone()));
            }
            Event::SiteAnswered { site, refused: None } | Event::UpdateReceived { site, .. } => {
                self.0.remove(site);
            }
            Event::AttemptStarted { .. }
            | Event::MetricsReleased(_)
            | Event::AttemptFailed { .. }
            | Event::AttemptClosed { .. }
            | Event::StudyClosed(_) => {}
        }
    }
}

/// One line each, to stand below a reason; nothing where nobody refused or failed.
impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(site, (what, reason))| write!(f, "\n  {site} {what}: {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_site_that_refused_or_failed_last_has_one_line() {
        let answered = |site: &str, refused: Option<&str>| Event::SiteAnswered {
            site: site.parse().unwrap(),
            refused: refused.map(str::to_owned),
        };
        let failed = |site: &str| Event::SiteFailed {
            site: site.parse().unwrap(),
            reason: "could not compute its update".to_owned(),
        };
        let mut refusals = Refusals::default();
        assert_eq!(refusals.to_string(), "");
        for event in [
            answered("va", Some("the ledger was rolled back")),
            answered("cleveland", Some("no cohort heart")),
            answered("va", Some("over budget")),
            answered("hungarian", Some("over budget")),
            answered("hungarian", None),
            failed("hungarian"),
        ] {
            refusals.note(&event);
        }
        assert_eq!(
            refusals.to_string(),
            "\n  cleveland refused: no cohort heart\n  hungarian failed: could not compute its update\n  \
             va refused: over budget"
        );
    }
}
