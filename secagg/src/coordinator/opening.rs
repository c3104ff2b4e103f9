//! The last step: shares become secrets, and secrets the masks of the sum.
//!
//! Openings are collected here; what takes time, [`Reconstruction::solve`], is a function of its own that the driver may
//! call on another thread. Its result comes back by [`Aggregation::opened`].

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use fedtwin_plan::SiteName;

use super::sharing::Roster;
use super::{
    Aggregation, Effect, MessageError, Misbehaviour, Step, Unmasking, UnmaskingError, awaited, failed,
};
use crate::decode::{Decoded, Decoder};
use crate::keys::{KeyPair, KeyUse};
use crate::mask::{Masks, Sign};
use crate::message::{Opening, Partition, commitment};
use crate::shamir::Secret;

/// Collects openings.
pub struct Openings {
    roster: Arc<Roster>,
    partition: Arc<Partition>,
    pub(super) waiting: BTreeSet<SiteName>,
    given: BTreeMap<SiteName, Arc<Opening>>,
    /// The openings that a reconstruction under way was begun with.
    solving: Option<usize>,
    /// The openings that were not enough.
    tried: usize,
}

impl Openings {
    pub(super) fn new(roster: Roster, partition: Partition, waiting: BTreeSet<SiteName>) -> Self {
        let (roster, partition) = (Arc::new(roster), Arc::new(partition));
        Self { roster, partition, waiting, given: BTreeMap::new(), solving: None, tried: 0 }
    }

    pub(super) fn take(&mut self, site: &SiteName, opening: Opening) -> Result<(), MessageError> {
        if !self.partition.survivors.iter().eq(opening.seeds.keys())
            || !self.partition.dropped.iter().eq(opening.keys.keys())
        {
            return Err(MessageError::SiteMisbehaved(Misbehaviour::OpeningNotWhole));
        }
        awaited(&mut self.waiting, site)?;
        self.given.insert(site.clone(), Arc::new(opening));
        Ok(())
    }

    /// Asks for the sum to be opened as soon as the shares may suffice: who is slow now is in it anyway.
    pub(super) fn proceed(mut self) -> (Aggregation, Vec<Effect>) {
        let found = self.given.len();
        if self.solving.is_none() && found > self.tried && found >= self.roster.threshold {
            self.solving = Some(found);
            let (roster, partition) = (Arc::clone(&self.roster), Arc::clone(&self.partition));
            let given = self.given.clone();
            let reconstruction = Box::new(Reconstruction { roster, partition, given });
            return (Aggregation::Openings(Box::new(self)), vec![Effect::Open(reconstruction)]);
        }
        if self.solving.is_none() && self.waiting.is_empty() {
            let least = self.roster.threshold;
            let too_few = UnmaskingError::TooFew { step: Step::Openings, found, least };
            return failed(if found < least { too_few } else { UnmaskingError::SharesDoNotFit });
        }
        (Aggregation::Openings(Box::new(self)), Vec::new())
    }

    /// Ends the attempt, or waits for others whose shares may fit.
    pub(super) fn opened(mut self, result: Result<Unmasking, UnmaskingError>) -> (Aggregation, Vec<Effect>) {
        match result {
            Ok(opened) => (Aggregation::Opened(opened), Vec::new()),
            Err(_) => {
                self.tried = self.solving.take().unwrap_or(self.tried);
                self.proceed()
            }
        }
    }
}

/// What the secrets of a sum are found from.
#[derive(Clone)]
pub struct Reconstruction {
    roster: Arc<Roster>,
    partition: Arc<Partition>,
    given: BTreeMap<SiteName, Arc<Opening>>,
}

impl Reconstruction {
    /// Finds every secret, and with them the masks of the survivors' sum: their own, and those that they share with sites
    /// whose vectors did not come.
    ///
    /// Takes seconds with hundreds of sites of which many lie; up to half of the openings beyond the threshold may be
    /// wrong. Who gave a wrong share is not said: errors of several liars may cancel in a secret and seem to be
    /// others'.
    ///
    /// # Errors
    /// Says that the shares do not give the secrets back; with further openings they may.
    pub fn solve(&self) -> Result<Unmasking, UnmaskingError> {
        let Roster { terms, adverts, binding, .. } = &*self.roster;
        let mut signed = Vec::new();
        let mut finder = Finder::new(self);
        for site in &self.partition.survivors {
            let committed = adverts[site].seed;
            let fits = |seed: &Secret| commitment(&terms.digest, site, seed) == committed;
            let seed = finder.find(&|opening| &opening.seeds[site].0, &fits)?;
            signed.push((seed, Sign::Plus));
        }
        let mut dropped = Vec::new();
        for site in &self.partition.dropped {
            let public = adverts[site].masking;
            let fits = |key: &Secret| KeyPair::new(key).public() == public;
            let key = finder.find(&|opening| &opening.keys[site].0, &fits)?;
            dropped.push((site, KeyPair::new(&key)));
        }
        signed.extend(self.shared(&dropped)?);
        let masks = Masks::new(terms.context.bits, binding, &signed);
        Ok(Unmasking { survivors: self.partition.survivors.clone(), masks })
    }

    /// Agrees with all survivors in the name of sites that dropped out: some 40 µs each, on all processors.
    fn shared(&self, dropped: &[(&SiteName, KeyPair)]) -> Result<Vec<(Secret, Sign)>, UnmaskingError> {
        let Roster { adverts, binding, .. } = &*self.roster;
        let shared = |(site, pair): &(&SiteName, KeyPair), peer: &SiteName| {
            let mask = pair.agree(adverts[peer].masking, &KeyUse::mask(binding, site, peer));
            // A survivor refuses to mask with such a key, so that none is here.
            let mask = mask.map_err(|_weak| UnmaskingError::SharesDoNotFit)?;
            Ok((mask, Sign::of(peer, site)))
        };
        let survivors = &self.partition.survivors;
        let of_part = |part: &[(&SiteName, KeyPair)]| -> Result<Vec<_>, UnmaskingError> {
            part.iter().flat_map(|one| survivors.iter().map(move |peer| shared(one, peer))).collect()
        };
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let parts = dropped.chunks(dropped.len().div_ceil(processors).max(1));
        std::thread::scope(|scope| {
            let parts: Vec<_> = parts.map(|part| scope.spawn(move || of_part(part))).collect();
            let parts = parts.into_iter().map(|part| part.join().expect("agreeing does not panic"));
            parts.collect::<Result<Vec<_>, _>>().map(|parts| parts.into_iter().flatten().collect())
        })
    }
}

impl std::fmt::Debug for Reconstruction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reconstruction from {} openings", self.given.len())
    }
}

/// Finds one secret after the other, and remembers whose shares were wrong: so that each liar costs one correction,
/// not one for each secret.
struct Finder<'a> {
    threshold: usize,
    /// Holders, by their place in the roster, and what they gave.
    given: Vec<(usize, &'a Opening)>,
    all: Decoder,
    /// Those who have not lied yet, by their number among the given, where somebody has.
    honest: Option<(Vec<usize>, Decoder)>,
}

impl<'a> Finder<'a> {
    fn new(task: &'a Reconstruction) -> Self {
        let place = |site: &SiteName| task.roster.place(site).expect("only sites of the roster are awaited");
        let given: Vec<_> = task.given.iter().map(|(site, opening)| (place(site), &**opening)).collect();
        let threshold = task.roster.threshold;
        let all = decoder(&given, threshold, 0..given.len());
        Self { threshold, given, all, honest: None }
    }

    fn find(
        &mut self,
        share: &dyn Fn(&'a Opening) -> &'a Secret,
        fits: &dyn Fn(&Secret) -> bool,
    ) -> Result<Secret, UnmaskingError> {
        let shares: Vec<&Secret> = self.given.iter().map(|(_, opening)| share(opening)).collect();
        let (numbers, found) = match &self.honest {
            None => ((0..shares.len()).collect(), self.all.decode(&shares, fits)),
            Some((numbers, decoder)) => {
                let honest: Vec<_> = numbers.iter().map(|&number| shares[number]).collect();
                (numbers.clone(), decoder.decode(&honest, fits))
            }
        };
        let Some(Decoded { secret, wrong }) = found else {
            // Somebody lied elsewhere and is honest here.
            let found = self.honest.as_ref().and_then(|_| self.all.decode(&shares, fits));
            return found.map(|found| found.secret).ok_or(UnmaskingError::SharesDoNotFit);
        };
        if !wrong.is_empty() {
            let honest: Vec<usize> = numbers
                .into_iter()
                .enumerate()
                .filter(|(index, _)| !wrong.contains(index))
                .map(|(_, number)| number)
                .collect();
            // Liars in other elements each are corrected even where they are more than the shares to spare.
            self.honest = (honest.len() >= self.threshold).then(|| {
                let decoder = decoder(&self.given, self.threshold, honest.iter().copied());
                (honest, decoder)
            });
        }
        Ok(secret)
    }
}

fn decoder(given: &[(usize, &Opening)], threshold: usize, numbers: impl Iterator<Item = usize>) -> Decoder {
    let holders: Vec<usize> = numbers.map(|number| given[number].0).collect();
    Decoder::new(&holders, threshold)
}
