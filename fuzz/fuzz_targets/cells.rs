//! Tables of cells: whatever the bytes are, they are read or refused.
#![no_main]

use fedtwin_cohort::fuzzing::{Form, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _any_answer = read(Form::Cells, bytes);
});
