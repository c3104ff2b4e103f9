//! The README's federation by hand, run from the README's own text.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// More commands than this, and nobody tries it.
const COMMANDS_MAX: usize = 11;

#[test]
fn the_federation_by_hand_runs_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let block = block_of(&readme);
    let commands: Vec<&str> = block.lines().filter(|line| !line.starts_with("export ")).collect();
    let is_command = |line: &&&str| !line.starts_with("for ") && **line != "done";
    let count = commands.iter().filter(is_command).count();
    assert!(count <= COMMANDS_MAX, "{count} commands");

    let folder = tempfile::tempdir().unwrap();
    copy(&root.join("examples"), &folder.path().join("examples"));
    // Another program may listen on the port of the examples.
    let port = free_port();
    replace_in(&folder.path().join("examples/federation"), "7443", &port);
    let script = format!(
        "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{}\n",
        commands.join("\n").replace("7443", &port)
    );
    let output = Command::new("timeout")
        .args(["--kill-after=10", "240", "bash", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{}", programs().display(), std::env::var("PATH").unwrap()))
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert!(out.contains("epsilon"), "costs are printed:\n{out}");
    assert!(out.contains("cohort heart"), "the budget is printed:\n{out}");
    let model = fs::read(folder.path().join("fed/heart.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&model).unwrap();
    assert_eq!(tensors.tensor("weight").unwrap().shape(), [38]);
}

#[test]
fn a_failing_command_fails_the_script() {
    let status = Command::new("bash").args(["-c", "set -eu\nfalse\ntrue"]).status().unwrap();
    assert!(!status.success());
}

fn block_of(readme: &str) -> String {
    let (_, after) =
        readme.split_once("<!-- A test runs this block. -->\n```sh\n").expect("the README marks it");
    let (block, _) = after.split_once("```").expect("the block ends");
    block.to_owned()
}

/// The programs that were built along with this test.
fn programs() -> PathBuf {
    let own = std::env::current_exe().expect("the test's own files and folders can be used");
    let folder = own.ancestors().nth(2).expect("a test is two folders below the programs").to_path_buf();
    for program in ["fedtwin", "fedtwin-site", "fedtwin-coordinator", "fedtwin-trainer"] {
        let path = folder.join(program);
        assert!(path.exists(), "{} is missing: `cargo xtask test` builds all programs first", path.display());
    }
    folder
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the test's own files and folders can be used");
    let port = listener.local_addr().expect("the test's own files and folders can be used").port();
    drop(listener);
    std::thread::sleep(Duration::from_millis(10));
    port.to_string()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the test's own files and folders can be used");
    for entry in fs::read_dir(from).expect("the test's own files and folders can be used") {
        let entry = entry.expect("the test's own files and folders can be used");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("the test's own files and folders can be used").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the test's own files and folders can be used");
        }
    }
}

fn replace_in(folder: &Path, from: &str, to: &str) {
    for entry in fs::read_dir(folder).expect("the test's own files and folders can be used") {
        let path = entry.expect("the test's own files and folders can be used").path();
        let text = fs::read_to_string(&path).expect("the test's own files and folders can be used");
        fs::write(&path, text.replace(from, to)).expect("the test's own files and folders can be used");
    }
}
