//! What a tool of the terminal says on its standard output.

use std::io::{self, Stdout, Write};

/// Standard output, whose reader may go: whatever is written after that is nobody's loss.
///
/// Of `fedtwin-site check | head -1` people read one line and the cohorts are opened all the same; so a command goes
/// on to its own end and its own exit code.
#[derive(Debug)]
pub struct Output<W = Stdout>(W);

impl Output {
    /// Takes this process's standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self(io::stdout())
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_unread(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_unread(self.0.flush(), ())
    }
}

fn unless_unread<T>(result: io::Result<T>, done: T) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(done),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_reader_that_goes_is_no_error_and_another_failure_is_one() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut out = Output(writer);
        writeln!(out, "first").unwrap();
        let mut read = [0; 6];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"first\n");
        drop(reader);
        writeln!(out, "nobody reads this").unwrap();
        out.flush().unwrap();
        let mut full = Output(&mut [0; 2][..]);
        assert!(writeln!(full, "too long").is_err());
    }
}
