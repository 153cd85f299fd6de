//! `audit SALE`: the proof, made from outside the running program.

use domain::SaleId;
use lua::Target;

use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::out::{self, Out};
use crate::running::Running;
use crate::{audit, data, stores};

/// Runs the audit; exit 3 when an invariant fails.
pub(super) fn run(config: &Config, sale: &str, as_json: bool) -> Result<Exit, Failure> {
    let sale: SaleId =
        sale.parse().map_err(|error| Failure::usage(format!("sale {sale:?}"), format!("must be {error}"), ""))?;
    let layout = config.layout();
    let running = data::in_use(&layout);
    // A program that was killed leaves its word behind, and its Redis may still be there.
    let said = || Running::read(&layout).and_then(|running| running.redis.parse::<Target>().ok());
    let access = config.redis.clone().or_else(|| said().map(Into::into));
    let report = stores::block_on(async {
        let ledger = stores::existing_ledger(config).await?;
        let redis = match access.as_ref().map(stores::redis) {
            Some(redis) => redis.ping().await.ok().map(|()| redis),
            None => None,
        };
        audit::run(&ledger, redis.as_ref(), &sale, running).await
    })?;
    if as_json {
        out::line(report.raw().map_err(|error| Failure::new("audit", error, ""))?)?;
    } else {
        let mut out = Out::new();
        out.text(&report.text())?;
        out.done()?;
    }
    Ok(if report.passed { Exit::Done } else { Exit::Found })
}
