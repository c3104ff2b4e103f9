//! What a study's events say to the researcher who waits: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;

use fedtwin_plan::SiteName;
use fedtwin_proto::domain::Event;
use indicatif::{ProgressBar, ProgressStyle};

use crate::study::metrics;

/// Shows events on standard error.
#[derive(Debug)]
pub struct Progress {
    /// Absent where nobody looks.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Makes a display for a study, with its number of rounds where that is known.
    #[must_use]
    pub fn new(rounds: Option<u32>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: None };
        }
        let bar = match rounds {
            Some(rounds) => ProgressBar::new(rounds.into()).with_style(style(BAR)),
            None => ProgressBar::new_spinner().with_style(style(SPINNER)),
        };
        Self { bar: Some(bar) }
    }

    /// Shows one event.
    pub fn show(&self, event: &Event) {
        match &self.bar {
            None => {
                if let Some(line) = line(event) {
                    eprintln!("{line}");
                }
            }
            Some(bar) => show_on(bar, event),
        }
    }

    /// Says that the coordinator keeps some events no more.
    pub fn left_out(&self, events: u64) {
        let line =
            format!("{events} events are left out: the coordinator keeps a study's beginning and its latest");
        match &self.bar {
            None => eprintln!("{line}"),
            Some(bar) => bar.println(line),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The bar itself says what a normal round does; what a person should know of stays above it.
fn show_on(bar: &ProgressBar, event: &Event) {
    match event {
        Event::AttemptStarted { round, sites, .. } => {
            bar.set_message(format!("round {round} at {}", list(sites)));
        }
        Event::UpdateReceived { .. } => bar.tick(),
        Event::AttemptClosed { round, model: Some(_), missing, .. } if missing.is_empty() => {
            bar.set_position((*round).into());
        }
        Event::AttemptClosed { round, model, .. } => {
            if model.is_some() {
                bar.set_position((*round).into());
            }
            bar.println(line(event).unwrap_or_default());
        }
        Event::SiteAnswered { .. }
        | Event::SiteFailed { .. }
        | Event::AttemptFailed { .. }
        | Event::MetricsReleased(_) => {
            bar.println(line(event).unwrap_or_default());
        }
        Event::StudyClosed(_) => {}
    }
}

/// Returns what an event says, or nothing where the round's close or the command's own end says it too.
#[must_use]
pub fn line(event: &Event) -> Option<String> {
    match event {
        Event::SiteAnswered { site, refused: None } => Some(format!("{site} takes part")),
        Event::SiteAnswered { site, refused: Some(reason) } => Some(format!("{site} refused: {reason}")),
        Event::AttemptStarted { .. } | Event::UpdateReceived { .. } | Event::StudyClosed(_) => None,
        Event::SiteFailed { site, reason } => Some(format!("{site} failed: {reason}")),
        Event::AttemptFailed { reason } => Some(format!("nothing was opened: {reason}")),
        Event::MetricsReleased(released) => Some(metrics::line(released)),
        Event::AttemptClosed { round, attempt, included, missing, model } => {
            let with = if included.is_empty() { "nobody".to_owned() } else { list(included) };
            let without =
                if missing.is_empty() { String::new() } else { format!(", without {}", list(missing)) };
            Some(match model {
                Some(_) => format!("round {round}: {with}{without}"),
                None => format!("round {round}: attempt {attempt} dropped with {with}{without}"),
            })
        }
    }
}

fn list(sites: &[SiteName]) -> String {
    sites.iter().map(SiteName::as_str).collect::<Vec<_>>().join(", ")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants that parse")
}

const BAR: &str = "{wide_bar} {pos}/{len} rounds, {eta} left  {msg}";
const SPINNER: &str = "{spinner} {elapsed}  {msg}";

#[cfg(test)]
mod tests {
    use fedtwin_plan::Digest;

    use super::*;

    fn sites(names: &[&str]) -> Vec<SiteName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn lines_name_the_sites_in_each_round_and_why_others_are_not() {
        let va = || "va".parse().unwrap();
        let closed = |included: &[&str], missing: &[&str], model| Event::AttemptClosed {
            round: 2,
            attempt: 3,
            included: sites(included),
            missing: sites(missing),
            model,
        };
        let model = Some(Digest::of(b""));
        for (event, expected) in [
            (Event::SiteAnswered { site: va(), refused: None }, Some("va takes part")),
            (
                Event::SiteAnswered { site: va(), refused: Some("over budget".into()) },
                Some("va refused: over budget"),
            ),
            (Event::SiteFailed { site: va(), reason: "no GPU".into() }, Some("va failed: no GPU")),
            (closed(&["a", "va"], &[], model), Some("round 2: a, va")),
            (closed(&["a"], &["va"], model), Some("round 2: a, without va")),
            (closed(&[], &["va"], None), Some("round 2: attempt 3 dropped with nobody, without va")),
            (Event::UpdateReceived { site: va(), bytes: 1 }, None),
        ] {
            assert_eq!(line(&event).as_deref(), expected);
        }
    }
}
