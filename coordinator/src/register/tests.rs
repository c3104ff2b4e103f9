//! Admission, relations and needed models under fixed and generated schedules.

use fedtwin_plan::text_file::parse;

use super::*;

const PLAN: &str = r#"
study = { id = "ID", title = "t", sites = ["north", "south"], readers = ["ben"], expires = "2030-01-01" }
cohort = { name = "c", patients_max = 10 }
data.table = { outcome = "o", features.age.number = { unit = "years", low = 0.0, high = 100.0 } }
rounds = { count = 1, attempts_max = 1, blocks = 1, sites_min = 1, join_s = JOIN, deadline_s = 9, slot_s = 0 }
privacy.none = { clip = 8.0 }
calibrated = { m = 10, c_int = 8000, modulus_bits = 32, steps = 1 }
model = { family.vector.parameters = WEIGHTS, seed = 1 }
training = { sampling = "1", loss = "bce", site = "gradient", server.fedavg.learning_rate = 1.0 }
"#;

fn plan_of(id: &str, weights: &str, join: &str) -> Plan {
    let text = PLAN.replace("ID", id).replace("WEIGHTS", weights).replace("JOIN", join);
    parse("plan", &text).unwrap_or_else(|error| panic!("{error}"))
}

fn plan(id: &str) -> Plan {
    plan_of(id, "4", "30")
}

fn name(text: &str) -> ResearcherName {
    text.parse().unwrap()
}

fn who(text: &str) -> Identity {
    format!("spiffe://fed/{text}").parse().unwrap()
}

fn model(number: u64) -> Digest {
    Digest::of(&number.to_le_bytes())
}

fn policy() -> Policy {
    Policy { studies_max: 3, studies_per_researcher_max: 2, ended_studies_max: 2, ..Policy::default() }
}

const NOW: Timestamp = Timestamp(1_800_000_000_000);

#[test]
fn one_researcher_leaves_room_for_others_and_all_together_are_bounded() {
    let mut register = Register::new(policy());
    register.admit(&plan("a"), &name("ada"), NOW).unwrap();
    register.admit(&plan("b"), &name("ada"), NOW).unwrap();
    let many = register.admit(&plan("c"), &name("ada"), NOW).unwrap_err();
    assert!(matches!(many, AdmissionError::ManyOfOne { max: 2, .. }), "{many}");
    register.admit(&plan("c"), &name("ben"), NOW).unwrap();
    assert_eq!(register.admit(&plan("d"), &name("cleo"), NOW), Err(AdmissionError::Many(3)));
    register.withdraw(&"b".parse().unwrap());
    register.admit(&plan("d"), &name("cleo"), NOW).unwrap();
    let again = register.admit(&plan("a"), &name("cleo"), NOW).unwrap_err();
    assert!(matches!(again, AdmissionError::Exists(_)), "{again}");
}

#[test]
fn what_a_plan_asks_for_is_compared_before_it_has_a_place() {
    let limits = Policy { parameters_max: 1000, join_s_max: 60, ..Policy::default() };
    let mut register = Register::new(limits);
    let large = register.admit(&plan_of("a", "1_000_000_000", "30"), &name("ada"), NOW).unwrap_err();
    assert_eq!(large, AdmissionError::TooMuch(PolicyError::Weights { weights: 1_000_000_000, max: 1000 }));
    let long = register.admit(&plan_of("a", "4", "86_400"), &name("ada"), NOW).unwrap_err();
    assert_eq!(long, AdmissionError::TooMuch(PolicyError::Join { join_s: 86_400, max: 60 }));
    assert!(!register.knows(&"a".parse().unwrap()), "a refused identifier is free");
    register.admit(&plan_of("a", "1000", "60"), &name("ada"), NOW).unwrap();
}

#[test]
fn a_day_has_so_many_openings() {
    let mut register = Register::new(Policy { openings_per_day_max: 2, ..Policy::default() });
    let mut open = |id: &str, now| {
        register.admit(&plan(id), &name("ada"), now)?;
        register.opened(&plan(id).study.id, model(1), now);
        register.end(&plan(id).study.id, None);
        Ok(())
    };
    assert_eq!((open("a", NOW), open("b", NOW)), (Ok(()), Ok(())));
    assert_eq!(open("c", NOW), Err(AdmissionError::ManyToday { opener: name("ada"), max: 2 }));
    assert_eq!(open("c", Timestamp(NOW.0 + DAY_MS)), Ok(()));
}

#[test]
fn a_restart_counts_the_openings_of_today_alone_in_whichever_order_they_come() {
    let days_ago = |days: u64| Timestamp(NOW.0 - days * DAY_MS);
    let year_ahead = Timestamp(NOW.0 + 365 * DAY_MS);
    let mut openings = vec![days_ago(3), NOW, days_ago(1), year_ahead, days_ago(40), NOW];
    for _rotation in 0..openings.len() {
        openings.rotate_left(1);
        let admitted = |openings_per_day_max| {
            let mut register = Register::new(Policy { openings_per_day_max, ..Policy::default() });
            openings.iter().for_each(|at| register.count_opening(&name("ada"), *at, NOW));
            register.admit(&plan("new"), &name("ada"), NOW)
        };
        assert_eq!(
            admitted(2),
            Err(AdmissionError::ManyToday { opener: name("ada"), max: 2 }),
            "{openings:?}"
        );
        assert_eq!(admitted(3), Ok(()), "{openings:?}");
    }
}

#[test]
fn a_clock_that_ran_ahead_and_came_back_locks_nobody_out() {
    let mut register = Register::new(Policy { openings_per_day_max: 1, ..Policy::default() });
    let mut open = |id: &str, now| {
        register.admit(&plan(id), &name("ada"), now)?;
        register.opened(&plan(id).study.id, model(1), now);
        register.end(&plan(id).study.id, None);
        Ok(())
    };
    let many = Err(AdmissionError::ManyToday { opener: name("ada"), max: 1 });
    assert_eq!(open("a", Timestamp(NOW.0 + 365 * DAY_MS)), Ok(()));
    assert_eq!(open("b", NOW), Ok(()));
    assert_eq!(open("c", NOW), many, "the day counts from anew");
    assert_eq!(open("c", Timestamp(NOW.0 - DAY_MS)), many, "a clock that is set back a little gives nothing");
}

#[test]
fn a_study_is_its_openers_its_readers_and_its_sites() {
    let mut register = Register::new(policy());
    let id = plan("a").study.id.clone();
    register.admit(&plan("a"), &name("ada"), NOW).unwrap();
    register.opened(&id, model(1), NOW);
    let may = |caller: &str, call| register.authorize(&who(caller), call, &id).is_ok();
    for (caller, watches, cancels) in [
        ("researcher/ada", true, true),
        ("researcher/ben", true, false),
        ("researcher/cleo", false, false),
        ("operator/ada", true, true),
        ("auditor/ada", false, false),
        ("site/north", false, false),
        ("site/ada", false, false),
    ] {
        assert_eq!(
            (may(caller, Call::WatchStudy), may(caller, Call::CancelStudy)),
            (watches, cancels),
            "{caller}"
        );
        let download = register.study_of_model(&who(caller), Call::DownloadModel, model(1));
        assert_eq!(download.is_ok(), watches && caller.starts_with("researcher"), "{caller}");
    }
    for (site, is_in) in [("site/south", true), ("site/west", false), ("researcher/ada", false)] {
        assert_eq!(may(site, Call::AnswerPlan), is_in, "{site}");
        let fetched = register.study_of_model(&who(site), Call::FetchStudyModel, model(1));
        assert_eq!(fetched.is_ok(), is_in, "{site}");
    }
    let foreign = register.authorize(&who("researcher/cleo"), Call::WatchStudy, &id).unwrap_err();
    let other = "b".parse().unwrap();
    let nothing = register.authorize(&who("researcher/cleo"), Call::WatchStudy, &other).unwrap_err();
    assert_eq!(
        foreign.to_string(),
        nothing.to_string().replace("study b", "study a"),
        "no telling which exist"
    );
}

/// A thousand generated steps with a multiplicative generator: whatever happens, the bounds hold and a model is
/// needed exactly as long as its study needs it.
#[test]
fn bounds_hold_whatever_happens() {
    let mut state = 20_261_128_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    let mut register = Register::new(policy());
    let (mut open, mut kept, mut number) =
        (Vec::<StudyId>::new(), BTreeMap::<StudyId, Vec<Digest>>::new(), 0);
    for step in 0..3000_u64 {
        match draw(4) {
            0 => {
                number += 1;
                let plan = plan(&format!("s{number}"));
                let opener = name(["ada", "ben"][usize::try_from(draw(2)).unwrap()]);
                if register.admit(&plan, &opener, Timestamp(NOW.0 + step * DAY_MS)).is_ok() {
                    register.opened(&plan.study.id, model(step), NOW);
                    kept.insert(plan.study.id.clone(), vec![model(step)]);
                    open.push(plan.study.id.clone());
                }
            }
            1 if !open.is_empty() => {
                let id = open.swap_remove(usize::try_from(draw(open.len() as u64)).unwrap());
                let last = kept[&id].last().copied();
                let gone = register.end(&id, last);
                kept.insert(id, last.into_iter().collect());
                for id in gone {
                    assert!(!open.contains(&id));
                    kept.remove(&id);
                    assert!(register.knows(&id), "its identifier stays used");
                }
            }
            _ if !open.is_empty() => {
                let id = &open[usize::try_from(draw(open.len() as u64)).unwrap()];
                let models = kept.get_mut(id).unwrap();
                models.push(model(step));
                let gone = register.round_closed(id, model(step), None);
                models.retain(|model| !gone.contains(model));
            }
            _ => {}
        }
        assert!(open.len() <= 3, "{open:?}");
        assert!(kept.len() - open.len() <= 4, "two ended studies of each of two researchers");
        for (id, models) in &kept {
            assert_eq!(register.models(id), models.as_slice(), "{id}");
            assert!(models.len() <= 2);
        }
    }
    assert!(number > 500 && kept.len() > 4);
}
