//! What fuzzing found worth keeping is read or refused, and no more than that.

use std::path::Path;

use fedtwin_cohort::fuzzing::{Form, read};

#[test]
fn inputs_of_the_corpus_are_read_or_refused() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (folder, form) in [("cells", Form::Cells), ("objects", Form::Objects), ("parquet", Form::Parquet)] {
        let (mut accepted, mut refused) = (0, 0);
        for entry in std::fs::read_dir(corpus.join(folder)).unwrap() {
            match read(form, &std::fs::read(entry.unwrap().path()).unwrap()) {
                Ok(patients) => accepted += u32::from(patients > 0),
                Err(_) => refused += 1,
            }
        }
        assert!(accepted > 0 && refused > 0, "{folder}: {accepted} accepted, {refused} refused");
    }
}
