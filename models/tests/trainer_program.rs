//! The trainer as the agent runs it: a process behind a sandbox, spoken to on its pipes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fedtwin_plan::model_file::initial_values;
use fedtwin_plan::text_file;
use fedtwin_plan::{PatientId, Plan};
use fedtwin_trainer::pipe::{FrameLimits, Loaded, Request, Response, read_frame, write_frame};
use fedtwin_trainer::report::Report;
use tempfile::TempDir;

const TABLE_PLAN: &str = r#"
[data.table]
outcome = "ill"
features.age.number = { unit = "years", low = 0, high = 100 }
features.sex.category = ["f", "m"]
[model]
family = "linear-risk"
seed = 1
"#;

const IMAGE_PLAN: &str = r#"
[data.images]
height = 64
width = 48
slices_per_patient = 2
[model]
family.unet = { base = 2, depth = 2 }
seed = 1
"#;

fn plan_text(data_and_model: &str) -> String {
    let common = r#"
[study]
id = "test-study"
title = "A test"
sites = ["north"]
expires = "2030-01-01"
[cohort]
name = "test"
patients_max = 100
[rounds]
count = 1
attempts_max = 1
blocks = 1
sites_min = 1
join_s = 1
deadline_s = 10
slot_s = 0
[training]
sampling = "1"
loss = "bce"
site = "gradient"
server.fedavg = { learning_rate = 1.0 }
[privacy]
none = { clip = 1.0 }
[calibrated]
m = 10
c_int = 100000
modulus_bits = 40
steps = 1
"#;
    format!("{data_and_model}{common}")
}

/// Seven rows, of which the fourth is kept for testing; all training patients are ill.
fn table_cohort(folder: &Path) -> PathBuf {
    let rows = "id,age,sex,ill\n1,31,f,1\n2,42,m,1\n3,53,f,1\n4,64,m,0\n5,75,f,1\n6,?,m,1\n7,97,?,1\n";
    fs::write(folder.join("rows.csv"), rows).unwrap();
    let schema = r#"
delimiter = ","
missing = ["?"]
patient_id = "id"
[outcome]
name = "ill"
column = "ill"
rule = { above = 0 }
[features]
age.number = { unit = "years", low = 0, high = 100 }
sex.category.codes = { f = "f", m = "m" }
"#;
    fs::write(folder.join("schema.toml"), schema).unwrap();
    let source = "source.table = { file = \"rows.csv\", schema = \"schema.toml\" }";
    cohort(folder, source, "split.modulo = { divisor = 7, test = 4 }")
}

fn image_cohort(folder: &Path) -> PathBuf {
    let source = "source.synthetic-images = { seed = 1, site = 0, patients = 4 }";
    cohort(folder, source, "split.hashed = { test = \"1/2\", seed = 1 }")
}

fn cohort(folder: &Path, source: &str, split: &str) -> PathBuf {
    let file = folder.join("cohort.toml");
    fs::write(&file, format!("name = \"test\"\npatients = 10\n{source}\n{split}\n")).unwrap();
    file
}

struct Trainer(Child);

impl Trainer {
    fn start(args: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_fedtwin-trainer"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    fn ask(&mut self, request: &Request, payload: &[u8]) -> (Response, Vec<u8>) {
        write_frame(self.0.stdin.as_mut().unwrap(), request, payload).unwrap();
        read_frame(self.0.stdout.as_mut().unwrap(), FrameLimits::LARGEST).unwrap().unwrap()
    }

    fn load(&mut self, plan: &str, cohort_file: PathBuf) -> Response {
        self.ask(&Request::Load { plan: plan.to_owned(), cohort_file, threads: 1, altered: None }, &[]).0
    }

    /// Returns why the request failed.
    fn refused(&mut self, request: &Request, payload: &[u8]) -> String {
        match self.ask(request, payload) {
            (Response::Failed { message }, _) => message,
            (
                Response::Checked(_)
                | Response::Ready(_)
                | Response::Sum
                | Response::Measured
                | Response::Scored(_),
                _,
            ) => panic!("{request:?} was met"),
        }
    }

    /// Closes the pipe and returns whether the trainer ended well.
    fn close(mut self) -> bool {
        drop(self.0.stdin.take());
        self.0.wait().unwrap().success()
    }
}

fn weights(plan: &str) -> Vec<u8> {
    let plan: Plan = text_file::parse("plan", plan).unwrap();
    let values = initial_values(plan.architecture(), plan.model.seed);
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn sum(ids: &[u32]) -> Request {
    Request::Sum {
        sampled: ids.iter().copied().map(PatientId).collect(),
        slice_seed: 3,
        clip: 1.0.try_into().unwrap(),
    }
}

fn integers(payload: &[u8]) -> Vec<i64> {
    payload.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect()
}

#[test]
fn a_risk_study_runs_over_the_pipe() {
    let folder = TempDir::new().unwrap();
    let plan = plan_text(TABLE_PLAN);
    let mut trainer = Trainer::start(&[]);
    let ready = trainer.load(&plan, table_cohort(folder.path()));
    let Response::Ready(Loaded { train: 6, test: 1, digest }) = ready else { panic!("{ready:?}") };
    let check = Request::Check { cohort_file: folder.path().join("cohort.toml") };
    let (Response::Checked(inventory), _) = trainer.ask(&check, &[]) else { panic!("not checked") };
    assert_eq!((inventory.declared, inventory.train, inventory.test), (10, 6, 1));
    assert_eq!(inventory.digest, digest, "what is loaded is what was checked");
    let weights = weights(&plan);
    let (answer, payload) = trainer.ask(&sum(&[0, 2]), &weights);
    assert_eq!(answer, Response::Sum);
    // At zero weights the residual of both, who are ill, is -1/2. Their inputs are age, its indicator, f,
    // m, its indicator, and 1; the ages 31 and 53 become -0.38 and 0.06. The clip of 1 is never reached.
    let expected = [16_000, 0, -100_000, 0, 0, -100_000];
    let found = integers(&payload);
    assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() <= 2), "{found:?}");
    let (_, nobody) = trainer.ask(&sum(&[]), &weights);
    assert_eq!(integers(&nobody), [0; 6]);
    let (answer, _) = trainer.ask(&Request::Score { fit_intercept: true }, &weights);
    let Response::Scored(report) = answer else { panic!("{answer:?}") };
    let Report::Risk(report) = *report else { panic!("{report:?}") };
    assert_eq!(report.rows.len(), 1);
    assert!(report.intercept > 0.5 && report.intercept < 10.0, "one class only: {}", report.intercept);
    assert!(trainer.close());
}

#[test]
fn a_segmentation_study_runs_over_the_pipe() {
    let folder = TempDir::new().unwrap();
    let plan = plan_text(IMAGE_PLAN);
    let mut trainer = Trainer::start(&[]);
    let Response::Ready(Loaded { train, test, .. }) = trainer.load(&plan, image_cohort(folder.path())) else {
        panic!("not loaded")
    };
    assert_eq!(train + test, 4);
    let weights = weights(&plan);
    let (_, all) = trainer.ask(&sum(&(0..train).collect::<Vec<_>>()), &weights);
    let each = (0..train).map(|id| integers(&trainer.ask(&sum(&[id]), &weights).1));
    let total = each.reduce(|a, b| a.iter().zip(&b).map(|(a, b)| a + b).collect()).unwrap();
    assert_eq!(integers(&all), total);
    assert!(total.iter().any(|&value| value != 0));
    let (answer, _) = trainer.ask(&Request::Score { fit_intercept: false }, &weights);
    let Response::Scored(report) = answer else { panic!("{answer:?}") };
    let Report::Segmentation(report) = *report else { panic!("{report:?}") };
    assert_eq!(report.rows.len(), test as usize);
    assert!(trainer.close());
}

#[test]
fn requests_that_cannot_be_met_are_answered_with_a_reason() {
    let folder = TempDir::new().unwrap();
    let plan = plan_text(TABLE_PLAN);
    let file = table_cohort(folder.path());
    let load = |plan: &str, file: &Path| Request::Load {
        plan: plan.to_owned(),
        cohort_file: file.to_owned(),
        threads: 1,
        altered: None,
    };
    let mut trainer = Trainer::start(&[]);
    let good = weights(&plan);
    let score = Request::Score { fit_intercept: true };
    assert_eq!(trainer.refused(&sum(&[0]), &good), "no cohort is loaded");
    assert!(trainer.refused(&load("[study]\n", &file), &[]).starts_with("the plan is refused: plan:"));
    assert!(
        trainer
            .refused(&load(&plan, Path::new("/no/such.toml")), &[])
            .starts_with("the cohort cannot be opened: ")
    );
    assert!(
        trainer
            .refused(&load(&plan_text(IMAGE_PLAN), &file), &[])
            .starts_with("the cohort cannot be opened: ")
    );
    trainer.load(&plan, file);
    let mut broken = good.clone();
    broken[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
    assert_eq!(trainer.refused(&sum(&[0]), &broken), "the weight 1 is not a number from -2^40 to 2^40");
    assert_eq!(trainer.refused(&score, &broken), "the weight 1 is not a number from -2^40 to 2^40");
    for length in [0, 23, 28] {
        let payload = vec![0; length];
        assert!(trainer.refused(&sum(&[0]), &payload).ends_with("expected the model's 6"), "{length} bytes");
        assert!(trainer.refused(&score, &payload).ends_with("expected the model's 6"), "{length} bytes");
    }
    assert_eq!(trainer.refused(&sum(&[10]), &good), "patient 10 was sampled, but the cohort declares 10");
    assert_eq!(trainer.refused(&sum(&[2, 2]), &good), "patient 2 was sampled more than once");
    assert_eq!(trainer.ask(&sum(&[0]), &good).0, Response::Sum, "it is still there");
    assert!(trainer.close());
}

#[test]
fn a_broken_frame_ends_the_trainer_with_an_error() {
    use std::io::Write;
    let mut trainer = Trainer::start(&[]);
    trainer.0.stdin.as_mut().unwrap().write_all(&[0xff; 64]).unwrap();
    assert!(!trainer.close());
}

/// Whether the kernel has both guards is what `--check-sandbox` says; a kernel without one cannot run this test.
#[test]
#[expect(clippy::print_stdout, reason = "what `cargo xtask test` counts")]
fn the_sandbox_denies_network_programs_and_files() {
    let check = |args: &[&str]| {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fedtwin-trainer"));
        let output = command.args(args).arg("--check-sandbox").arg(folder.path()).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (sound, said) = check(&[]);
    if said.contains("lacks Landlock") {
        println!("skipped: the kernel has no Landlock");
        return;
    }
    assert!(sound, "{said}");
    // Waiving allows nothing that the kernel can forbid.
    let (sound, said) = check(&["--unprotected"]);
    assert!(sound, "{said}");
}

/// What the check tries is possible outside of the sandbox: a control.
#[test]
fn what_the_sandbox_check_tries_is_possible_without_a_sandbox() {
    let in_memory = PathBuf::from(format!("/dev/shm/fedtwin-sandbox-control-{}", std::process::id()));
    fs::write(&in_memory, "another's").unwrap();
    for number in [14, 15] {
        assert!(fedtwin_trainer::sandbox::attempt(number, Path::new("/")), "attempt {number}");
    }
    fs::remove_file(in_memory).unwrap();
    for (number, needs_a_file) in [(2, false), (3, false), (4, false), (5, false), (7, false), (12, true)] {
        let folder = TempDir::new().unwrap();
        if needs_a_file {
            fs::write(folder.path().join("fedtwin-sandbox-check"), "a key").unwrap();
        }
        assert!(fedtwin_trainer::sandbox::attempt(number, folder.path()), "attempt {number}");
    }
}

#[test]
fn a_sandbox_check_that_ends_early_leaves_no_secret_behind() {
    let folder = TempDir::new().unwrap();
    let in_memory = PathBuf::from(format!("/dev/shm/fedtwin-sandbox-check-{}", std::process::id()));
    let checked = fedtwin_trainer::sandbox::check(folder.path(), |_number| {
        assert!(in_memory.exists(), "a secret is there while attempts are made");
        Command::new("/no/such/program")
    });
    assert!(checked.is_err());
    assert!(!in_memory.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_trainer_reads_its_first_cohort_and_no_other() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let plan = plan_text(TABLE_PLAN);
    let mut trainer = Trainer::start(&[]);
    let (first, second) = (table_cohort(one.path()), table_cohort(other.path()));
    for _again in 0..2 {
        assert!(matches!(trainer.load(&plan, first.clone()), Response::Ready(_)));
    }
    let load = Request::Load { plan, cohort_file: second, threads: 1, altered: None };
    let refused = trainer.refused(&load, &[]);
    assert!(refused.contains("cohort.toml"), "{refused}");
    assert!(trainer.close());
}

#[test]
fn several_threads_train_behind_the_sandbox() {
    let folder = TempDir::new().unwrap();
    let plan = plan_text(IMAGE_PLAN);
    let mut trainer = Trainer::start(&[]);
    let cohort_file = image_cohort(folder.path());
    let load = Request::Load { plan: plan.clone(), cohort_file, threads: 4, altered: None };
    let (Response::Ready(Loaded { train, .. }), _) = trainer.ask(&load, &[]) else { panic!("not loaded") };
    let weights = weights(&plan);
    let (answer, payload) = trainer.ask(&sum(&(0..train).collect::<Vec<_>>()), &weights);
    assert_eq!(answer, Response::Sum);
    assert!(integers(&payload).iter().any(|&value| value != 0));
    let (answer, _) = trainer.ask(&Request::Score { fit_intercept: false }, &weights);
    assert!(matches!(answer, Response::Scored(_)), "{answer:?}");
    assert!(trainer.close());
}

#[test]
fn a_trainer_over_its_memory_dies_alone() {
    let mut trainer = Trainer::start(&["--memory-mb", "200"]);
    let payload = vec![0; 1 << 30];
    // It dies while it reads, so the write may fail as well.
    drop(write_frame(trainer.0.stdin.as_mut().unwrap(), &sum(&[]), &payload));
    assert!(!trainer.close());
}
