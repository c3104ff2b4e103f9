#!/bin/sh
# serde_json 1.0.154 (Rust): one double in nine comes back from its own JSON as another number.
#
# serde_json writes the shortest text that stands for this double and no other, and Rust's own parse reads it back exactly.
# One would guess that from_str does as well. By default it trades the last bit for speed: of 100,000 numbers spread evenly
# over 0 to 1, 10,692 come back one unit in the last place off, the first being 0.9073038322028689. With the feature
# "float_roundtrip" none is. Numbers below 100 with three decimals, as people write them, are read exactly either way.
#
# Weights, scores or epsilons that pass between sites as JSON and are then compared bit by bit, or by a digest, do not match
# what was sent.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat > "$folder/src/main.rs" <<'RUST'
fn main() {
    let expected = if cfg!(feature = "exact") { 0 } else { 10_692 };
    let mut state: u64 = 88_172_645_463_325_252;
    let (mut changed, mut first) = (0, None);
    for _ in 0..100_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let number = (state >> 11) as f64 / (1u64 << 53) as f64;
        let text = serde_json::to_string(&number).unwrap();
        assert_eq!(text.parse::<f64>().unwrap(), number);
        let read: f64 = serde_json::from_str(&text).unwrap();
        assert!(read.to_bits().abs_diff(number.to_bits()) <= 1);
        if read != number {
            changed += 1;
            first.get_or_insert(text);
        }
    }
    println!("exact {}: {changed} of 100000 changed, the first {first:?}", cfg!(feature = "exact"));
    assert_eq!(changed, expected, "the behaviour changed");
    for thousandths in 0..100_000 {
        let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        assert_eq!(serde_json::from_str::<f64>(&text).unwrap(), text.parse::<f64>().unwrap());
    }
}
RUST
cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "floats"
version = "0.0.0"
edition = "2021"

[features]
exact = ["serde_json/float_roundtrip"]

[dependencies]
serde_json = "=1.0.154"

[workspace]
TOML
export CARGO_BUILD_JOBS=1 CARGO_TARGET_DIR="$folder/target"
cd "$folder"
cargo run --quiet
cargo run --quiet --features exact
