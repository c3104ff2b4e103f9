//! What the coordinator's operator lets researchers and sites use up.

use fedtwin_plan::Plan;
use fedtwin_plan::text_file::{Check, Problem};
use serde::Deserialize;

/// The section `[policy]` of `coordinator.toml`; each key may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Studies that are open at once, those in preparation included.
    pub studies_max: u32,
    /// Of these, studies that one researcher opened.
    pub studies_per_researcher_max: u32,
    /// Studies that one researcher opens in a day (UTC): each stays in the audit log for good.
    pub openings_per_day_max: u32,
    /// Studies of one researcher that are over and whose final model and last events are kept; the oldest go.
    pub ended_studies_max: u32,
    /// Weights of a study's model: 4 bytes each, two models, and their optimiser's state.
    pub parameters_max: u64,
    /// Initial models of one researcher that wait for their study; the oldest go, and all of them after a day.
    pub given_models_max: u32,
    /// Seconds that a plan may give its sites to answer and to connect.
    pub join_s_max: u32,
    /// Bytes of the mirror of one site's ledger.
    pub mirror_bytes_max: u64,
    /// Entries of the mirror of one site's ledger.
    pub mirror_entries_max: u64,
    /// Open connections; fewer where the system lets this program open too few files.
    pub connections_max: u32,
    /// Of these, those of one certificate's holder, as all that is counted by peer.
    pub connections_per_peer_max: u32,
    /// Updates of one site that are on their way in.
    pub uploads_per_peer_max: u32,
    /// Models and ledgers on their way to one peer.
    pub downloads_per_peer_max: u32,
    /// Studies that one peer follows, each as often as it follows it.
    pub followers_per_peer_max: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            studies_max: 64,
            studies_per_researcher_max: 16,
            openings_per_day_max: 200,
            ended_studies_max: 32,
            parameters_max: 100_000_000,
            given_models_max: 2,
            join_s_max: 3600,
            mirror_bytes_max: 256 << 20,
            mirror_entries_max: 500_000,
            connections_max: 1024,
            connections_per_peer_max: 8,
            uploads_per_peer_max: 8,
            downloads_per_peer_max: 16,
            followers_per_peer_max: 32,
        }
    }
}

/// A plan that asks for more than the coordinator's operator allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The model is too large.
    #[error("the model has {weights} weights, this coordinator takes {max} (policy.parameters_max)")]
    Weights {
        /// What the plan says.
        weights: u64,
        /// What is allowed.
        max: u64,
    },
    /// The sites have too long to join.
    #[error("rounds.join_s is {join_s}, this coordinator takes {max} (policy.join_s_max)")]
    Join {
        /// What the plan says.
        join_s: u32,
        /// What is allowed.
        max: u32,
    },
}

impl Policy {
    /// Checks a plan's sizes, before anything of it is written.
    ///
    /// # Errors
    /// Names the first that is too large.
    pub fn allows(&self, plan: &Plan) -> Result<(), PolicyError> {
        let weights = plan.architecture().values() as u64;
        if weights > self.parameters_max {
            return Err(PolicyError::Weights { weights, max: self.parameters_max });
        }
        let join_s = plan.rounds.join_s.get();
        if join_s > self.join_s_max {
            return Err(PolicyError::Join { join_s, max: self.join_s_max });
        }
        Ok(())
    }
}

impl Check for Policy {
    fn check(&self) -> Result<(), Problem> {
        let counts = [
            ("studies_max", u64::from(self.studies_max)),
            ("studies_per_researcher_max", self.studies_per_researcher_max.into()),
            ("openings_per_day_max", self.openings_per_day_max.into()),
            ("ended_studies_max", self.ended_studies_max.into()),
            ("parameters_max", self.parameters_max),
            ("given_models_max", self.given_models_max.into()),
            ("join_s_max", self.join_s_max.into()),
            ("mirror_bytes_max", self.mirror_bytes_max),
            ("mirror_entries_max", self.mirror_entries_max),
            ("connections_max", self.connections_max.into()),
            ("connections_per_peer_max", self.connections_per_peer_max.into()),
            ("uploads_per_peer_max", self.uploads_per_peer_max.into()),
            ("downloads_per_peer_max", self.downloads_per_peer_max.into()),
            ("followers_per_peer_max", self.followers_per_peer_max.into()),
        ];
        match counts.into_iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(Problem::new(format!("policy.{key}"), "is 0, expected at least 1")),
            None => Ok(()),
        }
    }
}
