//! The coordinator's half in a process of its own, so that its memory is its own.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use fedtwin_audit_log::PublicKey;
use fedtwin_coordinator::aggregate::aggregate;
use fedtwin_coordinator::optimiser::Step;
use fedtwin_coordinator::store::Store;
use fedtwin_plan::family::VectorSize;
use fedtwin_plan::{Architecture, Digest, SiteName, Trained, model_file};
use fedtwin_proto::domain::{AttemptKey, SecureMessage, SecureNotice, SecureStep};
use fedtwin_secagg::coordinator::{Aggregation, Effect, FromSite};
use fedtwin_secagg::site::ToSite;
use fedtwin_trainer::pipe::{FrameLimits, read_frame, write_frame};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::halves::{Size, context};

/// What the process is told; a site's message follows in its form on the wire.
#[derive(Debug, Serialize, Deserialize)]
enum Request {
    /// A site says something.
    Say { site: SiteName, said: Said },
    /// Aggregate the spooled vectors.
    Close { spools: Vec<PathBuf> },
}

#[derive(Debug, Serialize, Deserialize)]
enum Said {
    Advert { key: [u8; 32] },
    Message,
    Vector,
    Gone,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
enum Response {
    /// Tell a site the notice that follows.
    Tell { site: SiteName },
    /// That was all that a message caused.
    Heard,
    /// The new model, and the process's own time since it began.
    Closed { model: Digest, seconds: f64 },
}

/// What came of a site's message.
pub(super) struct Told {
    /// The message's bytes on the wire; none where the transport says it.
    pub(super) sent: usize,
    /// What to tell which site.
    pub(super) notices: Vec<Notice>,
}

/// What a site is told, and its bytes on the wire.
pub(super) struct Notice {
    pub(super) site: SiteName,
    pub(super) bytes: usize,
    pub(super) step: ToSite,
}

/// A coordinator's process.
pub(super) struct Coordinator(Child);

impl Coordinator {
    /// Starts one that keeps models in `folder`.
    pub(super) fn start(size: Size, folder: &Path) -> anyhow::Result<Self> {
        let Size { sites, values, bits } = size;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("secagg-coordinator").arg(folder);
        command.args([sites.to_string(), values.to_string(), (8 * bits.bytes()).to_string()]);
        Ok(Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?))
    }

    /// Returns the process's number.
    pub(super) fn process(&self) -> u32 {
        self.0.id()
    }

    /// Passes on what a site says.
    pub(super) fn say(&mut self, site: &SiteName, message: FromSite) -> anyhow::Result<Told> {
        let (said, step) = match message {
            FromSite::Advert(advert, key) => (Said::Advert { key: key.0 }, Some(SecureStep::Advert(advert))),
            FromSite::Shares(shares) => (Said::Message, Some(SecureStep::Shares(shares))),
            FromSite::Consent(consent) => (Said::Message, Some(SecureStep::Consent(consent))),
            FromSite::Opening(opening) => (Said::Message, Some(SecureStep::Opening(opening))),
            FromSite::Vector => (Said::Vector, None),
            FromSite::Gone => (Said::Gone, None),
        };
        let message =
            step.map(|step| SecureMessage { key: attempt_key(), step }.encode()).unwrap_or_default();
        let request = Request::Say { site: site.clone(), said };
        self.ask(&request, &message)?;
        let mut notices = Vec::new();
        while let (Response::Tell { site }, notice) = self.answer()? {
            let step = SecureNotice::decode(&notice)?.step;
            notices.push(Notice { site, bytes: notice.len(), step });
        }
        Ok(Told { sent: message.len(), notices })
    }

    /// Has it aggregate; returns the new model and the coordinator's own time, messages and all.
    pub(super) fn close(&mut self, spools: Vec<PathBuf>) -> anyhow::Result<(Digest, f64)> {
        self.ask(&Request::Close { spools }, &[])?;
        match self.answer()? {
            (Response::Closed { model, seconds }, _) => Ok((model, seconds)),
            (Response::Tell { .. } | Response::Heard, _) => bail!("the coordinator answers something else"),
        }
    }

    fn ask(&mut self, request: &Request, payload: &[u8]) -> anyhow::Result<()> {
        Ok(write_frame(self.0.stdin.as_mut().context("it is piped")?, request, payload)?)
    }

    fn answer(&mut self) -> anyhow::Result<(Response, Vec<u8>)> {
        let answer = read_frame(self.0.stdout.as_mut().context("it is piped")?, FrameLimits::LARGEST)?;
        answer.context("the coordinator's process ended; see what it said above")
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        // It is the benchmark's own; if it has ended there is nothing left to do.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Is the coordinator's process, until its input ends.
pub(crate) fn serve(size: Size, folder: &Path) -> anyhow::Result<()> {
    let (store, architecture) = (Store::open(folder.to_path_buf())?, architecture(size)?);
    let mut model = store.new_model(&attempt_key().study)?;
    model.write_all(&model_file::encode(&architecture, &vec![0.0; size.values]))?;
    let model = model.commit()?;
    let mut aggregation = Aggregation::begin(context(size)?);
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut own_time = std::time::Duration::ZERO;
    while let Some((request, payload)) = read_frame(&mut input, FrameLimits::LARGEST)? {
        let start = Instant::now();
        match request {
            Request::Say { site, said } => {
                let message = read_message(said, &payload)?;
                let (next, effects) = aggregation.step(&site, message);
                let (next, effects) = open(next, effects);
                aggregation = next;
                own_time += start.elapsed();
                tell(effects, &mut output)?;
            }
            Request::Close { spools } => {
                let Aggregation::Opened(opened) = aggregation else { bail!("nothing was opened") };
                let job = fedtwin_coordinator::aggregate::Aggregation {
                    study: attempt_key().study,
                    trained: Trained::new(&architecture, None)?,
                    architecture,
                    model,
                    spools,
                    masks: Some(opened.masks),
                    bits: size.bits,
                    scale: 1.0,
                    step: Step::Average { rate: 1.0 },
                    averaging: None,
                    clipping: None,
                };
                let models = aggregate(&job, &store)?;
                own_time += start.elapsed();
                let seconds = own_time.as_secs_f64();
                write_frame(&mut output, &Response::Closed { model: models.global, seconds }, &[])?;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Finds the masks of the sum at once, on the one task that there is.
fn open(mut aggregation: Aggregation, effects: Vec<Effect>) -> (Aggregation, Vec<Effect>) {
    let mut others = Vec::new();
    for effect in effects {
        if let Effect::Open(reconstruction) = effect {
            let (next, caused) = aggregation.opened(reconstruction.solve());
            aggregation = next;
            others.extend(caused);
        } else {
            others.push(effect);
        }
    }
    (aggregation, others)
}

fn tell(effects: Vec<Effect>, output: &mut impl io::Write) -> anyhow::Result<()> {
    for effect in effects {
        match effect {
            Effect::Send(site, step) => {
                let notice = SecureNotice { key: attempt_key(), step }.encode();
                write_frame(output, &Response::Tell { site }, &notice)?;
            }
            Effect::Reject(site, why) => bail!("{site}: {why}"),
            Effect::Open(_) => bail!("a sum is opened a second time"),
        }
    }
    Ok(write_frame(output, &Response::Heard, &[])?)
}

fn read_message(said: Said, payload: &[u8]) -> anyhow::Result<FromSite> {
    if let Said::Vector | Said::Gone = said {
        ensure!(payload.is_empty(), "nothing follows");
        return Ok(if matches!(said, Said::Gone) { FromSite::Gone } else { FromSite::Vector });
    }
    Ok(match (SecureMessage::decode(payload)?.step, said) {
        (SecureStep::Advert(advert), Said::Advert { key }) => FromSite::Advert(advert, PublicKey(key)),
        (SecureStep::Shares(shares), Said::Message) => FromSite::Shares(shares),
        (SecureStep::Consent(consent), Said::Message) => FromSite::Consent(consent),
        (SecureStep::Opening(opening), Said::Message) => FromSite::Opening(opening),
        (_, Said::Advert { .. } | Said::Message | Said::Vector | Said::Gone) => bail!("another message"),
    })
}

/// The model that the sum is added to: a vector of zeros.
pub(super) fn architecture(size: Size) -> anyhow::Result<Architecture> {
    Ok(VectorSize { parameters: i64::try_from(size.values)?.try_into()? }.architecture())
}

fn attempt_key() -> AttemptKey {
    AttemptKey { study: "bench".parse().expect("the name is a constant"), round: 1, attempt: 1 }
}
