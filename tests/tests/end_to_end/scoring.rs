//! Scores for a site's own eyes, which take their time and nobody else's.

use fedtwin_tests::script::{Behaviour, Script};
use fedtwin_tests::testbed::{SiteTerms, Testbed, in_time, until};
use fedtwin_tests::vector_study::{VectorModel, VectorStudy};

#[tokio::test(flavor = "multi_thread")]
async fn one_trainer_scores_at_a_time_however_many_studies_end() {
    in_time(async {
        let mut testbed = Testbed::start(1)?;
        let script = Script { behaviour: Behaviour::ScoresAlone, ..Script::good(0) };
        testbed.start_site(0, &SiteTerms { script, ..SiteTerms::good(0) })?;
        let risk = |id: &str| VectorStudy {
            family: VectorModel::LinearRisk,
            ..VectorStudy::new(id, &testbed.sites)
        };
        let mut watches = Vec::new();
        for id in ["first", "second", "third", "fourth"] {
            watches.push((id, testbed.open(&risk(id)).await?));
        }
        for (_, watch) in &mut watches {
            watch.finished().await?;
        }
        let report = |id: &str| testbed.site_folder(0).join("state/studies").join(id).join("report.json");
        assert!(!report("fourth").exists(), "the study's end does not wait for scores");
        for (id, _) in &watches {
            until(|| report(id).exists()).await;
        }
        Ok(())
    })
    .await;
}
