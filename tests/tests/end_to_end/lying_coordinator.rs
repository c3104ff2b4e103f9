//! A coordinator with valid credentials that lies: its site believes neither models nor plans.

use std::sync::Arc;
use std::time::Duration;

use fedtwin_certs::tls;
use fedtwin_daemon::{clock, transport};
use fedtwin_plan::family::VectorSize;
use fedtwin_plan::{Architecture, Digest, model_file};
use fedtwin_proto::domain::Notice;
use fedtwin_site_agent::client::{CallError, Client};
use fedtwin_tests::fake_coordinator::{FakeCoordinator, Lies};
use fedtwin_tests::testbed::{SiteTerms, Testbed, in_time, until};
use fedtwin_tests::vector_study::VectorStudy;

fn spec(parameters: i64) -> Architecture {
    VectorSize { parameters: parameters.try_into().expect("a model has this many weights") }.architecture()
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_are_not_the_plans_or_not_finite_are_refused() {
    in_time(async {
        let testbed = Testbed::start(1)?;
        let values = vec![0.25; 300_000];
        let with = |bad: f32| {
            let mut values = values.clone();
            values[299_999] = bad;
            model_file::encode(&spec(300_000), &values)
        };
        let good = with(0.5);
        let other_shape = model_file::encode(&spec(299_999), &values[1..]);
        let mut longer = good.clone();
        longer.push(0);
        let not_finite = "the model's value 299999 is not a number from -2^40 to 2^40";
        let other = "the model's tensors are not those of the plan";
        for (model, expected) in [
            (with(f32::NAN), not_finite),
            (with(f32::NEG_INFINITY), not_finite),
            (with(1.1e12), not_finite),
            (other_shape, other),
            (good[..good.len() - 4].to_vec(), other),
            (longer, other),
        ] {
            let digest = Digest::of(&model);
            let said = fetch(&testbed, model, digest).await?.expect_err(expected);
            assert!(said.contains("the coordinator misbehaved") && said.contains(expected), "{said}");
        }
        let said = fetch(&testbed, good.clone(), Digest::of(b"another")).await?.expect_err("other bytes");
        assert!(said.contains("the model's digest is not the one announced"), "{said}");
        let digest = Digest::of(&good);
        let fetched = fetch(&testbed, good.clone(), digest).await?.expect("a good model");
        assert_eq!(model_file::encode(&spec(300_000), &fetched), good);
        Ok(())
    })
    .await;
}

/// Fetches a model from a liar who sends these bytes for it.
async fn fetch(
    testbed: &Testbed,
    model: Vec<u8>,
    digest: Digest,
) -> anyhow::Result<Result<Vec<f32>, String>> {
    let lies = Lies { model, ..Lies::default() };
    let liar = FakeCoordinator::start(&testbed.credentials("coordinator")?, lies).await?;
    let config = tls::client_config(&testbed.credentials("site-0")?, clock::for_tls())?;
    let channel = transport::connect(&liar.address.to_string(), "localhost", Arc::new(config)).await?;
    let fetched = Client::new(channel).fetch_model(&digest, &spec(300_000)).await;
    Ok(fetched.map_err(|error| error.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_never_sends_the_model_is_not_waited_for() {
    in_time(async {
        let testbed = Testbed::start(1)?;
        let lies = Lies { silent: true, ..Lies::default() };
        let liar = FakeCoordinator::start(&testbed.credentials("coordinator")?, lies).await?;
        let config = tls::client_config(&testbed.credentials("site-0")?, clock::for_tls())?;
        let channel = transport::connect(&liar.address.to_string(), "localhost", Arc::new(config)).await?;
        let mut client = Client::new(channel).with_silence_max(Duration::from_millis(100));
        let given_up = client.fetch_model(&Digest::of(b"a model"), &spec(3)).await.expect_err("it is silent");
        assert!(matches!(given_up, CallError::Unreachable(_)), "{given_up}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_does_not_answer_a_plan_that_was_changed_on_its_way() {
    in_time(async {
        let mut testbed = Testbed::start(1)?;
        let study = VectorStudy::new("changed", &testbed.sites);
        let mut plan = study.sign(testbed.federation.researcher());
        let place = plan.text.windows(6).position(|text| text == b"A scri").unwrap();
        plan.text[place] ^= 1;
        let lies = Lies { notices: vec![Notice::Offer(Arc::new(plan))], ..Lies::default() };
        let liar = FakeCoordinator::start(&testbed.credentials("coordinator")?, lies).await?;
        testbed.start_site_at(0, &SiteTerms::good(0), liar.address)?;
        until(|| testbed.log(Some(0)).contains("an offered plan was refused")).await;
        assert!(testbed.log(Some(0)).contains("it was changed after signing"), "{}", testbed.log(Some(0)));
        assert!(!testbed.trainer_was_loaded(0));
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_a_mirror_does_not_hold_are_not_acknowledged() {
    in_time(async {
        let mut testbed = Testbed::start(1)?;
        let lies = Lies { entries_lost: 1, ..Lies::default() };
        let liar = FakeCoordinator::start(&testbed.credentials("coordinator")?, lies).await?;
        testbed.start_site_at(0, &SiteTerms::good(0), liar.address)?;
        until(|| testbed.log(Some(0)).contains("the coordinator misbehaved: its mirror was sent")).await;
        let note = testbed.site_folder(0).join("state/acknowledged.checkpoint");
        assert!(!note.exists(), "{}", testbed.log(Some(0)));
        Ok(())
    })
    .await;
}
