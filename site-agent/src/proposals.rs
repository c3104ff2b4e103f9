//! Budgets that people propose and confirm, on their way into the ledger.
//!
//! ```text
//! proposals/<code>.json        what somebody proposed; the code is the beginning of its SHA-256
//! proposals/<code>.confirmed   what somebody confirmed; whoever holds the ledger enters it
//! proposals/<code>.refused     what the ledger did not take
//! ```
//! Both are signed with the site's identity key, each in a domain of its own, and a confirmation names the proposal
//! whole: whoever can write into the folder, but not read the key, opens no budget. Files that others may write are
//! refused all the same.
//!
//! The agent holds the ledger while it runs, so a command never has to stop it: the agent enters what is
//! confirmed when it starts and before it considers a study. This is the only caller of
//! [`Ledger::set_budget`], and the folder is on the site's own disk: no message leads here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fedtwin_certs::{Credentials, Signature};
use fedtwin_plan::{CohortName, Digest, Timestamp};
use fedtwin_privacy::ledger::{
    Approval, BudgetKind, BudgetRequest, Delta, Ledger, LedgerError, LedgerState, Purpose, Remark, Violation,
};
use serde::{Deserialize, Serialize};

use crate::{state_folder, whole_file};

/// A budget to open, or a larger one in place of the open one, as a person proposes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The cohort, by the name that plans and the site's configuration give it.
    pub cohort: CohortName,
    /// What the budget is for.
    pub purpose: Purpose,
    /// The cohort's declared size.
    pub patients: u32,
    /// What the budget adds up.
    pub kind: BudgetKind,
    /// The largest epsilon of everything for this purpose together.
    pub epsilon: f64,
    /// The delta at which it is stated.
    pub delta: Delta,
    /// Who proposes it.
    pub who: Remark,
    /// Why, in the words of whoever decided.
    pub why: Remark,
    /// When.
    pub time: Timestamp,
}

/// A proposal and who confirmed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmed {
    proposal: Proposal,
    confirmed_by: Remark,
}

/// A text and this site's signature over its bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    /// JSON, as it was signed.
    text: String,
    signature: Vec<u8>,
}

/// A proposal that cannot be confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ProposalError {
    /// There is none with this code.
    #[error("there is no proposal {0}: the code is what `budget propose` printed")]
    Unknown(String),
    /// The file is not what was proposed.
    #[error("the proposal {0} was changed since its code was printed: propose it again")]
    Changed(String),
    /// The file is not this site's own, or is from before a change of key.
    #[error(
        "{path} is not signed by this site's present key; if the key was changed since, propose it again, and if not, \
         somebody else put it there"
    )]
    NotSigned {
        /// The file.
        path: PathBuf,
    },
    /// The file is anybody's to change.
    #[error("others than its owner may write {0}: if nobody did, chmod go-w {0}")]
    Writable(PathBuf),
    /// The file system.
    #[error("{path} cannot be used")]
    Storage {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The folder of proposals.
#[derive(Debug, Clone)]
pub struct Proposals {
    folder: PathBuf,
    credentials: Arc<Credentials>,
}

impl Proposals {
    /// Names the folder in a site's state; it need not exist. What is in it is signed by `credentials`.
    #[must_use]
    pub fn of(state: &Path, credentials: &Arc<Credentials>) -> Self {
        Self { folder: state.join("proposals"), credentials: Arc::clone(credentials) }
    }

    /// Keeps a proposal and returns its code.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn propose(&self, proposal: &Proposal) -> Result<String, ProposalError> {
        let text = serde_json::to_string(proposal).expect("a proposal is plain data");
        let code = code(text.as_bytes());
        self.write(&format!("{code}.json"), PROPOSED, text)?;
        Ok(code)
    }

    /// Marks a proposal as confirmed, to be entered by whoever holds the ledger.
    ///
    /// # Errors
    /// Refuses a code that no proposal has, and a proposal that was changed or is not this site's.
    pub fn confirm(&self, code: &str, by: Option<Remark>) -> Result<Proposal, ProposalError> {
        let unknown = || ProposalError::Unknown(code.to_owned());
        if code.is_empty() || !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(unknown());
        }
        let path = self.folder.join(format!("{code}.json"));
        let text = match self.read(&path, PROPOSED) {
            Err(ProposalError::Storage { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(unknown());
            }
            other => other?,
        };
        let proposal: Option<Proposal> = serde_json::from_str(&text).ok();
        let proposal = proposal.filter(|_| self::code(text.as_bytes()) == code);
        let proposal = proposal.ok_or_else(|| ProposalError::Changed(code.to_owned()))?;
        let confirmed_by = by.unwrap_or_else(|| proposal.who.clone());
        let confirmed = Confirmed { proposal, confirmed_by };
        let text = serde_json::to_string(&confirmed).expect("a proposal is plain data");
        self.write(&format!("{code}.confirmed"), CONFIRMED, text)?;
        fs::remove_file(&path).map_err(storage(&path))?;
        Ok(confirmed.proposal)
    }

    /// Enters what is confirmed into the ledger; what it refuses is set aside, and returned with the reason.
    ///
    /// # Errors
    /// Fails where the ledger or the folder cannot be written.
    pub fn enter(&self, ledger: &mut Ledger, now: Timestamp) -> Result<Vec<Entered>, EnterError> {
        let mut entered = Vec::new();
        for path in self.confirmed()? {
            let code = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let refused = match self.read(&path, CONFIRMED) {
                Err(error @ ProposalError::Storage { .. }) => return Err(error.into()),
                Err(refused) => Some(refused.to_string()),
                Ok(text) => match serde_json::from_str::<Confirmed>(&text) {
                    Err(error) => Some(format!("it cannot be read: {error}")),
                    Ok(confirmed) => match ledger.set_budget(&request(confirmed), now) {
                        Ok(()) => None,
                        Err(LedgerError::Refused(violation)) => Some(violation.to_string()),
                        Err(other) => return Err(other.into()),
                    },
                },
            };
            match &refused {
                None => fs::remove_file(&path).map_err(storage(&path))?,
                Some(_) => fs::rename(&path, path.with_extension("refused")).map_err(storage(&path))?,
            }
            entered.push(Entered { code, refused });
        }
        Ok(entered)
    }

    /// Returns the confirmed proposals in the order of their names.
    fn confirmed(&self) -> Result<Vec<PathBuf>, ProposalError> {
        let files = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(storage(&self.folder))?,
        };
        let mut paths = Vec::new();
        for file in files {
            let path = file.map_err(storage(&self.folder))?.path();
            if path.extension().is_some_and(|extension| extension == "confirmed") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Reads a file that this site signed for the purpose `domain`, and nobody else may write.
    fn read(&self, path: &Path, domain: &str) -> Result<String, ProposalError> {
        if state_folder::is_others_to_write(path).map_err(storage(path))? {
            return Err(ProposalError::Writable(path.to_owned()));
        }
        let bytes = fs::read(path).map_err(storage(path))?;
        let not_signed = || ProposalError::NotSigned { path: path.to_owned() };
        let Signed { text, signature } =
            serde_json::from_slice(&bytes).map_err(|_other_shape| not_signed())?;
        let signature = Signature::try_from(signature.as_slice()).map_err(|_length| not_signed())?;
        let key = self.credentials.identity_key().public();
        key.verify(domain, text.as_bytes(), &signature).map_err(|_forged| not_signed())?;
        Ok(text)
    }

    /// Signs a text for the purpose `domain` and writes it whole or not at all.
    fn write(&self, name: &str, domain: &str, text: String) -> Result<(), ProposalError> {
        let folder = &self.folder;
        fs::create_dir_all(folder).map_err(storage(folder))?;
        let signature = self.credentials.identity_key().sign(domain, text.as_bytes()).as_bytes().to_vec();
        let bytes = serde_json::to_vec_pretty(&Signed { text, signature }).expect("plain data");
        let path = folder.join(name);
        whole_file::replace(&path, &bytes).map_err(storage(&path))
    }
}

/// A confirmed proposal that was dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// What `budget confirm` asks for: it names the proposal and its digest.
    pub code: String,
    /// Why the ledger refused it; absent where it is in the ledger now.
    pub refused: Option<String>,
}

/// Confirmed proposals that could not be dealt with.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The folder.
    #[error(transparent)]
    Proposals(#[from] ProposalError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Proposal {
    /// Returns what the ledger would be with the proposal in it.
    ///
    /// # Errors
    /// Returns the rule that it would break.
    pub fn preview(&self, ledger: &LedgerState) -> Result<LedgerState, Violation> {
        let mut state = ledger.clone();
        let confirmed = Confirmed { proposal: self.clone(), confirmed_by: self.who.clone() };
        let entry = state.budget_entry(&request(confirmed))?;
        state.apply(&entry, None)?;
        Ok(state)
    }
}

fn request(confirmed: Confirmed) -> BudgetRequest {
    let Confirmed { proposal, confirmed_by } = confirmed;
    let Proposal { cohort, purpose, patients, kind, epsilon, delta, who, why, time: _ } = proposal;
    let approval = Approval { proposed_by: who, confirmed_by, why };
    BudgetRequest { cohort, purpose, patients, kind, epsilon, delta, approval }
}

/// Eight hexadecimal digits: enough to tell proposals apart, and that one was not changed by accident.
fn code(text: &[u8]) -> String {
    Digest::of(text).to_string().chars().take(8).collect()
}

/// What a signature is for.
const PROPOSED: &str = "budget-proposal";
const CONFIRMED: &str = "budget-confirmation";

fn storage(path: &Path) -> impl Fn(io::Error) -> ProposalError {
    move |source| ProposalError::Storage { path: path.to_owned(), source }
}
