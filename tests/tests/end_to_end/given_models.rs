//! Initial models that researchers give, and averages of models: what begins a study and what ends it.

use std::fs;

use fedtwin_plan::family::VectorSize;
use fedtwin_plan::model_file::{decode, encode, header};
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Architecture, Digest};
use fedtwin_proto::limits::CHUNK_BYTES;
use fedtwin_research::client::Client;
use fedtwin_simulation::federation::RESEARCHER;
use fedtwin_tests::testbed::{Testbed, in_time};
use fedtwin_tests::vector_study::VectorStudy;

const WEIGHTS: u32 = 40_000;

fn spec() -> Architecture {
    VectorSize { parameters: i64::from(WEIGHTS).try_into().expect("few weights") }.architecture()
}

/// A model file of this value in every place.
fn file(value: f32) -> Vec<u8> {
    encode(&spec(), &vec![value; WEIGHTS as usize])
}

/// A study that begins with the file of this digest.
fn beginning_with(id: &str, testbed: &Testbed, initial: Digest) -> VectorStudy {
    let named = ("seed = 1".to_owned(), format!("seed = 1\ninitial = \"{initial}\""));
    VectorStudy { parameters: WEIGHTS, changes: vec![named], ..VectorStudy::new(id, &testbed.sites) }
}

async fn give(client: &Client, plan: &SignedPlan, bytes: &[u8]) -> Result<(), String> {
    let chunks: Vec<_> = bytes.chunks(CHUNK_BYTES).map(<[u8]>::to_vec).collect();
    client.give_model(plan.clone(), chunks.into_iter()).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_begins_with_the_model_that_its_plan_names() {
    in_time(async {
        let testbed = Testbed::start_with_sites(2)?;
        let (zero, given) = (file(0.0), file(0.25));
        let researcher = testbed.connect(RESEARCHER).await?;
        let mut models = Vec::new();
        for (id, file) in [("from-zero", &zero), ("from-given", &given)] {
            let study = beginning_with(id, &testbed, Digest::of(file));
            let plan = study.sign(testbed.federation.researcher());
            let refused = researcher.open_study(plan.clone()).await.expect_err("the model is not there");
            assert!(refused.to_string().contains("fedtwin study run --initial-model FILE"), "{refused}");
            give(&researcher, &plan, file).await.expect("the model is the named one");
            give(&researcher, &plan, file).await.expect("it may be given again");
            let model = testbed.open(&study).await?.finished().await?;
            models.push(decode(&spec(), &testbed.model(&model).await?)?);
        }
        let moved = models[0].iter().any(|&weight| weight != 0.0);
        // Both sites' sums are integers over powers of two, so that nothing is rounded.
        let same =
            models[0].iter().zip(&models[1]).all(|(zero, given)| (zero + 0.25).to_bits() == given.to_bits());
        assert!(moved && same);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_files_and_other_callers_are_refused_and_leave_nothing() {
    in_time(async {
        let testbed = Testbed::start(1)?;
        let good = file(0.5);
        let study = beginning_with("strict", &testbed, Digest::of(&good));
        let plan = study.sign(testbed.federation.researcher());
        let researcher = testbed.connect(RESEARCHER).await?;
        let mut not_finite = good.clone();
        let end = not_finite.len();
        not_finite[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        let (cut_off, other) = (good[..end - 1].to_vec(), file(0.75));
        let shape = "names, shapes or length differ";
        for (bytes, expected) in [
            (not_finite, "is not a number from -2^40 to 2^40"),
            (cut_off, shape),
            (other, "the plan's initial model is"),
            (vec![b'{'; 99], shape),
        ] {
            let refused = give(&researcher, &plan, &bytes).await.expect_err(expected);
            assert!(refused.contains(expected), "{refused}");
        }
        // More than the model has, and no end to it.
        let endless = std::iter::once(header(&spec())).chain(std::iter::repeat_with(|| vec![0; CHUNK_BYTES]));
        let refused = researcher.give_model(plan.clone(), endless).await.expect_err("too long");
        assert!(refused.to_string().contains(shape), "{refused}");
        let site = testbed.connect("site-0").await?;
        let refused = give(&site, &plan, &good).await.expect_err("a site gives no models");
        assert!(refused.contains("it takes a researcher"), "{refused}");
        let mut changed = plan.clone();
        let last = changed.text.len() - 2;
        changed.text[last] ^= 1;
        let refused = give(&researcher, &changed, &good).await.expect_err("the plan was changed");
        assert!(refused.contains("it was changed after signing"), "{refused}");
        let without = VectorStudy::new("without", &testbed.sites).sign(testbed.federation.researcher());
        let refused = give(&researcher, &without, &good).await.expect_err("the plan names none");
        assert!(refused.contains("the plan names no initial model"), "{refused}");
        let given = testbed.folder().join("coordinator/given").join(RESEARCHER);
        assert_eq!(fs::read_dir(given)?.count(), 0);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_average_of_the_rounds_is_the_studys_model() {
    in_time(async {
        let testbed = Testbed::start_with_sites(2)?;
        let average =
            ("[privacy".to_owned(), "average = { decay = 0.5, from_round = 1 }\n[privacy".to_owned());
        let last = VectorStudy::new("last", &testbed.sites);
        let averaged = VectorStudy { changes: vec![average], ..VectorStudy::new("averaged", &testbed.sites) };
        let mut models = Vec::new();
        for study in [&last, &averaged] {
            let model = testbed.open(study).await?.finished().await?;
            let parameters = i64::from(study.parameters).try_into()?;
            let spec = VectorSize { parameters }.architecture();
            models.push(decode(&spec, &testbed.model(&model).await?)?);
        }
        // From zero, each round adds the same: the mean of x and 2 x is three quarters of the last.
        let moved = models[0].iter().any(|&weight| weight != 0.0);
        let averaged = models[0]
            .iter()
            .zip(&models[1])
            .all(|(last, average)| (0.75 * last).to_bits() == average.to_bits());
        assert!(moved && averaged);
        Ok(())
    })
    .await;
}
