//! Every way to refuse, to decline and to fail, with an identifier planted wherever an error holds a text.

use std::io;
use std::sync::Arc;

use fedtwin_audit_log::LogError;
use fedtwin_cohort::{NoConversion, NotAUnit};
use fedtwin_plan::numbers::Count;
use fedtwin_privacy::noise::NoiseError;
use fedtwin_privacy::release::ReleaseError;
use fedtwin_proto::limits::REASON_BYTES_MAX;
use fedtwin_trainer::TrainerError;
use tonic::Status;

use super::*;
use crate::checked::NotOpen;
use crate::client::CallError;
use crate::closings::ClosingError;
use crate::local_training::TrainingError;
use crate::policy::PolicyError;
use crate::proposals::{EnterError, ProposalError};
use crate::session::KeptError;

/// A patient, as names of files, folders and columns and cells may have them.
const PLANTED: &str = "Zebulon-Quux-48151";

/// Makes one sample of each case; a case without a sample does not compile.
macro_rules! samples {
    ($name:ident: $type:ty { $($case:pat => $sample:expr,)+ }) => {
        fn $name() -> Vec<$type> {
            let samples: Vec<$type> = vec![$($sample),+];
            let mut at = samples.iter();
            $(assert!(matches!(at.next(), Some($case)), "{}", stringify!($case));)+
            for sample in &samples {
                match sample {
                    $($case => {})+
                }
            }
            samples
        }
    };
}

samples!(mismatches: Mismatch {
    Mismatch::Kind { .. } => Mismatch::Kind { plan: RecordKind::Table, cohort: RecordKind::Images },
    Mismatch::Outcome { .. } => Mismatch::Outcome { plan: planted(), cohort: planted() },
    Mismatch::OutcomeKind { .. } => {
        Mismatch::OutcomeKind { plan: OutcomeKind::Count, cohort: OutcomeKind::YesNo }
    },
    Mismatch::Feature { .. } => Mismatch::Feature { plan: planted(), cohort: vec![planted(), planted()] },
    Mismatch::Values { .. } => {
        Mismatch::Values { feature: planted(), plan: Values::Numbers, cohort: Values::Categories }
    },
    Mismatch::Unit { .. } => {
        Mismatch::Unit { feature: planted(), plan: planted(), cohort: planted(), why: no_conversion() }
    },
    Mismatch::Range { .. } => {
        Mismatch::Range { feature: planted(), unit: planted(), plan: [0.0, 1.0], cohort: [4815.0, 1623.0] }
    },
    Mismatch::Category { .. } => {
        Mismatch::Category { feature: planted(), plan: vec![planted()], cohort: planted() }
    },
    Mismatch::SliceSize { .. } => Mismatch::SliceSize { plan: [1, 1], cohort: [4815, 1623] },
});

samples!(ledgers: LedgerError {
    LedgerError::Log(_) => LedgerError::Log(LogError::Locked(planted().into())),
    LedgerError::Inconsistent { .. } => {
        LedgerError::Inconsistent { sequence: 1, violation: Violation::NotOpened }
    },
    LedgerError::AnotherKey(_) => LedgerError::AnotherKey(LogError::Locked(planted().into())),
    LedgerError::SameKey => LedgerError::SameKey,
    LedgerError::Empty => LedgerError::Empty,
    LedgerError::Foreign(_) => LedgerError::Foreign(fedtwin_privacy::ledger::Owner {
        federation: "fed".parse().unwrap(),
        site: "va".parse().unwrap(),
    }),
    LedgerError::Refused(_) => LedgerError::Refused(Violation::StudyExists("s".parse().unwrap())),
});

samples!(refusals: OfferError {
    OfferError::Denied(_) => {
        OfferError::Denied(PolicyError { line: PlanLine::Attempts, rule: planted(), asked: planted() })
    },
    OfferError::NotPinned(_) => OfferError::NotPinned("vb".parse().unwrap()),
    OfferError::PeerRevoked { .. } => OfferError::PeerRevoked {
        site: "vb".parse().unwrap(),
        source: fedtwin_certs::certificate::CertificateError::NoList(planted()),
    },
    OfferError::NoCohort(_) => OfferError::NoCohort("heart".parse().unwrap()),
    OfferError::NotOpen(_) => {
        let source = io::Error::other(PLANTED);
        OfferError::NotOpen(NotOpen::Storage { path: planted().into(), source })
    },
    OfferError::TooManyPatients { .. } => OfferError::TooManyPatients { declared: 80, room: 70 },
    OfferError::Misfit { .. } => {
        OfferError::Misfit { mismatch: mismatches().swap_remove(1), need: Box::new(need()) }
    },
    OfferError::NoEpsilon => OfferError::NoEpsilon,
    OfferError::Calibration(_) => {
        OfferError::Calibration(Count::<1, 2>::try_from(48_151_i64).expect_err("it is out of range"))
    },
    OfferError::Claim { .. } => OfferError::Claim { claimed: 1.0, found: 2.0, delta: 1e-5 },
    OfferError::Ledger(_) => OfferError::Ledger(ledgers().swap_remove(0)),
    OfferError::NotWhole(_) => OfferError::NotWhole(NotWhole::Unchecked),
    OfferError::Budgets(_) => {
        let source = io::Error::other(PLANTED);
        OfferError::Budgets(EnterError::Proposals(ProposalError::Storage { path: planted().into(), source }))
    },
    OfferError::Closings(_) => {
        let source = io::Error::other(PLANTED);
        OfferError::Closings(ClosingError::Storage { path: planted().into(), source })
    },
    OfferError::Before(_) => OfferError::Before(PublicReason::from(&OfferError::NoEpsilon)),
    OfferError::Storage(_) => OfferError::Storage(io::Error::other(PLANTED)),
});

samples!(sessions: SessionError {
    SessionError::NotTakingPart(_) => SessionError::NotTakingPart("s".parse().unwrap()),
    SessionError::NotMeasured(_) => SessionError::NotMeasured(1),
    SessionError::Ledger(_) => SessionError::Ledger(ledgers().swap_remove(0)),
    SessionError::NotWhole(_) => SessionError::NotWhole(NotWhole::Unchecked),
    SessionError::Release(_) => SessionError::Release(ReleaseError::OtherBytes),
    SessionError::Closings(_) => {
        let source = io::Error::other(PLANTED);
        SessionError::Closings(ClosingError::Storage { path: planted().into(), source })
    },
    SessionError::Kept(_) => SessionError::Kept(KeptError::Missing(planted().into())),
    SessionError::Storage(_) => SessionError::Storage(io::Error::other(PLANTED)),
});

samples!(trainings: TrainingError {
    TrainingError::Trainer(_) => TrainingError::Trainer(TrainerError::Failed(planted())),
    TrainingError::Noise(_) => TrainingError::Noise(NoiseError::Sampler(planted())),
    TrainingError::Randomness(_) => TrainingError::Randomness(fedtwin_privacy::random::NoRandomness),
    TrainingError::Release(_) => TrainingError::Release(ReleaseError::NotMasked),
});

samples!(calls: CallError {
    CallError::Refused(_) => CallError::Refused(Status::not_found(PLANTED)),
    CallError::Unreachable(_) => CallError::Unreachable(Arc::new(Status::unavailable(PLANTED))),
    CallError::Misbehaved(_) => CallError::Misbehaved(planted()),
});

samples!(witnesses: WitnessError {
    WitnessError::Call(_) => WitnessError::Call(calls().swap_remove(2)),
    WitnessError::NotWhole(_) => WitnessError::NotWhole(NotWhole::Unchecked),
    WitnessError::Storage(_) => WitnessError::Storage(io::Error::other(PLANTED)),
    WitnessError::Kept(_) => WitnessError::Kept(KeptError::Missing(planted().into())),
});

samples!(secures: SecureError {
    SecureError::Refused(_) => SecureError::Refused(NotHidden::TooFew { found: 2, least: 4815 }),
    SecureError::Randomness(_) => SecureError::Randomness(fedtwin_privacy::random::NoRandomness),
});

samples!(not_begun: NotBegun {
    NotBegun::NotTakingPart => NotBegun::NotTakingPart,
    NotBegun::OtherClip(_) => NotBegun::OtherClip(4815.0),
    NotBegun::TooLate => NotBegun::TooLate,
    NotBegun::Model(_) => NotBegun::Model(calls().swap_remove(0)),
    NotBegun::Call(_) => NotBegun::Call(witnesses().swap_remove(2)),
    NotBegun::Session(_) => NotBegun::Session(sessions().swap_remove(5)),
    NotBegun::Secure(_) => NotBegun::Secure(secures().swap_remove(0)),
    NotBegun::NoPeers => NotBegun::NoPeers,
    NotBegun::KeysLost => NotBegun::KeysLost,
});

samples!(failed: AttemptError {
    AttemptError::Training(_) => AttemptError::Training(trainings().swap_remove(0)),
    AttemptError::TooLate => AttemptError::TooLate,
    AttemptError::Ended => AttemptError::Ended,
    AttemptError::Session(_) => AttemptError::Session(sessions().swap_remove(5)),
});

fn no_conversion() -> Box<NoConversion> {
    let unknown = NotAUnit::Unknown { unit: planted(), nearest: Some(planted()) };
    Box::new(NoConversion::NotAUnit(unknown))
}

fn planted() -> String {
    PLANTED.to_owned()
}

/// A plan's table, of which no word is planted.
fn need() -> DataNeed {
    toml::from_str(
        "table = { outcome = \"ill\", features.age.number = { unit = \"years\", low = 0, high = 9 } }",
    )
    .unwrap()
}

/// Every error that ends a study or an attempt: its chain of causes for the site's log, and what leaves.
fn said() -> Vec<(String, String)> {
    let pair = |error: &dyn std::error::Error, reason: PublicReason| {
        (fedtwin_daemon::program::describe(error), reason.to_string())
    };
    let misfits = mismatches().into_iter().map(|mismatch| {
        let misfit = OfferError::Misfit { mismatch, need: Box::new(need()) };
        pair(&misfit, PublicReason::from(&misfit))
    });
    let refusals = ledgers().into_iter().map(OfferError::Ledger).chain(refusals());
    let refusals = refusals.map(|refusal| pair(&refusal, PublicReason::from(&refusal)));
    let sessions = ledgers().into_iter().map(SessionError::Ledger).chain(sessions());
    let not_begun = sessions
        .map(NotBegun::Session)
        .chain(calls().into_iter().map(NotBegun::Model))
        .chain(witnesses().into_iter().map(NotBegun::Call))
        .chain(secures().into_iter().map(NotBegun::Secure))
        .chain(not_begun());
    let not_begun = not_begun.map(|error| pair(&error, PublicReason::from(&error)));
    let failed = trainings().into_iter().map(AttemptError::Training).chain(failed());
    let failed = failed.map(|error| pair(&error, PublicReason::from(&error)));
    misfits.chain(refusals).chain(not_begun).chain(failed).collect()
}

#[test]
fn no_reason_holds_a_planted_identifier_or_a_limit_of_the_site() {
    let mut planted = 0;
    for (log, reason) in said() {
        // The log has it: if the reason had it too, this search would find it.
        planted += usize::from(log.contains(PLANTED));
        for secret in [PLANTED, "Zebulon", "4815", "1623"] {
            assert!(!reason.contains(secret), "{secret} leaves in {reason:?}, of {log:?}");
        }
        assert!(!reason.is_empty() && reason.len() <= REASON_BYTES_MAX && !reason.contains('\n'), "{reason}");
    }
    assert!(planted > 15, "{planted} of the errors had an identifier to hide");
}

#[test]
fn a_word_leaves_only_if_the_plan_says_it() {
    let misfit = |feature: &str| {
        let (plan, why) = ("years".into(), no_conversion());
        let mismatch = Mismatch::Unit { feature: feature.into(), plan, cohort: planted(), why };
        PublicReason::from(&OfferError::Misfit { mismatch, need: Box::new(need()) }).to_string()
    };
    assert!(misfit("age").contains(r#"column "age": the cohort has another unit"#), "{}", misfit("age"));
    assert!(misfit(PLANTED).contains("column of another name"), "{}", misfit(PLANTED));
}

#[test]
fn failures_that_depend_on_data_have_one_text() {
    let sessions =
        ledgers().into_iter().map(SessionError::Ledger).chain(sessions()).map(AttemptError::Session);
    let texts = trainings().into_iter().map(AttemptError::Training).chain(sessions).chain(failed());
    let texts: Vec<_> = texts.map(|error| PublicReason::from(&error).to_string()).collect();
    assert!(
        texts.iter().all(|text| text == "the site could not compute its update; its log says why"),
        "{texts:?}"
    );
}

#[test]
fn a_full_disk_is_called_one() {
    let source = io::Error::from(io::ErrorKind::StorageFull);
    let full = LogError::Storage { action: "writing", path: planted().into(), source };
    let said = PublicReason::from(&SessionError::Ledger(LedgerError::Log(full))).to_string();
    assert!(said.starts_with("the site's disk is full") && !said.contains(PLANTED), "{said}");
}
