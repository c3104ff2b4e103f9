//! A thousand power cuts: at each write, fsync and rename, with torn and reordered writes, and again while
//! recovering. What left the site before the cut is always in the ledger after it, and paid for.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex};

use fedtwin_audit_log::disk::Disk;

use super::*;

/// A machine whose power fails after some operations. What was not synced may be lost, torn or garbled.
struct Machine {
    /// The log as programs see it.
    log: Vec<u8>,
    /// Of these bytes it is known that they are on the disk.
    synced: usize,
    head: Option<Vec<u8>>,
    /// What the head may be after a power cut, besides what programs see.
    head_before: Option<Option<Vec<u8>>>,
    /// The operations until the power fails.
    fuse: u64,
    random: u64,
    /// A disk that says that it synced and did not.
    lies: bool,
}

impl Machine {
    /// Splitmix64: any sequence will do, as long as a seed gives it again.
    fn random(&mut self, below: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap()
    }

    /// Counts an operation; the one at which the power fails may or may not have had its effect.
    fn tick(&mut self) -> io::Result<()> {
        if self.fuse == 0 {
            return Err(io::Error::other("no power"));
        }
        self.fuse -= 1;
        Ok(())
    }

    /// The power comes back: what is on the disk is all there is.
    fn restart(&mut self, fuse: u64) {
        let kept = self.synced + self.random(self.log.len() - self.synced + 1);
        let garbled = self.synced + self.random(kept - self.synced + 1);
        self.log.truncate(kept);
        // The tail of a write may reach the disk before its beginning.
        if self.random(4) == 0 {
            self.log[self.synced..garbled].fill(0);
        }
        self.synced = self.log.len();
        if let Some(before) = self.head_before.take()
            && self.random(2) == 0
        {
            self.head = before;
        }
        self.fuse = fuse;
    }
}

#[derive(Clone)]
struct Power(Arc<Mutex<Machine>>);

impl Power {
    fn on(seed: u64, lies: bool) -> Self {
        let (log, synced, head, head_before) = (Vec::new(), 0, None, None);
        let fuse = u64::MAX;
        Self(Arc::new(Mutex::new(Machine { log, synced, head, head_before, fuse, random: seed, lies })))
    }

    fn open(&self) -> Result<Ledger, LedgerError> {
        let signer = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
        let place = (Path::new("ledger"), Box::new(signer) as Box<dyn Signer + Send>);
        Ledger::open_on(Box::new(self.clone()), &owner("va"), place, NOW)
    }
}

impl Disk for Power {
    fn read(&mut self, start: u64) -> io::Result<Box<dyn Read + '_>> {
        let machine = self.0.lock().unwrap();
        Ok(Box::new(Cursor::new(machine.log[usize::try_from(start).unwrap()..].to_vec())))
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut machine = self.0.lock().unwrap();
        machine.tick()?;
        machine.log.truncate(usize::try_from(length).unwrap());
        machine.synced = machine.synced.min(machine.log.len());
        machine.tick()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut machine = self.0.lock().unwrap();
        if let Err(failed) = machine.tick() {
            let part = machine.random(bytes.len() + 1);
            machine.log.extend_from_slice(&bytes[..part]);
            return Err(failed);
        }
        machine.log.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut machine = self.0.lock().unwrap();
        machine.tick()?;
        if !machine.lies {
            machine.synced = machine.log.len();
        }
        machine.tick()
    }

    fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().head.clone())
    }

    /// Create, write and sync happen to another file; the rename is one step, and durable after another.
    fn replace_head(&mut self, head: &[u8]) -> io::Result<()> {
        let mut machine = self.0.lock().unwrap();
        for _create_write_sync in 0..3 {
            machine.tick()?;
        }
        let before = machine.head.replace(head.to_vec());
        machine.head_before.get_or_insert(before);
        machine.tick()?;
        if !machine.lies {
            machine.head_before = None;
        }
        machine.tick()
    }
}

/// What left the site: known to others, whatever happens to this machine.
#[derive(Default)]
struct Outside {
    sent: Vec<(StudyId, Purpose, (Round, Attempt), Digest)>,
    begun: Vec<(StudyId, Purpose, (Round, Attempt))>,
    next_study: u32,
}

/// Works through studies until the power fails.
fn work(ledger: &mut Ledger, outside: &mut Outside) -> Result<(), LedgerError> {
    loop {
        let name = format!("s{}", outside.next_study);
        let study: StudyId = name.parse().unwrap();
        outside.next_study += 1;
        let request = with_metrics(request(&name, "heart", 3, 2), 2);
        match ledger.reserve(&request, NOW) {
            Ok(_) => {}
            Err(LedgerError::Refused(_)) => return Ok(()),
            Err(failed) => return Err(failed),
        }
        for attempt in 0..3 {
            for purpose in [Purpose::Training, Purpose::Metrics] {
                if purpose == Purpose::Metrics && attempt == 2 {
                    continue;
                }
                let grant = ledger.begin(&study, purpose, key(attempt, attempt), NOW)?;
                // Data is read: that this attempt came to something, or to nothing, may be known from here on.
                outside.begun.push((study.clone(), purpose, grant.key()));
                if fails(outside.next_study, attempt) {
                    continue;
                }
                let digest = Digest::of(format!("{name} {purpose} {attempt}").as_bytes());
                let receipt = ledger.record(&grant, digest, NOW)?;
                outside.sent.push((study.clone(), purpose, receipt.key(), receipt.digest()));
            }
        }
        ledger.close(&study, StudyEnd::Committed, ClosedBy::Coordinator, NOW)?;
    }
}

/// Some attempts come to nothing.
fn fails(study: u32, attempt: u32) -> bool {
    study.is_multiple_of(3) && attempt == 1
}

/// Says whether everything that left is in the ledger and paid for, and all that read data is used up.
fn all_is_paid(ledger: &Ledger, outside: &Outside) -> bool {
    let price = rdp().price(&event(), 1, Delta::try_from(1e-3).unwrap()).nano - 1;
    let attempt = |study, purpose, key| {
        let progress = ledger.state().studies.get(study)?.progress.get(purpose)?;
        progress.attempts.get(key)
    };
    let recorded = outside.sent.iter().all(|(study, purpose, key, digest)| {
        attempt(study, purpose, key).is_some_and(|released| *released == Some(*digest))
    });
    let used = outside.begun.iter().all(|(study, purpose, key)| attempt(study, purpose, key).is_some());
    // A disk that lies may have lost even the budgets.
    let spent = ledger.state().report().first().map_or(0, |cohort| cohort.spent.nano);
    recorded && used && spent >= outside.begun.len() as u64 * price
}

/// Cuts the power at a random point, recovers with further cuts, and tells what was found: whether the
/// ledger opens in the end, and whether it knows all that left.
fn run(seed: u64, lies: bool) -> (bool, bool, usize) {
    let power = Power::on(seed, lies);
    let mut ledger = power.open().unwrap();
    for purpose in [Purpose::Training, Purpose::Metrics] {
        ledger.set_budget(&BudgetRequest { purpose, ..budget("heart", 3.0) }, NOW).unwrap();
    }
    let mut outside = Outside::default();
    let fuse = power.0.lock().unwrap().random(400) as u64;
    power.0.lock().unwrap().fuse = fuse;
    assert!(work(&mut ledger, &mut outside).is_err(), "the power fails before the budget is used up");
    drop(ledger);
    for _cut_while_recovering in 0..2 {
        let fuse = power.0.lock().unwrap().random(12) as u64;
        power.0.lock().unwrap().restart(fuse);
        if let Ok(mut ledger) = power.open() {
            let _cut_again = work(&mut ledger, &mut outside);
        }
    }
    power.0.lock().unwrap().restart(u64::MAX);
    match power.open() {
        Ok(ledger) => (true, all_is_paid(&ledger, &outside), outside.sent.len()),
        Err(_) => (false, true, outside.sent.len()),
    }
}

#[test]
fn a_thousand_power_cuts_leave_nothing_released_that_is_not_spent() {
    let (mut sent, mut unpaid) = (0, 0);
    for seed in 0..1000 {
        let (opens, paid, released) = run(seed, false);
        assert!(opens, "seed {seed}: the ledger does not open");
        sent += released;
        unpaid += usize::from(!paid);
    }
    eprintln!("power cuts: 3000 in 1000 runs, releases: {sent}, runs with spent < released: {unpaid}");
    assert!(sent > 1000, "the runs release enough to mean something: {sent}");
    assert_eq!(unpaid, 0);
}

/// The same test finds a disk that does not sync: it can fail.
#[test]
fn a_disk_that_lies_about_syncing_is_found_out() {
    let found = (0..100).map(|seed| run(seed, true)).filter(|(opens, paid, _)| !opens || !paid).count();
    assert!(found > 50, "{found} of 100 runs");
}
