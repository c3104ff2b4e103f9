//! Identifiers planted in folder, file, column, category and cell of a source are in no byte that leaves, in whichever way a site
//! refuses, declines or fails.

use std::fs;
use std::path::{Path, PathBuf};

use fedtwin_simulation::federation::Programs;
use fedtwin_tests::relay::{Capture, Relay};
use fedtwin_tests::testbed::{SiteTerms, Testbed, in_time, programs, programs_that_train};
use fedtwin_tests::vector_study::{VectorModel, VectorPrivacy, VectorStudy};

/// A site with a planted table, checked and running behind a relay that sees every byte.
struct Planted {
    testbed: Testbed,
    capture: Capture,
    _relay: Relay,
}

impl Planted {
    async fn start(programs: Programs) -> anyhow::Result<Self> {
        let mut testbed = Testbed::start_programs(1, programs)?;
        let (coordinator, site) = (testbed.credentials("coordinator")?, testbed.credentials("site-0")?);
        let relay = Relay::start(&coordinator, &site, testbed.federation.address()).await?;
        let folder = testbed.site_folder(0).join(FOLDER);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(FILE), table())?;
        fs::write(folder.join("schema.toml"), schema())?;
        let good = SiteTerms::good(0);
        let source = format!("[source.table]\nfile = \"{FOLDER}/{FILE}\"\nschema = \"{FOLDER}/schema.toml\"");
        let invented = "[source.synthetic-table]\nseed = 1\nsite = 0\npatients = 80";
        let cohort = good.cohort.replace(invented, &source);
        testbed.start_site_at(0, &SiteTerms { cohort, ..good }, relay.address)?;
        Ok(Self { testbed, capture: relay.capture(), _relay: relay })
    }

    fn place(&self, name: &str) -> PathBuf {
        self.testbed.site_folder(0).join(name)
    }

    fn table(&self) -> PathBuf {
        self.place(FOLDER).join(FILE)
    }

    /// Opens a study that comes to nothing, and returns what this site says of why.
    async fn fails(&self, study: VectorStudy) -> anyhow::Result<String> {
        let study = VectorStudy { family: VectorModel::LinearRisk, rounds: 1, attempts_max: 1, ..study };
        let mut watch = self.testbed.open(&study).await?;
        let reason = watch.refusal("site-0").await?;
        watch.outcome().await?;
        Ok(reason)
    }

    fn study(&self, id: &str) -> VectorStudy {
        VectorStudy::new(id, &self.testbed.sites)
    }

    /// Checks that nothing planted has left: on the wire, in what the coordinator keeps, in the ledger, or in a reason.
    fn assert_nothing_left(&self, reasons: &[String]) {
        let mut kept = reasons.join("\n").into_bytes();
        for file in files(&self.testbed.folder().join("coordinator")) {
            kept.extend(fs::read(file).unwrap_or_default());
        }
        kept.extend(fs::read(self.place("state/ledger.log")).expect("the site has a ledger"));
        for planted in PLANTED {
            assert!(!self.capture.holds(planted.as_bytes()), "{planted} passed: {reasons:#?}");
            let found = kept.windows(planted.len()).any(|part| part == planted.as_bytes());
            assert!(!found, "{planted} is kept outside: {reasons:#?}");
        }
        assert!(self.capture.holds(b"audience-of-the-planted"), "the relay sees inside of the TLS");
    }
}

/// Everything in a folder and in its folders.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_holds_no_word_of_the_hospital() {
    in_time(async {
        let site = Planted::start(programs()?).await?;
        let number =
            |name: &str, unit: &str| format!("{name}.number = {{ unit = \"{unit}\", low = 20, high = 100 }}");
        let category = |name: &str| format!("{name}.category = [\"a\", \"b\"]");
        let mut reasons = Vec::new();
        // Features that the cohort lacks, or has in another way.
        let features = [
            number("bmi", "kg/m2"),
            number("age", "months"),
            category("age"),
            number("ward", "m"),
            category("ward"),
            number("age", "years").replace("low = 20, high = 100", "low = 200, high = 300"),
        ];
        for (nth, features) in features.into_iter().enumerate() {
            let study = VectorStudy { features, ..site.study(&format!("audience-of-the-planted-{nth}")) };
            reasons.push(site.fails(study).await?);
        }
        let changes: [(&str, &str); 3] = [
            ("outcome = \"disease\"", "outcome = \"death\""),
            ("patients_max = 64", "patients_max = 3"),
            ("name = \"scripted\"", "name = \"another\""),
        ];
        for (nth, (from, to)) in changes.into_iter().enumerate() {
            let study = site.study(&format!("audience-of-the-planted-change-{nth}"));
            let text = study.text();
            assert!(text.contains(from), "the plan says {from}: {text}");
            let changes = vec![(from.to_owned(), to.to_owned())];
            reasons.push(site.fails(VectorStudy { changes, ..study }).await?);
        }
        let privacy = VectorPrivacy::Local { noise_multiplier: 1, epsilon: 1000.0 };
        reasons.push(site.fails(VectorStudy { privacy, ..site.study("greedy") }).await?);
        // The site's disk, and a record that people have to make anew.
        fs::rename(site.place("state/studies"), site.place("aside")).ok();
        fs::write(site.place("state/studies"), PLANTED[0])?;
        reasons.push(site.fails(site.study("no-room")).await?);
        fs::remove_file(site.place("state/studies"))?;
        fs::write(site.place("state/checked/scripted.json"), PLANTED[0])?;
        reasons.push(site.fails(site.study("never-checked")).await?);
        site.assert_nothing_left(&reasons);
        // The control: what is looked for is found once it passes.
        site.fails(site.study("maiden-name")).await?;
        assert!(site.capture.holds(b"maiden-name"));
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_after_data_were_read_holds_no_word_of_the_hospital() {
    in_time(async {
        let site = Planted::start(programs_that_train()?).await?;
        let good = table();
        let broken: [(&str, String); 6] = [
            ("a cell", good.replace("Zebulon Quux,57", "Zebulon Quux,Zebulon Quux")),
            ("a quote", good.replace("Zebulon Quux,57", "\"Zebulon Quux,57")),
            ("a column", good.replace("Zebulon Quux,57", "Zebulon Quux,57,1,Zebulon Quux")),
            ("a patient twice", good.clone() + "mrn-48151,Zebulon Quux,57,isolation-quux,1\n"),
            ("another header", good.replace("maiden-name-quux,", "")),
            ("nothing", String::new()),
        ];
        let mut reasons = Vec::new();
        for (nth, (what, text)) in broken.into_iter().enumerate() {
            assert_ne!(text, good, "{what} is broken");
            fs::write(site.table(), text)?;
            let reason = site.fails(site.study(&format!("audience-of-the-planted-{nth}"))).await?;
            assert_eq!(reason, "the site could not compute its update; its log says why", "{what}");
            reasons.push(reason);
        }
        fs::remove_file(site.table())?;
        reasons.push(site.fails(site.study("no-file")).await?);
        fs::create_dir(site.table())?;
        reasons.push(site.fails(site.study("a-folder")).await?);
        fs::remove_dir(site.table())?;
        fs::write(site.table(), &good)?;
        let log = site.testbed.log(Some(0));
        for planted in [FOLDER, FILE] {
            assert!(log.contains(planted), "people at the site are told where: {log}");
        }
        site.assert_nothing_left(&reasons);
        Ok(())
    })
    .await;
}

/// A table of eighty patients, of which the plan needs one column.
fn table() -> String {
    let mut table = String::from("record,maiden-name-quux,age,ward,outcome\n");
    for patient in 0..80 {
        let (age, outcome) = (20 + patient * 37 % 80, u8::from(patient * 7 % 10 < 4));
        table.push_str(&format!("mrn-{:05},Zebulon Quux,{age},isolation-quux,{outcome}\n", 48_151 + patient));
    }
    table
}

fn schema() -> String {
    "patient_id = \"record\"\n[outcome]\nname = \"disease\"\ncolumn = \"outcome\"\nrule = { above = 0 }\n[features]\n\
     age.number = { unit = \"years\", low = 20, high = 100 }\n\
     ward.category.codes = { isolation-quux = \"isolation-quux\", other-quux = \"other-quux\" }\n"
        .to_owned()
}

const FOLDER: &str = "ward-of-dr-quux";
const FILE: &str = "planted-file-name.csv";
const PLANTED: [&str; 7] = ["Zebulon", "quux", "Quux", "mrn-", "-48151", "planted-file-name", "maiden-name"];
