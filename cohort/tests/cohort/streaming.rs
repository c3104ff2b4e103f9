//! Files are read piece by piece: where a piece ends does not matter, and no more is held at once than must be.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use fedtwin_cohort::CohortFile;
use fedtwin_cohort::schema::TableSchema;
use fedtwin_plan::record::{Part, TableRecord, Value};
use fedtwin_plan::text_file;

use crate::common::{Folder, Nifti, gzipped, rows};

const SCHEMA: &str = "
outcome = { name = 'died', rule = { above = 0 } }
features.x.number = { unit = 'u', low = 0, high = 100 }
";

/// The bytes of one piece, as the reader has them.
const PIECE_BYTES: usize = 1 << 16;

/// Returns how many bytes more than before were held at once while `run` ran, by Linux's own count.
fn peak_bytes(run: impl FnOnce()) -> u64 {
    let status = |key: &str| -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    // Sets the peak back to what is held now (proc(5)).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    run();
    status("VmHWM:").saturating_sub(before)
}

fn table(folder: &Folder, rows: u32) {
    let note = "n".repeat(1000);
    let mut table = BufWriter::new(File::create(folder.path("rows.csv")).unwrap());
    writeln!(table, "id,x,died,note").unwrap();
    for row in 0..rows {
        writeln!(table, "p{row},{},{},{note}", row % 100, row % 2).unwrap();
    }
    folder.write("schema.toml", SCHEMA);
}

fn volumes(folder: &Folder, patients: u32) {
    let voxels =
        |seed: u32| (0..64 * 64 * 64).map(|i: u32| (i.wrapping_mul(seed) >> 3).to_le_bytes()[0]).collect();
    let mask: Vec<u8> = (0..64 * 64 * 64).map(|i| u8::from(i % 64 == 7)).collect();
    for patient in 1..=patients {
        let image = Nifti::uint8([64; 3], voxels(patient));
        folder.write(&format!("images/p{patient}.nii"), image.bytes());
        folder.write(&format!("masks/p{patient}.nii"), Nifti::uint8([64; 3], mask.clone()).bytes());
    }
}

/// One test, since the peak is one of the whole process.
#[test]
fn an_inventory_holds_neither_all_rows_nor_all_scans_at_once() {
    let split = "split.hashed = { test = '1/5', seed = 1 }";
    let folder = Folder::new();
    table(&folder, 64_000);
    let cohort = folder
        .cohort(&format!(
            "name = 'c'\npatients = 64000\nsource.table = {{ file = 'rows.csv', schema = 'schema.toml' }}\n{split}"
        ))
        .unwrap();
    let of_table = peak_bytes(|| assert_eq!(cohort.take_inventory().unwrap().patients(), 64_000));
    assert!(of_table < 4 << 20, "{of_table} bytes for a table of 64 MB");

    // Nobody is there twice: that is known only by who was there before.
    folder.write("schema.toml", format!("patient_id = 'id'\n{SCHEMA}"));
    let cohort = CohortFile::load(&folder.path("cohort.toml")).unwrap();
    let of_patients = peak_bytes(|| assert_eq!(cohort.take_inventory().unwrap().patients(), 64_000));
    assert!(of_patients < 64_000 * 512, "{of_patients} bytes for 64000 patients");

    // An image takes 1 MiB in single precision, and some more while it is normalised.
    let folder = Folder::new();
    volumes(&folder, 64);
    let cohort = folder
        .cohort(&format!(
            "name = 'c'\npatients = 64\nsource.images = {{ images = 'images', masks = 'masks', slice_axis = 2 }}\n{split}"
        ))
        .unwrap();
    let of_scans = peak_bytes(|| assert_eq!(cohort.take_inventory().unwrap().patients(), 64));
    assert!(of_scans < 16 << 20, "{of_scans} bytes for 64 scans of 1 MiB and their masks");
}

#[test]
fn rows_are_the_same_wherever_a_piece_of_the_file_ends() {
    const WARDS: &str = r#"
    outcome = { name = 'died', rule = { above = 0 } }
    features.ward.category.codes = { "a\"b\nc" = '0', "ä€😀" = '1' }
    "#;
    const TAIL: &str =
        "\"\",\"a\"\"b\r\nc\",1\r\n\r\n n ,\u{e4}\u{20ac}\u{1f600} ,0\r\n,,\r\nn,\"a\"\"b\nc\",1";
    let schema = text_file::parse::<TableSchema>("schema", WARDS).unwrap();
    for into_tail in 0..=TAIL.len() {
        let header = "note,ward,died\r\n";
        let first_row_bytes = PIECE_BYTES - header.len() - into_tail;
        let ward = ",\u{e4}\u{20ac}\u{1f600},0\r\n";
        let first_row = "n".repeat(first_row_bytes - ward.len()) + ward;
        let folder = Folder::new();
        let text = format!("{header}{first_row}{TAIL}");
        folder.write("schema.toml", WARDS);
        for bytes in [text.clone().into_bytes(), gzipped(text.as_bytes())] {
            folder.write("rows.csv", bytes);
            let cohort = folder.cohort(
                "name = 'c'\npatients = 4\nsource.table = { file = 'rows.csv', schema = 'schema.toml' }\n\
                 split.modulo = { divisor = 2, test = 1 }",
            );
            let cohort = cohort.unwrap();
            let read = |part| {
                let read = cohort.read(&schema.need(), part).map_err(|e| folder.message(&e)).unwrap();
                let ward = |row: TableRecord| (row.values[0], row.outcome.happened());
                rows(read).into_iter().map(ward).collect::<Vec<_>>()
            };
            let (a, b) = (Value::Category(0), Value::Category(1));
            // Lines 2, 3 to 4, 6, and 8 to 9: an empty line and one of delimiters alone are passed over.
            assert_eq!(read(Part::Test), [(a, true)], "{into_tail}");
            assert_eq!(read(Part::Train), [(b, false), (b, false), (a, true)], "{into_tail}");
        }
    }
}
