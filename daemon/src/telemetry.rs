//! Log lines on standard error: for people, or as JSON for a collector.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging; the environment's `RUST_LOG` chooses what, such as `warn,fedtwin_daemon=debug`, `info` by default.
///
/// Call once, at the start of a program; later calls do nothing.
pub fn init(json: bool) {
    let asked = env::var("RUST_LOG").ok();
    let chosen = chosen(asked.as_deref());
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let layer = layer.with_ansi(io::stderr().is_terminal());
    let layer = if json { layer.json().boxed() } else { layer.boxed() };
    let filter = chosen.clone().unwrap_or_else(|_unreadable| by_default());
    if tracing_subscriber::registry().with(layer.with_filter(filter)).try_init().is_err() {
        tracing::debug!("logging was started before");
    }
    if let Err(why) = chosen {
        tracing::warn!("RUST_LOG is not used: {why}; a choice is like `warn,fedtwin_daemon=debug`");
    }
}

fn chosen(asked: Option<&str>) -> Result<Targets, String> {
    match asked {
        None | Some("") => Ok(by_default()),
        Some(asked) => {
            let targets: Targets = asked.parse().map_err(|error| format!("{asked:?}: {error}"))?;
            // Of what a choice does not name, warnings and the like stay to be seen, as where there is no choice.
            Ok(if targets.default_level().is_none() {
                targets.with_default(LevelFilter::INFO)
            } else {
                targets
            })
        }
    }
}

fn by_default() -> Targets {
    Targets::new().with_default(LevelFilter::INFO)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn the_environment_chooses_what_is_logged() {
        let seen = |asked, target, level| chosen(asked).unwrap().would_enable(target, &level);
        assert!(seen(None, "fedtwin_daemon", Level::INFO) && !seen(None, "fedtwin_daemon", Level::DEBUG));
        let asked = Some("warn,fedtwin_daemon=debug");
        assert!(seen(asked, "fedtwin_daemon::probe", Level::DEBUG) && !seen(asked, "h2", Level::INFO));
        let asked = Some("fedtwin_daemon=debug");
        assert!(seen(asked, "fedtwin_daemon", Level::DEBUG) && seen(asked, "h2", Level::INFO));
        assert!(seen(Some(""), "h2", Level::INFO) && !seen(Some("off"), "h2", Level::ERROR));
        assert!(chosen(Some("fedtwin_daemon=loud")).is_err());
    }
}
