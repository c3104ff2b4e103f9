//! The demonstration's page: what was learnt, what it cost, and where the files are; one file, no scripts.

mod charts;

use std::path::Path;

use fedtwin_page::frame;
use fedtwin_page::table::{Column, Row as TableRow, Table};
use fedtwin_research::study::report::{Epsilons, Price, PricedPlan};
use fedtwin_simulation::arm::ArmOutcome;
use fedtwin_simulation::outcome::{FinishedStudy, SiteOutcome};
use fedtwin_simulation::results::{ArmName, Pivot, Row, pivot};
use fedtwin_simulation::summary::megabytes;
use maud::{Markup, html};

use super::outlines::Outlined;

/// Renders the page; links are relative to `folder`.
#[must_use]
pub fn render(arms: &[&ArmOutcome], figures: &[Row], outlined: &[Outlined], folder: &Path) -> String {
    let body = html! {
        h1 { "fedtwin: models trained across hospitals" }
        p {
            "Every hospital's agent ran as its own process and dialled the coordinator over mutual TLS. What follows was read \
             from the hospitals' own folders, which only a demonstration on one machine can do."
        }
        section {
            h2 { "What privacy costs the models" }
            p class="note" { "Bands are from the hospital with the lowest score to the one with the highest." }
            div class="charts" { @for chart in charts::utility(figures) { (chart.draw()) } }
        }
        @if !outlined.is_empty() {
            section {
                h2 { "What the models outline" }
                p class="note" {
                    "The slice in the middle of one test patient's volume at each hospital. Patients are invented here, or of a                      public data set: no hospital's program makes such a picture."
                }
                div class="hospitals" {
                    @for Outlined { site, pictures } in outlined {
                        div {
                            h3 { (site) }
                            div class="pictures" { @for picture in pictures { (picture.draw()) } }
                        }
                    }
                }
            }
        }
        @for arm in arms { (federation(arm, figures, folder)) }
    };
    frame::page("fedtwin demonstration", &body)
}

fn federation(arm: &ArmOutcome, figures: &[Row], folder: &Path) -> Markup {
    let reference = arm.studies.iter().all(|study| study.plan.calibrated.epsilon.is_none());
    html! {
        section {
            h2 { (if reference { "Reference run, without noise" } else { "With noise that the sites share" }) }
            @if !reference { div class="charts" { (charts::budgets(arm).draw()) } }
            p {
                "Peak memory: coordinator " (arm.coordinator_mb) " MB, largest site with its trainer " (arm.site_mb) " MB."
            }
        }
        @for study in &arm.studies { (section(arm, study, figures, folder)) }
    }
}

fn section(arm: &ArmOutcome, study: &FinishedStudy, figures: &[Row], folder: &Path) -> Markup {
    let plan = &study.plan.study;
    let (updates, seconds) = (megabytes(study.update_bytes), study.training_seconds);
    html! {
        section {
            h3 { (plan.title) " " code { (plan.id) } }
            p class="price" { (price(study)) }
            div class="charts" { @for chart in charts::of_study(study) { (chart.draw()) } }
            (scores(study, figures))
            (ledgers(arm, study, folder))
            p {
                (study.plan.rounds.count.get()) " rounds in " (format!("{seconds:.1}")) " s, " (format!("{updates:.1}"))
                " MB of updates."
            }
        }
    }
}

fn scores(study: &FinishedStudy, figures: &[Row]) -> Table {
    let Pivot { metrics, lines } = pivot(&study.plan.study.id, figures);
    let row = |(site, arm, values): (String, ArmName, Vec<String>)| {
        let is_total = site == "mean" || site == "pooled";
        let cells = [site, arm.as_str().to_owned()].into_iter().chain(values);
        TableRow { cells: cells.map(|cell| html! { (cell) }).collect(), is_total }
    };
    let names = metrics.iter().map(|metric| Column::number(metric.as_ref()));
    Table {
        caption: "Scores on test patients".to_owned(),
        columns: [Column::text("site"), Column::text("model")].into_iter().chain(names).collect(),
        rows: lines.into_iter().map(row).collect(),
    }
}

fn ledgers(arm: &ArmOutcome, study: &FinishedStudy, folder: &Path) -> Table {
    let numbers = ["cap", "spent", "reserved", "left"].map(Column::number);
    let files = ["ledger", "model"].map(Column::text);
    Table {
        caption: "Epsilon of everything on the cohort, as each ledger has it".to_owned(),
        columns: std::iter::once(Column::text("site")).chain(numbers).chain(files).collect(),
        rows: study.sites.iter().map(|site| ledger(arm, study, site, folder)).collect(),
    }
}

fn ledger(arm: &ArmOutcome, study: &FinishedStudy, site: &SiteOutcome, folder: &Path) -> TableRow {
    let SiteOutcome { site, ledger, .. } = site;
    let cohort = &ledger.cohort;
    let path = ledger.path.strip_prefix(folder).unwrap_or(&ledger.path).display().to_string();
    let (federation, id) = (&arm.federation, &study.plan.study.id);
    let model = format!("{federation}/sites/{site}/state/studies/{id}/model.safetensors");
    let (spent, left) = match cohort.unbounded_since {
        Some(_) => (cohort.headline(), "-".to_owned()),
        None => (epsilon(cohort.spent.epsilon), epsilon(cohort.left.epsilon)),
    };
    let cells = vec![
        html! { (site) },
        html! { (epsilon(cohort.total.epsilon)) },
        html! { (spent) },
        html! { (epsilon(cohort.reserved.epsilon)) },
        html! { (left) },
        html! { a href=(path) { (ledger.entries) " entries, verified" } },
        html! { a href=(model) { "safetensors" } },
    ];
    TableRow { cells, is_total: false }
}

fn price(study: &FinishedStudy) -> Markup {
    match PricedPlan::of(&study.plan).map(|plan| plan.price()) {
        Ok(Price::Unbounded) => html! {
            "No privacy: the ledgers of these sites read " b { "unbounded" } " from here on."
        },
        Ok(Price::Bounded(Epsilons { delta, alone, coordinator, model_users })) => html! {
            "Per patient, delta " (delta) ": epsilon " b { (epsilon(alone)) } " if everybody else colludes, "
            b { (epsilon(coordinator)) } " against the coordinator (charged), " b { (epsilon(model_users)) }
            " against users of the models."
        },
        Err(error) => html! { (error.to_string()) },
    }
}

fn epsilon(value: f64) -> String {
    format!("{value:.3}")
}
