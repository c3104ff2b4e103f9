//! A study's events, waited for one by one.

use anyhow::bail;
use fedtwin_plan::{Digest, SiteName};
use fedtwin_proto::domain::{Event, StudyEvent, StudyOutcome};
use fedtwin_research::client::Events;

/// A study's events as a researcher sees them.
#[derive(Debug)]
pub struct Watch {
    pub(crate) events: Events,
    /// All events so far.
    pub seen: Vec<StudyEvent>,
}

impl Watch {
    /// Waits for the first event, of those to come, that `choose` wants.
    ///
    /// # Errors
    /// Fails where the study, or its stream, ends before.
    pub async fn wait_for<T>(&mut self, choose: impl Fn(&Event) -> Option<T>) -> anyhow::Result<T> {
        while let Some(event) = self.events.next().await? {
            let chosen = choose(&event.event);
            self.seen.push(event);
            if let Some(chosen) = chosen {
                return Ok(chosen);
            }
        }
        bail!("the study's events ended: {:#?}", self.seen)
    }

    /// Waits for so many updates.
    ///
    /// # Errors
    /// Fails where the study ends before.
    pub async fn updates(&mut self, count: usize) -> anyhow::Result<()> {
        for _update in 0..count {
            self.wait_for(|event| matches!(event, Event::UpdateReceived { .. }).then_some(())).await?;
        }
        Ok(())
    }

    /// Waits until a site refuses a study or an attempt, and returns its reason.
    ///
    /// # Errors
    /// Fails where the study ends before.
    pub async fn refusal(&mut self, site: &str) -> anyhow::Result<String> {
        self.wait_for(|event| match event {
            Event::SiteAnswered { site: by, refused: Some(reason) }
            | Event::SiteFailed { site: by, reason }
                if by.as_str() == site =>
            {
                Some(reason.clone())
            }
            Event::SiteAnswered { .. }
            | Event::SiteFailed { .. }
            | Event::AttemptFailed { .. }
            | Event::AttemptStarted { .. }
            | Event::UpdateReceived { .. }
            | Event::AttemptClosed { .. }
            | Event::MetricsReleased(_)
            | Event::StudyClosed(_) => None,
        })
        .await
    }

    /// Waits for the close of a round, and returns the sites that are in it and those that are not.
    ///
    /// # Errors
    /// Fails where the study ends before.
    pub async fn round_closed(&mut self, wanted: u32) -> anyhow::Result<(Vec<SiteName>, Vec<SiteName>)> {
        self.wait_for(|event| match event {
            Event::AttemptClosed { round, included, missing, .. } if *round == wanted => {
                Some((included.clone(), missing.clone()))
            }
            Event::AttemptClosed { .. }
            | Event::SiteAnswered { .. }
            | Event::AttemptStarted { .. }
            | Event::UpdateReceived { .. }
            | Event::MetricsReleased(_)
            | Event::SiteFailed { .. }
            | Event::AttemptFailed { .. }
            | Event::StudyClosed(_) => None,
        })
        .await
    }

    /// Waits for the study's end.
    ///
    /// # Errors
    /// Fails where the stream ends before.
    pub async fn outcome(&mut self) -> anyhow::Result<StudyOutcome> {
        self.wait_for(|event| match event {
            Event::StudyClosed(closed) => Some(closed.outcome.clone()),
            Event::SiteAnswered { .. }
            | Event::AttemptStarted { .. }
            | Event::UpdateReceived { .. }
            | Event::MetricsReleased(_)
            | Event::SiteFailed { .. }
            | Event::AttemptFailed { .. }
            | Event::AttemptClosed { .. } => None,
        })
        .await
    }

    /// Waits for the study's good end, and returns its model.
    ///
    /// # Errors
    /// Fails where the study does.
    pub async fn finished(&mut self) -> anyhow::Result<Digest> {
        match self.outcome().await? {
            StudyOutcome::Finished { model } => Ok(model),
            StudyOutcome::Failed { reason } => bail!("the study failed: {reason}; {:#?}", self.seen),
        }
    }
}
