//! Logs under alteration, truncation and crashes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, OpenOptions};
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use fedtwin_audit_log::checkpoint::Checkpoint;
use fedtwin_audit_log::disk::Disk;
use fedtwin_audit_log::{LogError, LogFile, PublicKey, Signer, entries, verify};
use ring::signature::Ed25519KeyPair;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
enum Body {
    Opened { site: String },
    Spent { nano: u64 },
}

fn signer() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap()
}

fn key() -> PublicKey {
    Signer::public_key(&signer())
}

fn open(path: &Path) -> Result<(LogFile<Body>, Vec<Body>), LogError> {
    let (log, entries) = LogFile::open(path, Box::new(signer()))?;
    Ok((log, entries.into_iter().map(|e| e.body).collect()))
}

fn bodies(count: u64) -> Vec<Body> {
    let first = Body::Opened { site: "J\"\n\t☂".to_owned() };
    std::iter::once(first).chain((1..count).map(|nano| Body::Spent { nano })).collect()
}

fn written(folder: &Path, count: u64) -> PathBuf {
    let path = folder.join("ledger");
    let (mut log, before) = open(&path).unwrap();
    assert!(before.is_empty());
    for (sequence, body) in (0..).zip(bodies(count)) {
        assert_eq!(log.append(&body, 1000 + sequence).unwrap().sequence, sequence);
    }
    path
}

fn head_of(path: &Path) -> PathBuf {
    path.with_extension("head")
}

#[test]
fn a_log_is_read_back_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 4);
    let (log, read) = open(&path).unwrap();
    assert_eq!(read, bodies(4));
    let file = fs::read(&path).unwrap();
    let summary = verify(Cursor::new(&file), &key()).unwrap();
    let (typed, same_summary) = entries::<Body>(Cursor::new(&file), &key()).unwrap();
    assert_eq!((summary.entries, summary.head), (4, log.head()));
    assert_eq!(summary, same_summary);
    assert_eq!(typed[2].time_ms, 1002);
    let note = log.checkpoint("north/va").unwrap();
    assert_eq!(Checkpoint::open(&note, "north/va", &key()).unwrap().root(), summary.root);
}

#[test]
fn a_second_process_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 1);
    let _held = open(&path).unwrap();
    assert!(matches!(open(&path), Err(LogError::Locked(_))));
}

#[test]
fn every_flipped_bit_is_located_at_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = fs::read(written(folder.path(), 3)).unwrap();
    let mut line = 1;
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut altered = file.clone();
            altered[at] ^= 1 << bit;
            let bad = verify(Cursor::new(&altered), &key()).unwrap_err();
            assert_eq!((bad.line, bad.sequence), (line, line - 1), "byte {at}, bit {bit}: {}", bad.reason);
            assert!(entries::<Body>(Cursor::new(&altered), &key()).is_err());
        }
        line += u64::from(file[at] == b'\n');
    }
}

#[test]
fn moved_repeated_and_missing_lines_are_located() {
    let folder = tempfile::tempdir().unwrap();
    let file = fs::read_to_string(written(folder.path(), 5)).unwrap();
    let lines: Vec<_> = file.split_inclusive('\n').collect();
    let first_bad = |order: &[usize]| {
        let text: String = order.iter().map(|&i| lines[i]).collect();
        verify(Cursor::new(text), &key()).unwrap_err().line
    };
    assert_eq!(first_bad(&[0, 2, 1, 3, 4]), 2);
    assert_eq!(first_bad(&[0, 1, 1, 2, 3]), 3);
    assert_eq!(first_bad(&[0, 1, 3, 4]), 3);
    assert_eq!(first_bad(&[1, 2, 3]), 1);
}

#[test]
fn another_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 2);
    let other = Ed25519KeyPair::from_seed_unchecked(&[4; 32]).unwrap();
    let file = fs::read(&path).unwrap();
    assert_eq!(verify(Cursor::new(file), &Signer::public_key(&other)).unwrap_err().line, 1);
    assert!(matches!(LogFile::<Body>::open(&path, Box::new(other)), Err(LogError::Altered { .. })));
}

/// What a crash during the third append can leave: the file cut at any byte of the third record, with
/// the head still at the second.
#[test]
fn unacknowledged_records_are_repaired_at_every_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 2);
    let (acknowledged, head) = (fs::read(&path).unwrap().len(), fs::read(head_of(&path)).unwrap());
    open(&path).unwrap().0.append(&bodies(3)[2], 1002).unwrap();
    let file = fs::read(&path).unwrap();
    for length in acknowledged..=file.len() {
        fs::write(&path, &file[..length]).unwrap();
        fs::write(head_of(&path), &head).unwrap();
        let (mut log, read) = open(&path).unwrap();
        let kept = if length == file.len() { 3 } else { 2 };
        assert_eq!(read, bodies(kept), "{length} bytes");
        log.append(&Body::Spent { nano: 9 }, 2000).unwrap();
        drop(log);
        assert_eq!(open(&path).unwrap().1.len() as u64, kept + 1);
    }
}

#[test]
fn a_record_whose_beginning_never_reached_the_disk_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 2);
    let mut file = fs::read(&path).unwrap();
    file.extend_from_slice(&[0; 100]);
    file.extend_from_slice(b"tail\n");
    fs::write(&path, &file).unwrap();
    assert_eq!(open(&path).unwrap().1, bodies(2));
}

#[test]
fn acknowledged_records_are_never_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 3);
    let file = fs::read(&path).unwrap();
    for length in 0..file.len() {
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length as u64).unwrap();
        assert!(matches!(open(&path), Err(LogError::EntriesLost { acknowledged: 2, .. })), "{length} bytes");
        assert_eq!(fs::read(&path).unwrap().len(), length, "the evidence was altered");
        fs::write(&path, &file).unwrap();
    }
}

#[test]
fn a_head_of_another_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), 3);
    let head = fs::read_to_string(head_of(&path)).unwrap();
    for bad in ["", "{}", &head.replace("\"hash\":\"", "\"hash\":\"0").replacen('f', "", 1)] {
        fs::write(head_of(&path), bad).unwrap();
        assert!(matches!(open(&path), Err(LogError::HeadDiffers { .. })), "{bad:?}");
    }
    fs::remove_file(head_of(&path)).unwrap();
    assert!(matches!(open(&path), Err(LogError::HeadDiffers { .. })));
}

#[test]
fn bodies_with_fractions_are_refused_and_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let (mut log, _) = LogFile::<f64>::open(&path, Box::new(signer())).unwrap();
    assert!(matches!(log.append(&0.5, 0), Err(LogError::Body(_))));
    assert_eq!(log.size(), 0);
    assert!(fs::read(&path).unwrap().is_empty());
}

#[test]
fn a_failed_append_poisons_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("ledger");
    let (mut log, _) = open(&path).unwrap();
    fs::remove_dir_all(&inner).unwrap();
    assert!(matches!(log.append(&Body::Spent { nano: 1 }, 0), Err(LogError::Storage { .. })));
    fs::create_dir(&inner).unwrap();
    assert!(matches!(log.append(&Body::Spent { nano: 1 }, 0), Err(LogError::Poisoned(_))));
}

/// A disk in memory with room for so many more bytes, of a log and of heads.
#[derive(Debug, Default, Clone)]
struct SmallDisk(Arc<Mutex<Small>>);

#[derive(Debug, Default)]
struct Small {
    room: usize,
    log: Vec<u8>,
    head: Option<Vec<u8>>,
}

impl SmallDisk {
    fn small(&self) -> MutexGuard<'_, Small> {
        self.0.lock().unwrap()
    }
}

impl Disk for SmallDisk {
    fn read(&mut self, start: u64) -> io::Result<Box<dyn io::Read + '_>> {
        let start = usize::try_from(start).unwrap();
        Ok(Box::new(Cursor::new(self.small().log[start..].to_vec())))
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.small().log.truncate(usize::try_from(length).unwrap());
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut small = self.small();
        let fits = bytes.len().min(small.room);
        small.log.extend(&bytes[..fits]);
        small.room -= fits;
        if fits == bytes.len() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.small().head.clone())
    }

    fn replace_head(&mut self, head: &[u8]) -> io::Result<()> {
        let mut small = self.small();
        if small.room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        small.head = Some(head.to_vec());
        Ok(())
    }
}

#[test]
fn a_log_goes_on_when_a_full_disk_has_room_again() {
    let open = |disk: &SmallDisk| {
        LogFile::<Body>::open_on(Box::new(disk.clone()), Path::new("ledger"), Box::new(signer()))
    };
    // Room for no byte, for a part of an entry, and for an entry without its head.
    let line = {
        let disk = SmallDisk::default();
        disk.small().room = 10_000;
        open(&disk).unwrap().0.append(&Body::Spent { nano: 1 }, 0).unwrap();
        disk.small().log.len()
    };
    for (acknowledged, room) in [(0, 0), (0, line / 2), (0, line), (3, 0), (3, 7), (3, line)] {
        let disk = SmallDisk::default();
        disk.small().room = 10_000;
        let (mut log, _) = open(&disk).unwrap();
        for nano in 0..acknowledged {
            log.append(&Body::Spent { nano }, 0).unwrap();
        }
        disk.small().room = room;
        for _again in 0..3 {
            let refused = log.append(&Body::Spent { nano: 7 }, 0).unwrap_err();
            assert!(matches!(refused, LogError::Storage { .. }), "{refused}");
        }
        disk.small().room = 10_000;
        let appended = log.append(&Body::Spent { nano: 8 }, 0).unwrap();
        assert_eq!(appended.sequence, acknowledged, "what was refused is not in the log");
        let (_, entries) = open(&disk).unwrap();
        assert_eq!(entries.len() as u64, acknowledged + 1);
        assert_eq!(entries.last().unwrap().body, Body::Spent { nano: 8 });
    }
}
