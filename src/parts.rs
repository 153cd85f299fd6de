//! What HTTP gets from the program: keys, readiness, figures, the audit and the feed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use admission::Sales;
use domain::SaleFold;
use domain::token::{Key, KeyId, Keyring};
use ingress::{App, Audit, Check, Events, MaySell, OperatorKey, Parts, Tls};
use ledger::Ledger;
use lua::{Access, Redis};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::config::{Config, Mode};
use crate::failure::Failure;
use crate::forward::Post;
use crate::keys::Keys;
use crate::{audit, feed, production, stores};

/// Between two questions whether Redis answers.
const PING_EVERY: Duration = Duration::from_secs(1);

/// The ring that signs and verifies tokens.
pub(crate) fn keyring(keys: &Keys) -> Result<Keyring, Failure> {
    let keys = keys.token.iter().map(|key| Key { id: KeyId(key.id), secret: key.secret.0 }).collect();
    Keyring::new(keys).map_err(|error| Failure::new("token keys", error, "correct the keys file"))
}

/// Who may act on sales.
pub(crate) fn operators(keys: &Keys) -> Vec<OperatorKey> {
    keys.operator.iter().map(|key| OperatorKey { name: key.name.clone(), secret: key.key.clone() }).collect()
}

/// By which other processes are known.
pub(crate) fn share_keys(app: &App, post: Option<&Post>, keys: &Keys) {
    let texts = keys.process_texts();
    if let (Some(post), Some(first)) = (post, texts.first()) {
        post.caller.set_key(first);
    }
    app.set_process_keys(texts);
}

/// The certificate of the encrypted listener, where one is set.
pub(crate) fn tls(config: &Config) -> Result<Option<Arc<Tls>>, Failure> {
    let Some((certificate, key)) = &config.tls else { return Ok(None) };
    match Tls::load(certificate, key) {
        Ok(tls) => Ok(Some(Arc::new(tls))),
        Err(error) => Err(Failure::new("TLS", error, "correct edge.tls_certificate and edge.tls_key")),
    }
}

/// What readiness is judged by.
pub(crate) struct Watched {
    redis: Arc<AtomicBool>,
    ledger: Ledger,
    sales: Sales,
}

impl Watched {
    /// Starts asking Redis each second.
    pub(crate) fn start(redis: &Redis, ledger: &Ledger, sales: &Sales) -> Self {
        let answers = Arc::new(AtomicBool::new(true));
        let (told, redis) = (Arc::clone(&answers), redis.clone());
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(PING_EVERY);
            loop {
                tick.tick().await;
                told.store(redis.ping().await.is_ok(), Relaxed);
            }
        });
        Self { redis: answers, ledger: ledger.clone(), sales: sales.clone() }
    }

    fn checks(&self, mode: Mode) -> Vec<(&'static str, Check)> {
        let (redis, ledger, sales) = (Arc::clone(&self.redis), self.ledger.clone(), self.sales.clone());
        vec![
            ("redis", Arc::new(move || if redis.load(Relaxed) { Ok(()) } else { Err("does not answer".to_owned()) })),
            ("ledger", Arc::new(move || ledger.check().map_err(|error| error.to_string()))),
            (
                "sales",
                Arc::new(move || {
                    if let Some((log, fault)) = sales.faults().iter().next() {
                        return Err(format!("{log}: {fault}"));
                    }
                    let refused = |fold: &Arc<SaleFold>| {
                        production::may_sell(mode, &fold.doc).map_err(|why| format!("{}: {why}", fold.doc.id))
                    };
                    sales.list().values().try_for_each(refused)
                }),
            ),
        ]
    }
}

/// All parts.
pub(crate) fn parts(
    config: &Config,
    keys: &Keys,
    watched: &Watched,
    access: &Access,
    recorder: PrometheusHandle,
    tls: Option<Arc<Tls>>,
) -> Result<Parts, Failure> {
    Ok(Parts {
        keyring: keyring(keys)?,
        operators: operators(keys),
        registry: watched.sales.clone(),
        metrics_text: Arc::new(move || recorder.render()),
        checks: watched.checks(config.mode),
        may_sell: may_sell(config.mode),
        audit: audit(&watched.ledger, access),
        events: events(&watched.ledger),
        settings: config.http.clone(),
        tls,
    })
}

fn may_sell(mode: Mode) -> MaySell {
    Arc::new(move |doc| production::may_sell(mode, doc))
}

/// The audit on a thread of its own: it reads whole logs, and must not keep anybody waiting.
fn audit(ledger: &Ledger, access: &Access) -> Audit {
    let (ledger, access) = (ledger.clone(), access.clone());
    Arc::new(move |sale| {
        let (ledger, access) = (ledger.clone(), access.clone());
        Box::pin(async move {
            let run = move || stores::block_on(audit::run(&ledger, Some(&stores::redis(&access)), &sale, true));
            match tokio::task::spawn_blocking(run).await {
                Ok(Ok(report)) => report.raw().map_err(|error| error.to_string()),
                Ok(Err(failure)) => Err(failure.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
    })
}

fn events(ledger: &Ledger) -> Events {
    let ledger = ledger.clone();
    Arc::new(move |sale, from| {
        let ledger = ledger.clone();
        Box::pin(async move { feed::page(&ledger, &sale, &from).await })
    })
}
