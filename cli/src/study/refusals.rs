//! Who refused a study and why: what a researcher needs to know of one that had too few sites.

use std::collections::BTreeMap;
use std::fmt;

use fedtwin_plan::SiteName;
use fedtwin_proto::domain::Event;

/// The sites that refused, with the newest reason of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals(BTreeMap<SiteName, String>);

impl Refusals {
    /// Takes note of an event; a site that restarted may answer again.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::SiteAnswered { site, refused: Some(reason) } => {
                self.0.insert(site.clone(), reason.clone());
            }
            Event::SiteAnswered { site, refused: None } => {
                self.0.remove(site);
            }
            Event::RoundStarted { .. }
            | Event::UpdateReceived { .. }
            | Event::MetricsReleased(_)
            | Event::SiteFailed { .. }
            | Event::AttemptFailed { .. }
            | Event::RoundClosed { .. }
            | Event::StudyClosed(_) => {}
        }
    }
}

/// One line each, to stand below a reason; nothing where nobody refused.
impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(site, reason)| write!(f, "\n  {site} refused: {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_site_that_refused_last_has_one_line() {
        let answered = |site: &str, refused: Option<&str>| Event::SiteAnswered {
            site: site.parse().unwrap(),
            refused: refused.map(str::to_owned),
        };
        let mut refusals = Refusals::default();
        assert_eq!(refusals.to_string(), "");
        for event in [
            answered("va", Some("the ledger was rolled back")),
            answered("cleveland", Some("no cohort heart")),
            answered("va", Some("over budget")),
            answered("hungarian", Some("over budget")),
            answered("hungarian", None),
        ] {
            refusals.note(&event);
        }
        assert_eq!(refusals.to_string(), "\n  cleveland refused: no cohort heart\n  va refused: over budget");
    }
}
