//! What the driver makes of a folder, of sites that do not read, and of work that fails.

use std::path::PathBuf;

use fedtwin_certs::{Authority, CertificateTerms, Credentials, Role};
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, ResearcherName};
use fedtwin_proto::domain::{Answer, Event, Notice, StudyOutcome};

use super::*;

const PLAN: &str = r#"
study = { id = "ID", title = "t", sites = ["north", "south"], readers = ["ben"], expires = "2030-01-01" }
cohort = { name = "c", patients_max = 10 }
data.table = { outcome = "o", features.age.number = { unit = "years", low = 0.0, high = 100.0 } }
rounds = { count = 1, attempts_max = 1, blocks = 1, sites_min = 1, join_s = 30, deadline_s = 9, slot_s = 0 }
privacy.none = { clip = 8.0 }
calibrated = { m = 10, c_int = 8000, modulus_bits = 32, steps = 1 }
model = { family.vector.parameters = 4, seed = 1 }
training = { sampling = "1", loss = "bce", site = "gradient", server.fedavg.learning_rate = 1.0 }
"#;

/// A driver that runs.
struct Run {
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), LogError>>,
}

impl Run {
    fn start(driver: Driver) -> Self {
        let (commands, queue) = mpsc::channel(8);
        let stop = CancellationToken::new();
        let task = tokio::spawn(driver.run(queue, stop.clone()));
        Self { commands, stop, task }
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.unwrap();
        answer.await.unwrap()
    }

    /// Subscribes a site for which so many notices may wait.
    async fn subscribe(&self, site: &str, room: usize) -> mpsc::Receiver<Notice> {
        let (notices, queue) = mpsc::channel(room);
        let subscription = Subscription { number: 0, agent: Vec::new(), running: Vec::new(), notices };
        self.ask(|reply| Command::Subscribe(site.parse().unwrap(), subscription, reply)).await.unwrap();
        // It is answered before its studies are told, and the next command after that.
        let watch = |reply| Command::Watch(who("researcher/nobody"), id("none"), reply);
        self.ask(watch).await.unwrap_err();
        queue
    }

    /// A site says something.
    async fn tell(&self, site: &str, call: Call, study: &StudyId, input: Input) -> Result<(), CommandError> {
        let (caller, study, input) = (who(&format!("site/{site}")), study.clone(), Box::new(input));
        self.ask(|reply| Command::Tell(caller, call, study, input, reply)).await
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// A coordinator's folder and log, without a coordinator.
struct Bench {
    folder: tempfile::TempDir,
    hub: Arc<Credentials>,
}

impl Bench {
    fn new() -> Self {
        let now = clock::now();
        let until = now + Duration::from_secs(1_000_000);
        let authority = Authority::create(&"fed".parse().unwrap(), now, until).unwrap();
        let hosts = vec!["localhost".to_owned()];
        let terms = CertificateTerms { from: now, tls_until: until, identity_until: until, hosts };
        let hub = authority.issue(Role::Coordinator, &"hub".parse().unwrap(), &terms).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), hub: Arc::new(hub) }
    }

    fn store(&self) -> Store {
        Store::open(self.folder.path().to_path_buf()).unwrap()
    }

    fn signer(&self) -> LogSigner {
        LogSigner(Arc::clone(&self.hub))
    }

    fn driver(&self) -> Driver {
        Driver::open(self.store(), self.signer(), Policy::default()).unwrap()
    }

    fn study(&self, id: &StudyId) -> PathBuf {
        self.folder.path().join("studies").join(id.as_str())
    }

    /// Leaves a study that ada opened, with a plan of this text and its first model, and returns the model.
    fn leave(&self, id: &StudyId, text: &str, ended: bool) -> Digest {
        let store = self.store();
        let text = text.replace("ID", id.as_str()).into_bytes();
        let plan = SignedPlan { text, signature: Vec::new(), certificate: Vec::new() };
        store.save_plan(id, &plan).unwrap();
        let mut file = store.new_model(id).unwrap();
        std::io::Write::write_all(&mut file, id.as_str().as_bytes()).unwrap();
        let model = file.commit().unwrap();
        let (mut log, _) = LogFile::open(&store.audit_log(), Box::new(self.signer())).unwrap();
        let (study, opener) = (id.clone(), ada());
        log.append(&Record::StudyOpened { study, plan: plan.digest(), model, opener }, 1).unwrap();
        if ended {
            log.append(&Record::StudyClosed { study: id.clone(), failure: None }, 2).unwrap();
        }
        model
    }
}

#[test]
fn a_clip_that_adapts_is_logged_to_the_last_bit() {
    let bench = Bench::new();
    let open = || LogFile::open(&bench.store().audit_log(), Box::new(bench.signer())).unwrap();
    let clips = [0.1 + 0.2, 8.0, f64::MIN_POSITIVE, 1e300];
    let closed = clips.map(|clip| Record::AttemptClosed {
        study: id("adaptive"),
        round: 1,
        attempt: 1,
        updates: BTreeMap::new(),
        model: None,
        average: None,
        clip: Some(clip.try_into().unwrap()),
    });
    let (mut log, _) = open();
    for record in &closed {
        log.append(record, 1).unwrap();
    }
    drop(log);
    let logged: Vec<Record> = open().1.into_iter().map(|entry| entry.body).collect();
    assert_eq!(logged, closed);
}

fn ada() -> ResearcherName {
    "ada".parse().unwrap()
}

fn who(text: &str) -> Identity {
    format!("spiffe://fed/{text}").parse().unwrap()
}

fn id(text: &str) -> StudyId {
    text.parse().unwrap()
}

/// A plan that was admitted once and is refused now.
fn refused_plan() -> String {
    PLAN.replace("count = 1", "count = 2")
}

/// How a study ended, as its followers see it.
async fn end_of(driver: &Driver, study: &StudyId) -> StudyOutcome {
    let mut follower = driver.watch(&who("researcher/ada"), study).unwrap();
    let Event::StudyClosed(closed) = &follower.next().await.unwrap().event else { panic!("it is over") };
    closed.outcome.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_studys_model_outlives_a_plan_that_is_refused_now() {
    let bench = Bench::new();
    let model = bench.leave(&id("old"), &refused_plan(), true);
    let driver = bench.driver();
    assert_eq!(end_of(&driver, &id("old")).await, StudyOutcome::Finished { model });
    for researcher in ["researcher/ada", "researcher/ben"] {
        let found = driver.register.study_of_model(&who(researcher), Call::DownloadModel, model);
        assert_eq!(found, Ok(id("old")), "{researcher}");
    }
    assert!(driver.store.model(&id("old"), &model).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_studys_model_outlives_a_plan_that_cannot_be_read() {
    let bench = Bench::new();
    let (unreadable, garbage) = (id("unreadable"), id("garbage"));
    let models = [&unreadable, &garbage].map(|id| bench.leave(id, PLAN, true));
    let plan = bench.study(&unreadable).join("plan.json");
    std::fs::rename(&plan, bench.folder.path().join("plan")).unwrap();
    std::fs::create_dir(&plan).unwrap();
    std::fs::write(bench.study(&garbage).join("plan.json"), b"{").unwrap();
    let driver = bench.driver();
    for (id, model) in [&unreadable, &garbage].into_iter().zip(models) {
        assert!(driver.store.model(id, &model).exists() && bench.study(id).join("plan.json").exists());
        let found = driver.register.study_of_model(&who("researcher/ada"), Call::DownloadModel, model);
        assert_eq!(found.as_ref(), Ok(id), "it is its opener's");
        assert!(driver.register.study_of_model(&who("researcher/ben"), Call::DownloadModel, model).is_err());
    }
    drop(driver);
    // The disk is well again.
    std::fs::remove_dir(&plan).unwrap();
    std::fs::rename(bench.folder.path().join("plan"), &plan).unwrap();
    let found =
        bench.driver().register.study_of_model(&who("researcher/ben"), Call::DownloadModel, models[0]);
    assert_eq!(found, Ok(unreadable));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_a_plan_is_removed_and_its_name_stays_used() {
    let bench = Bench::new();
    bench.leave(&id("gone"), PLAN, true);
    std::fs::remove_file(bench.study(&id("gone")).join("plan.json")).unwrap();
    let driver = bench.driver();
    assert!(!bench.study(&id("gone")).exists() && driver.register.knows(&id("gone")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_study_whose_plan_is_refused_now_is_ended_and_the_others_go_on() {
    let bench = Bench::new();
    bench.leave(&id("refused"), &refused_plan(), false);
    bench.leave(&id("fine"), PLAN, false);
    let reason = |outcome| match outcome {
        StudyOutcome::Failed { reason } => reason,
        StudyOutcome::Finished { model } => panic!("finished with {model}"),
    };
    let mut driver = bench.driver();
    assert_eq!(driver.studies.keys().collect::<Vec<_>>(), [&id("fine")]);
    let told = reason(end_of(&driver, &id("refused")).await);
    assert!(
        told.starts_with("the study's plan is admitted no more") && told.contains("attempts_max"),
        "{told}"
    );
    // A site that believes it to be running is told the same.
    let (notices, mut queue) = mpsc::channel(8);
    let subscription = Subscription { number: 0, agent: Vec::new(), running: vec![id("refused")], notices };
    driver.subscribe("north".parse().unwrap(), subscription, oneshot::channel().0).unwrap();
    let notices: Vec<_> = std::iter::from_fn(|| queue.try_recv().ok()).collect();
    let said =
        |notice: &_| matches!(notice, Notice::Closed(closed) if reason(closed.outcome.clone()) == told);
    assert!(notices.iter().any(said), "{notices:?}");
    drop(driver);
    // It is in the log, once.
    let driver = bench.driver();
    assert_eq!(reason(end_of(&driver, &id("refused")).await), told);
    let log = std::fs::read_to_string(driver.store.audit_log()).unwrap();
    assert_eq!(log.matches("admitted no more").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_study_whose_plan_cannot_be_read_keeps_the_coordinator_from_starting() {
    let bench = Bench::new();
    let model = bench.leave(&id("unreadable"), PLAN, false);
    let plan = bench.study(&id("unreadable")).join("plan.json");
    std::fs::remove_file(&plan).unwrap();
    std::fs::create_dir(&plan).unwrap();
    let error = Driver::open(bench.store(), bench.signer(), Policy::default()).err().unwrap();
    assert!(error.to_string().contains("the open study unreadable"), "{error}");
    assert!(bench.store().model(&id("unreadable"), &model).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_does_not_read_is_absent_from_then_on() {
    let bench = Bench::new();
    let study = id("two");
    let attempts = PLAN.replace("attempts_max = 1", "attempts_max = 3").replace("steps = 1", "steps = 3");
    let plan = attempts.replace("sites_min = 1", "sites_min = 2");
    bench.leave(&study, &plan, false);
    let driver = Run::start(bench.driver());
    // The offer takes all the room that one of them has.
    let _unread = driver.subscribe("north", 1).await;
    let mut read = driver.subscribe("south", 64).await;
    for site in ["north", "south"] {
        let accepted = Input::Answered(site.parse().unwrap(), Answer::Accepted { patients: 1 });
        driver.tell(site, Call::AnswerPlan, &study, accepted).await.unwrap();
    }
    for site in ["north", "south"] {
        let declined = Input::Declined(site.parse().unwrap(), 1, "no".to_owned());
        driver.tell(site, Call::DeclineRound, &study, declined).await.unwrap();
    }
    let mut invited = || {
        let notices = std::iter::from_fn(|| read.try_recv().ok());
        let attempt = |notice| match notice {
            Notice::Invitation(invitation) => Some(invitation.key.attempt),
            Notice::Offer(_) | Notice::Measurement(_) | Notice::Secure(_) | Notice::Closed(_) => None,
        };
        notices.filter_map(attempt).collect::<Vec<_>>()
    };
    assert_eq!(invited(), [1], "the second attempt waits for the other site to come back");
    let _back = driver.subscribe("north", 64).await;
    assert_eq!(invited(), [2]);
    driver.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_panics_fails_alone() {
    let bench = Bench::new();
    bench.leave(&id("fine"), PLAN, false);
    let mut driver = bench.driver();
    driver.sweep(|| panic!("a fault"));
    driver.jobs.spawn(async {
        let solved = jobs::abandonable("opening a sum", || panic!("a fault")).await;
        Done::Opened(id("fine"), 1, solved.unwrap_or(Err(UnmaskingError::SharesDoNotFit)))
    });
    // What is done is taken in until nothing is left, and the study is still there.
    while let Some(done) = driver.jobs.join_next().await {
        driver.done(done.unwrap()).unwrap();
    }
    let driver = Run::start(driver);
    let watch = |reply| Command::Watch(who("researcher/ada"), id("fine"), reply);
    assert!(driver.ask(watch).await.is_ok());
    driver.stop().await;
}

#[test]
fn a_coordinator_stops_while_a_sum_is_being_opened() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (endless, until) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        let bench = Bench::new();
        let mut driver = bench.driver();
        let (begins, began) = oneshot::channel();
        let solve = jobs::abandonable("opening a sum", move || {
            begins.send(()).unwrap();
            until.recv().is_ok()
        });
        driver.jobs.spawn(async move {
            solve.await;
            Done::Swept
        });
        began.await.unwrap();
        Run::start(driver).stop().await;
    });
    // As at the end of `main`: this waits for what the runtime itself does on threads.
    drop(runtime);
    drop(endless);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_asks_about_others_studies_has_its_line_in_the_audit_log() {
    let bench = Bench::new();
    let study = id("fine");
    bench.leave(&study, PLAN, false);
    let driver = Run::start(bench.driver());
    for site in ["west", "north"] {
        let key = AttemptKey { study: study.clone(), round: 1, attempt: 1 };
        let caller = who(&format!("site/{site}"));
        driver.ask(|reply| Command::Expect(caller, key, reply)).await.unwrap_err();
        let accepted = Input::Answered(site.parse().unwrap(), Answer::Accepted { patients: 11 });
        driver.tell(site, Call::AnswerPlan, &study, accepted).await.unwrap_err();
    }
    driver.stop().await;
    let log = std::fs::read_to_string(bench.folder.path().join("audit.log")).unwrap();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("\"refused\"")).collect();
    assert!(lines.len() == 1 && lines[0].contains("site/west") && lines[0].contains("\"count\":2"), "{log}");
}
