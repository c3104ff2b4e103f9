//! What the coordinator says about one study, in order, with a look ahead.

use std::collections::VecDeque;

use fedtwin_proto::domain::RoundKey;
use fedtwin_secagg::site::ToSite;
use tokio::sync::mpsc;

use crate::study_task::StudyNotice;

/// A study's notices.
#[derive(Debug)]
pub struct Inbox {
    queue: mpsc::Receiver<StudyNotice>,
    /// What was looked at and is still to be done.
    kept: VecDeque<StudyNotice>,
}

/// An attempt is over because the study has moved on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator has gone on to another attempt, or closed the study")]
pub struct Superseded;

impl Inbox {
    /// Takes notices from a queue.
    #[must_use]
    pub fn new(queue: mpsc::Receiver<StudyNotice>) -> Self {
        Self { queue, kept: VecDeque::new() }
    }

    /// Waits for the next notice; nothing comes after the connection's end.
    pub async fn next(&mut self) -> Option<StudyNotice> {
        match self.kept.pop_front() {
            Some(notice) => Some(notice),
            None => self.queue.recv().await,
        }
    }

    /// Says whether a later attempt or the study's end is waiting already.
    pub fn has_moved_on(&mut self) -> bool {
        while let Ok(notice) = self.queue.try_recv() {
            self.keep(notice);
        }
        self.kept.iter().any(StudyNotice::ends_attempts)
    }

    /// Waits for the next message of an attempt under secure aggregation; everything else has to wait.
    ///
    /// # Errors
    /// Returns when there is another attempt or none: no message of this one will follow.
    pub async fn secure(&mut self, key: &RoundKey) -> Result<ToSite, Superseded> {
        loop {
            match self.queue.recv().await.ok_or(Superseded)? {
                StudyNotice::Secure(notice) if notice.key == *key => return Ok(notice.step),
                // The connection came back, and the coordinator repeats what is being done.
                StudyNotice::Invitation(invitation) if invitation.key == *key => {}
                StudyNotice::Secure(_) => {}
                notice => {
                    let ends = notice.ends_attempts();
                    self.keep(notice);
                    if ends {
                        return Err(Superseded);
                    }
                }
            }
        }
    }

    /// Keeps a notice, unless it repeats one; so there are never more than one of each kind but invitations.
    fn keep(&mut self, notice: StudyNotice) {
        let repeats =
            |kept: &StudyNotice| matches!((kept, &notice), (StudyNotice::Offer(..), StudyNotice::Offer(..)));
        if matches!(notice, StudyNotice::Invitation(_)) {
            // Only the newest attempt can still be open.
            self.kept.retain(|kept| !matches!(kept, StudyNotice::Invitation(_) | StudyNotice::Secure(_)));
        }
        if !self.kept.iter().any(repeats) && self.kept.len() < KEPT_MAX {
            self.kept.push_back(notice);
        }
    }
}

/// An offer, an invitation, a measurement, an end, and a few messages of an attempt.
const KEPT_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use std::time::Duration;

    use fedtwin_plan::Digest;
    use fedtwin_proto::domain::{Invitation, SecureNotice, StudyOutcome};

    use super::*;

    fn key(attempt: u32) -> RoundKey {
        RoundKey { study: "study".parse().unwrap(), round: 1, attempt }
    }

    fn invitation(attempt: u32) -> StudyNotice {
        let (model, clip) = (Digest::of(b"model"), 1.0.try_into().unwrap());
        let closes_in = Duration::from_secs(1);
        StudyNotice::Invitation(Invitation { key: key(attempt), model, closes_in, clip, members: [].into() })
    }

    fn message(attempt: u32) -> StudyNotice {
        StudyNotice::Secure(SecureNotice { key: key(attempt), step: ToSite::Roster(Arc::default()) })
    }

    fn closed() -> StudyNotice {
        StudyNotice::Closed(StudyOutcome::Failed { reason: "over".to_owned() })
    }

    async fn inbox(notices: Vec<StudyNotice>) -> Inbox {
        let (sender, queue) = mpsc::channel(16);
        for notice in notices {
            sender.send(notice).await.unwrap();
        }
        Inbox::new(queue)
    }

    #[tokio::test]
    async fn an_attempts_messages_come_through_repeated_invitations_and_old_messages() {
        let mut inbox = inbox(vec![message(1), invitation(2), message(2), message(2)]).await;
        assert_eq!(inbox.secure(&key(2)).await, Ok(ToSite::Roster(Arc::default())));
        assert_eq!(inbox.secure(&key(2)).await, Ok(ToSite::Roster(Arc::default())));
        assert_eq!(inbox.secure(&key(2)).await, Err(Superseded), "the connection ended");
    }

    #[tokio::test]
    async fn a_later_attempt_or_the_end_is_kept_for_later() {
        for later in [invitation(3), closed()] {
            let mut inbox = inbox(vec![later, message(2)]).await;
            assert_eq!(inbox.secure(&key(2)).await, Err(Superseded));
            assert!(inbox.has_moved_on());
            assert!(matches!(inbox.next().await, Some(StudyNotice::Invitation(_) | StudyNotice::Closed(_))));
            assert!(!inbox.has_moved_on());
        }
    }

    #[tokio::test]
    async fn only_the_newest_invitation_is_kept() {
        let mut inbox = inbox(vec![invitation(1), invitation(2), invitation(3)]).await;
        assert!(inbox.has_moved_on());
        let Some(StudyNotice::Invitation(invitation)) = inbox.next().await else { panic!("an invitation") };
        assert_eq!(invitation.key, key(3));
        assert!(inbox.next().await.is_none());
    }
}
