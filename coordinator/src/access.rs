//! Who may do what with which object: the one table, and nothing else decides it.
//!
//! A certificate says the role, a plan and its opening say the relation: whoever opened a study, whom its plan
//! names as readers, and the sites of its audience. Ledgers are no object of this table: a site mirrors its own,
//! and auditors and operators see all.

use fedtwin_certs::Role;

/// What can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// A site opens its stream of notices.
    Subscribe,
    /// A site answers a plan.
    AnswerPlan,
    /// A site fetches a study's model.
    FetchStudyModel,
    /// A site sends an update.
    SendUpdate,
    /// A site sends noised counts.
    SendMetrics,
    /// A site sends a message under secure aggregation.
    SendSecure,
    /// A site declines an attempt.
    DeclineRound,
    /// A site mirrors its own ledger.
    MirrorLedger,
    /// A site tells what it remembers of others' checkpoints, which are public in the federation.
    Witness,
    /// A researcher gives an initial model.
    GiveModel,
    /// A researcher opens a study.
    OpenStudy,
    /// Somebody follows a study's events.
    WatchStudy,
    /// Somebody ends a study.
    CancelStudy,
    /// Somebody downloads a study's model.
    DownloadModel,
    /// Somebody lists the mirrored ledgers.
    ListLedgers,
    /// Somebody reads a ledger's mirror or the audit log.
    FetchLedger,
    /// Somebody reads a checkpoint.
    FetchCheckpoint,
}

/// What somebody is to a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// The researcher who opened it.
    Opener,
    /// A researcher whom its plan names.
    Reader,
    /// A site of its audience.
    Audience,
    /// Nobody in particular.
    Foreign,
}

impl Call {
    /// All calls.
    pub const ALL: [Self; 17] = [
        Self::Subscribe,
        Self::AnswerPlan,
        Self::FetchStudyModel,
        Self::SendUpdate,
        Self::SendMetrics,
        Self::SendSecure,
        Self::DeclineRound,
        Self::MirrorLedger,
        Self::Witness,
        Self::GiveModel,
        Self::OpenStudy,
        Self::WatchStudy,
        Self::CancelStudy,
        Self::DownloadModel,
        Self::ListLedgers,
        Self::FetchLedger,
        Self::FetchCheckpoint,
    ];

    /// Returns what is called under a path of HTTP.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.path() == path)
    }

    /// Returns its path: the service and the method, as gRPC writes them.
    const fn path(self) -> &'static str {
        match self {
            Self::Subscribe => "/fedtwin.v1.Sites/Subscribe",
            Self::AnswerPlan => "/fedtwin.v1.Sites/AnswerPlan",
            Self::FetchStudyModel => "/fedtwin.v1.Sites/FetchModel",
            Self::SendUpdate => "/fedtwin.v1.Sites/SendUpdate",
            Self::SendMetrics => "/fedtwin.v1.Sites/SendMetrics",
            Self::SendSecure => "/fedtwin.v1.Sites/SendSecure",
            Self::DeclineRound => "/fedtwin.v1.Sites/DeclineRound",
            Self::MirrorLedger => "/fedtwin.v1.Sites/MirrorLedger",
            Self::Witness => "/fedtwin.v1.Sites/Witness",
            Self::GiveModel => "/fedtwin.v1.Research/GiveModel",
            Self::OpenStudy => "/fedtwin.v1.Research/OpenStudy",
            Self::WatchStudy => "/fedtwin.v1.Research/WatchStudy",
            Self::CancelStudy => "/fedtwin.v1.Research/CancelStudy",
            Self::DownloadModel => "/fedtwin.v1.Research/FetchModel",
            Self::ListLedgers => "/fedtwin.v1.Audit/ListLedgers",
            Self::FetchLedger => "/fedtwin.v1.Audit/FetchLedger",
            Self::FetchCheckpoint => "/fedtwin.v1.Audit/FetchCheckpoint",
        }
    }

    /// Returns the roles that may call it at all; what a certificate says is enough to refuse the others.
    #[must_use]
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::Subscribe
            | Self::AnswerPlan
            | Self::FetchStudyModel
            | Self::SendUpdate
            | Self::SendMetrics
            | Self::SendSecure
            | Self::DeclineRound
            | Self::MirrorLedger
            | Self::Witness => &[Role::Site],
            Self::GiveModel | Self::OpenStudy | Self::DownloadModel => &[Role::Researcher],
            Self::WatchStudy | Self::CancelStudy => &[Role::Researcher, Role::Operator],
            Self::ListLedgers | Self::FetchLedger | Self::FetchCheckpoint => &[Role::Auditor, Role::Operator],
        }
    }

    /// Says whether a call is about one study, so that the caller's relation to it counts.
    #[must_use]
    pub const fn is_of_a_study(self) -> bool {
        match self {
            Self::AnswerPlan
            | Self::FetchStudyModel
            | Self::SendUpdate
            | Self::SendMetrics
            | Self::SendSecure
            | Self::DeclineRound
            | Self::WatchStudy
            | Self::CancelStudy
            | Self::DownloadModel => true,
            Self::Subscribe
            | Self::MirrorLedger
            | Self::Witness
            | Self::GiveModel
            | Self::OpenStudy
            | Self::ListLedgers
            | Self::FetchLedger
            | Self::FetchCheckpoint => false,
        }
    }
}

/// Says whether somebody of this role, who is this to the study, may call; where the call is of no study, the
/// relation does not matter.
#[must_use]
pub fn allows(role: Role, call: Call, relation: Relation) -> bool {
    if !call.roles().contains(&role) {
        return false;
    }
    match (call, role) {
        (_, _) if !call.is_of_a_study() => true,
        // Whoever runs the coordinator sees its studies and can end them; models are for those who asked for them.
        (Call::WatchStudy | Call::CancelStudy, Role::Operator) => true,
        (Call::CancelStudy, _) => relation == Relation::Opener,
        (Call::WatchStudy | Call::DownloadModel, _) => {
            matches!(relation, Relation::Opener | Relation::Reader)
        }
        (_, _) => relation == Relation::Audience,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_does_anything_with_a_foreign_study_but_operators_who_follow_and_end_it() {
        for call in Call::ALL.into_iter().filter(|call| call.is_of_a_study()) {
            for role in Role::ALL {
                let expected = role == Role::Operator && matches!(call, Call::WatchStudy | Call::CancelStudy);
                assert_eq!(allows(role, call, Relation::Foreign), expected, "{role} {call:?}");
            }
        }
    }

    #[test]
    fn a_relation_is_of_use_to_its_own_role_alone() {
        use Relation::{Audience, Opener, Reader};
        for call in Call::ALL {
            let by = |role, relation| allows(role, call, relation);
            assert!(!by(Role::Coordinator, Opener) && !by(Role::Coordinator, Audience), "{call:?}");
            let follows = matches!(call, Call::WatchStudy | Call::DownloadModel);
            if call.is_of_a_study() {
                assert_eq!(by(Role::Researcher, Opener), follows || call == Call::CancelStudy, "{call:?}");
                assert_eq!(by(Role::Researcher, Reader), follows, "{call:?}");
                assert!(!by(Role::Researcher, Audience) && !by(Role::Site, Opener), "{call:?}");
            }
        }
    }
}
