//! A mirror on disk: read and verified piece by piece, appended to and synced.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use fedtwin_audit_log::entry::LINE_BYTES_MAX;
use fedtwin_audit_log::{Copied, NotContinued, PublicKey as LogKey, first_key};

/// Returns the keys that signed a copy, the newest first: its site's checkpoints are under one of them.
pub(super) fn all_keys(copy: &Copied) -> impl Iterator<Item = LogKey> {
    let before = copy.keys().iter().rev().map(|succession| succession.change.from);
    std::iter::once(copy.key()).chain(before)
}

/// Reads and verifies a mirror, piece by piece, and returns its length too; `last` is the key that signed its last entry. A
/// last record that a crash cut off was never acknowledged: it is removed.
pub(super) fn load(path: &Path, last: LogKey) -> io::Result<Result<(Copied, u64), NotContinued>> {
    let open = || File::open(path).map(BufReader::new);
    let first = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok((Copied::new(last), 0))),
        other => first_key(other?, &last)?,
    };
    let (mut copy, mut reader) = (Copied::new(first), open()?);
    let length = reader.get_ref().metadata()?.len();
    let (mut lines, mut whole) = (Vec::new(), 0);
    loop {
        let read = reader.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut lines)?;
        let is_whole = lines.ends_with(b"\n");
        if is_whole && read > 0 && lines.len() < PIECE_BYTES {
            continue;
        }
        let end = lines.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if let Err(error) = copy.extend(copy.leaves().len() as u64, &lines[..end]) {
            return Ok(Err(error));
        }
        whole += end as u64;
        if !is_whole || read == 0 {
            break;
        }
        lines.clear();
    }
    if length - whole > LINE_BYTES_MAX as u64 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more than one record is cut off"));
    }
    if whole < length {
        OpenOptions::new().write(true).open(path)?.set_len(whole)?;
    }
    Ok(Ok((copy, whole)))
}

/// Appends to a mirror; a new one's name is durable, too.
pub(super) fn append_to(path: &Path, entries: &[u8]) -> io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let is_new = !path.exists();
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(entries)?;
    file.sync_data()?;
    if is_new {
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// What is verified at once of a mirror.
const PIECE_BYTES: usize = 1 << 20;
