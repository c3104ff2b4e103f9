//! The demonstration's page: curves, figures, costs and where the files are; one file, no scripts.

use std::path::Path;

use fedtwin_metrics::{Prediction, accuracy};
use fedtwin_research::study::report::{Epsilons, Price, Report as PlanReport};
use fedtwin_simulation::arm::ArmOutcome;
use fedtwin_simulation::outcome::{SiteOutcome, StudyOutcome};
use fedtwin_simulation::results::{Pivot, Row, mean, pivot};
use fedtwin_simulation::summary::megabytes;
use fedtwin_trainer::report::Report;

use crate::markup::{escape, push};

/// Renders the page; links are relative to `folder`.
#[must_use]
pub fn render(arms: &[&ArmOutcome], figures: &[Row], folder: &Path) -> String {
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>fedtwin demonstration</title><style>{STYLE}</style>\
         <h1>fedtwin: models trained across hospitals</h1><p>Every hospital's agent ran as its own process and \
         dialled the coordinator over mutual TLS. What follows was read from the hospitals' own folders, which only \
         a demonstration on one machine can do.</p>"
    );
    for arm in arms {
        let reference = arm.studies.iter().all(|study| study.plan.calibrated.epsilon.is_none());
        let title =
            if reference { "Reference run, without noise" } else { "With noise that the sites share" };
        push(&mut page, format_args!("<h2>{title}</h2>"));
        for study in &arm.studies {
            study_section(&mut page, arm, study, figures, folder);
        }
        push(
            &mut page,
            format_args!(
                "<p>Peak memory: coordinator {} MB, largest site with its trainer {} MB.</p>",
                arm.coordinator_mb, arm.site_mb
            ),
        );
    }
    page.push_str("</html>\n");
    page
}

fn study_section(page: &mut String, arm: &ArmOutcome, study: &StudyOutcome, figures: &[Row], folder: &Path) {
    let plan = &study.plan.study;
    push(page, format_args!("<section><h3>{} <code>{}</code></h3>", escape(&plan.title), plan.id));
    push(page, format_args!("<p class=price>{}</p>", price(study)));
    page.push_str(&chart(study));
    let Pivot { metrics, lines } = pivot(&plan.id, figures);
    push(page, format_args!("<table><tr><th>site<th>model<th class=n>{}</tr>", metrics.join("<th class=n>")));
    for (site, arm, values) in lines {
        let class = if site == "mean" || site == "pooled" { " class=total" } else { "" };
        let (site, arm, cells) = (escape(&site), arm.as_str(), values.join("<td class=n>"));
        push(page, format_args!("<tr{class}><td>{site}<td>{arm}<td class=n>{cells}</tr>"));
    }
    page.push_str(
        "</table><table><tr><th>site<th class=n>cap<th class=n>spent<th class=n>reserved<th class=n>left<th>ledger<th>model</tr>",
    );
    for site in &study.sites {
        site_row(page, arm, study, site, folder);
    }
    push(
        page,
        format_args!(
            "</table><p>{} rounds in {:.1} s, {:.1} MB of updates.</p></section>",
            study.plan.rounds.count.get(),
            study.training_seconds,
            megabytes(study.update_bytes)
        ),
    );
}

fn site_row(page: &mut String, arm: &ArmOutcome, study: &StudyOutcome, site: &SiteOutcome, folder: &Path) {
    let cohort = &site.ledger.cohort;
    let ledger = site.ledger.path.strip_prefix(folder).unwrap_or(&site.ledger.path);
    let (spent, left) = match cohort.unbounded_since {
        Some(_) => (cohort.headline(), "-".to_owned()),
        None => (format!("{:.3}", cohort.spent.epsilon), format!("{:.3}", cohort.left.epsilon)),
    };
    push(
        page,
        format_args!(
            "<tr><td>{site}<td class=n>{:.3}<td class=n>{spent}<td class=n>{:.3}<td class=n>{left}\
             <td><a href=\"{}\">{} entries, verified</a>\
             <td><a href=\"{}/sites/{site}/state/studies/{}/model.safetensors\">safetensors</a></tr>",
            cohort.total.epsilon,
            cohort.reserved.epsilon,
            ledger.display(),
            site.ledger.entries,
            arm.federation,
            study.plan.study.id,
            site = site.site,
        ),
    );
}

fn price(study: &StudyOutcome) -> String {
    match PlanReport::of(&study.plan).map(|report| report.price()) {
        Ok(Price::Unbounded) => {
            "No privacy: the ledgers of these sites read <b>unbounded</b> from here on.".to_owned()
        }
        Ok(Price::Bounded(Epsilons { delta, alone, coordinator, model_users })) => {
            format!(
                "Per patient, delta {delta}: epsilon <b>{alone:.3}</b> if everybody else colludes, \
                 <b>{coordinator:.3}</b> against the coordinator (charged), <b>{model_users:.3}</b> against users of the models."
            )
        }
        Err(error) => escape(&error.to_string()),
    }
}

/// Draws each site's score along the rounds, in [0, 1].
fn chart(study: &StudyOutcome) -> String {
    let rounds = f64::from(study.plan.rounds.count.get()).max(1.0);
    let x = |round: f64| LEFT + round / rounds * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| TOP + (1.0 - value) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"scores by round\">");
    for tick in 0..=5 {
        let value = f64::from(tick) / 5.0;
        push(
            &mut svg,
            format_args!(
                "<line x1={LEFT} x2={} y1={h:.1} y2={h:.1} class=grid /><text x={} y={:.1} class=tick>{value:.1}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y(value) + 4.0,
                h = y(value)
            ),
        );
    }
    for (index, site) in study.sites.iter().enumerate() {
        let mut points: Vec<_> =
            site.curve.iter().map(|scores| (f64::from(scores.rounds), headline(&scores.report))).collect();
        points.push((rounds, headline(&site.report)));
        let line: Vec<_> = points
            .iter()
            .filter_map(|(round, value)| Some(format!("{:.1},{:.1}", x(*round), y((*value)?))))
            .collect();
        let colour = COLOURS[index % COLOURS.len()];
        push(&mut svg, format_args!("<polyline points=\"{}\" fill=none stroke={colour} />", line.join(" ")));
        let (tx, ty) = (WIDTH - RIGHT + 8.0, TOP + 14.0 * index as f64 + 8.0);
        push(&mut svg, format_args!("<text x={tx} y={ty} fill={colour}>{}</text>", site.site));
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    push(
        &mut svg,
        format_args!("<text x={middle} y={} class=axis>rounds (to {rounds})</text></svg>", HEIGHT - 4.0),
    );
    svg
}

/// The score that a curve shows: accuracy of a risk model, mean Dice of a segmentation.
fn headline(report: &Report) -> Option<f64> {
    match report {
        Report::Risk(risk) => accuracy(
            &risk
                .rows
                .iter()
                .filter_map(|row| Some(Prediction { outcome: row.outcome, probability: row.global? }))
                .collect::<Vec<_>>(),
        ),
        Report::Segmentation(segmentation) => mean(segmentation.rows.iter().filter_map(|row| row.dice)),
    }
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 36.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 32.0;
const COLOURS: [&str; 7] = ["#0b6e99", "#c4512d", "#3a7d44", "#7d4fa0", "#b08000", "#444", "#a02050"];
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
    section{border-top:1px solid #ccc;margin-top:1.5rem}table{border-collapse:collapse;margin:1rem 0;font-size:.9rem}\
    td,th{padding:.15rem .7rem;text-align:left;border-bottom:1px solid #eee}td.n,th.n{text-align:right;font-variant-numeric:\
    tabular-nums}.total{background:#f4f4f0;font-weight:600}.price{background:#f0f6fa;padding:.5rem .8rem}\
    svg{width:100%;max-width:46rem}polyline{stroke-width:2}.grid{stroke:#ddd}text{font-size:12px}\
    .tick{text-anchor:end;fill:#777}.axis{text-anchor:middle;fill:#777}";
