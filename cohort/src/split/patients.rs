//! The patients of a cohort so far, among whom nobody may be twice.

use std::collections::{HashMap, hash_map};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::path::{Path, PathBuf};

use super::identity::Place;
use super::look_alike::{fold_plain, folds};
use crate::error::CohortError;
use crate::fingerprint::same_bytes;
use crate::table::sheet::Counted;

/// The patients of a cohort so far.
///
/// Identifiers are kept one behind the other, and found by a hash of the form in which look-alikes are equal. Where two hashes
/// are equal, the forms are made again and compared, so that a hash decides nothing.
#[derive(Debug, Default)]
pub(crate) struct Patients {
    /// Whether people said that identifiers which look alike are different patients.
    look_alikes_differ: bool,
    /// Unknown to whoever writes a table.
    keys: RandomState,
    /// By the hash of a form: the entry that was made last.
    last: HashMap<u64, u32, BuildHasherDefault<Itself>>,
    entries: Vec<Entry>,
    /// The stated forms of all, one behind the other.
    stated: String,
    /// Room for one form.
    fold: String,
}

/// One form of a patient's identifier.
#[derive(Debug)]
struct Entry {
    /// Where the stated form ends; it begins where that of the entry before ends, or is that one's.
    stated_end: usize,
    stated_length: u32,
    /// An earlier entry whose form has the same hash.
    earlier: Option<u32>,
    seen: Seen,
}

#[derive(Debug)]
enum Seen {
    Line(u64, Counted),
    File(PathBuf),
}

impl Patients {
    pub(crate) fn new(look_alikes_differ: bool) -> Self {
        Self { look_alikes_differ, ..Self::default() }
    }

    /// Enters a patient by the stated form of the identifier; nobody may be entered twice.
    pub(crate) fn enter(&mut self, stated: &str, place: Place<'_>) -> Result<(), CohortError> {
        let mut fold = std::mem::take(&mut self.fold);
        let entered = if fold_plain(stated, &mut fold) {
            self.enter_forms(stated, &[fold.as_str()], place)
        } else {
            let folds = folds(stated);
            self.enter_forms(stated, &folds.iter().map(String::as_str).collect::<Vec<_>>(), place)
        };
        self.fold = fold;
        entered
    }

    fn enter_forms(&mut self, stated: &str, forms: &[&str], place: Place<'_>) -> Result<(), CohortError> {
        // Nearly all have one form, which nobody had before: the place for it is looked for once.
        if let [form] = forms
            && let hash_map::Entry::Vacant(vacant) = self.last.entry(self.keys.hash_one(form))
        {
            vacant.insert(next(&self.entries));
            self.stated.push_str(stated);
            self.entries.push(Entry::new(self.stated.len(), stated, None, place));
            return Ok(());
        }
        self.enter_beside_others(stated, forms, place)
    }

    /// Enters a patient whose identifier may look like another.
    fn enter_beside_others(
        &mut self,
        stated: &str,
        forms: &[&str],
        place: Place<'_>,
    ) -> Result<(), CohortError> {
        let alike: Vec<_> = forms.iter().flat_map(|form| self.alike(form)).collect();
        if let Some(same) = alike.iter().find(|entry| self.stated(entry) == stated) {
            return Err(place.refuse(match &same.seen {
                Seen::Line(first, counted) => {
                    let noun = counted.noun();
                    format!("is of the same patient as {noun} {first}, expected one {noun} per patient")
                }
                Seen::File(first) => {
                    format!("is of the same patient as {}, expected one scan per patient", first.display())
                }
            }));
        }
        if let (Some(first), false) = (alike.first(), self.look_alikes_differ) {
            let other = match &first.seen {
                Seen::Line(line, counted) => format!("{} {line}", counted.noun()),
                Seen::File(file) => file.display().to_string(),
            };
            return Err(place.refuse(format!(
                "is of the same patient as {other}, as it seems: the two identifiers differ in leading zeros, capital \
                 letters, blanks, dashes or signs alone; make them one, or add confirmed.look_alikes = \"different\" to the cohort file"
            )));
        }
        if let Place::File(file) = place {
            alike.iter().try_for_each(|entry| entry.seen.check_is_not_copied(file))?;
        }
        self.add(stated, forms, place);
        Ok(())
    }

    /// Returns the entries with this form, in the order in which they were made.
    fn alike(&self, form: &str) -> Vec<&Entry> {
        let entry = |at: u32| &self.entries[at as usize];
        let last = self.last.get(&self.keys.hash_one(form)).map(|&at| entry(at));
        let chain = std::iter::successors(last, |later| later.earlier.map(entry));
        let mut alike: Vec<_> =
            chain.filter(|entry| folds(self.stated(entry)).iter().any(|own| own == form)).collect();
        alike.reverse();
        alike
    }

    fn stated(&self, entry: &Entry) -> &str {
        &self.stated[entry.stated_end - entry.stated_length as usize..entry.stated_end]
    }

    fn add(&mut self, stated: &str, forms: &[&str], place: Place<'_>) {
        self.stated.push_str(stated);
        for form in forms {
            let earlier = self.last.insert(self.keys.hash_one(form), next(&self.entries));
            self.entries.push(Entry::new(self.stated.len(), stated, earlier, place));
        }
    }
}

impl Entry {
    fn new(stated_end: usize, stated: &str, earlier: Option<u32>, place: Place<'_>) -> Self {
        let seen = match place {
            Place::Line { line, counted, .. } => Seen::Line(line, counted),
            Place::File(file) => Seen::File(file.to_owned()),
        };
        let stated_length = u32::try_from(stated.len()).expect("an identifier is one cell of a row");
        Self { stated_end, stated_length, earlier, seen }
    }
}

/// Returns the place of the entry that is made next.
fn next(entries: &[Entry]) -> u32 {
    u32::try_from(entries.len()).expect("a cohort has far fewer patients")
}

impl Seen {
    /// Refuses a file that holds the same as this one: whoever the patients are, nobody scans two alike.
    fn check_is_not_copied(&self, file: &Path) -> Result<(), CohortError> {
        match self {
            Self::File(first) if same_bytes(first, file)? => {
                let message = format!(
                    "has the same bytes as {}, and a name that looks alike: it is a copy, expected one scan per patient",
                    first.display()
                );
                Err(CohortError::file(file, message))
            }
            Self::File(_) | Self::Line(..) => Ok(()),
        }
    }
}

/// Takes what is a hash already for one.
#[derive(Debug, Default)]
struct Itself(u64);

impl Hasher for Itself {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
