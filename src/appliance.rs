//! Everything of one process, put together: stores, owners, HTTP, and the order in which they start and end.
//!
//! Threads: this one (supervisor, operators' listener, what is only shown), one for the owners of lanes and lines, one per core
//! for visitors, and those of the ledger.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use admission::{Sales, clock};
use domain::sale::Phase;
use domain::{SaleDoc, SaleFold};
use futures_util::future::select_all;
use ingress::internal::Caller;
use ingress::{App, Tls};
use ledger::Ledger;
use lua::{Access, Hints, Target};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::banner::Banner;
use crate::config::{Config, Mode};
use crate::data::DataDir;
use crate::failure::{Failure, remedy};
use crate::forward::Post;
use crate::keeper::{Ground, Keeper};
use crate::keys::{KeyFile, Keys};
use crate::listeners::{Listeners, address_of};
use crate::notify::Notify;
use crate::parts::{self, Watched};
use crate::reconcile::Reconciler;
use crate::redis::{Plan, Server};
use crate::roles::Roles;
use crate::running::{Build, Running};
use crate::signals::{Signals, Told};
use crate::surroundings::{KeyMade, Surroundings, places};
use crate::threads::Worker;
use crate::waiting::Waiting;
use crate::{demo, logging, observe, production, stores, system};

/// How long sales may take to be in service after a start, before the program serves without them and says so.
const SERVICE_IN: Duration = Duration::from_secs(20);
/// Between two looks whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What owners get to finish what is under way when the program stops.
const OWNERS_END_IN: Duration = Duration::from_secs(5);
/// What is added to the drain of HTTP before its threads are given up.
const DRAIN_SLACK: Duration = Duration::from_secs(2);

/// What differs between `dev` and `serve`.
pub(crate) struct Options {
    /// Run an own redis-server.
    pub(crate) own_redis: bool,
    /// Put the shipped sales on sale.
    pub(crate) demo: bool,
    /// Documents to apply and open at start.
    pub(crate) sales: Vec<PathBuf>,
    /// What this process does.
    pub(crate) roles: Roles,
    /// Print the banner as JSON.
    pub(crate) json: bool,
}

/// Runs until told to end.
pub(crate) fn run(config: &Config, options: &Options) -> Result<(), Failure> {
    logging::start(&config.log)?;
    crate::planted::begin()?;
    system::raise_open_files();
    let recorder = observe::start()?;
    stores::block_on(serve(config, options, recorder))
}

/// What has to be right before anything is started, so that a mistake leaves nothing behind.
struct Base<'a> {
    config: &'a Config,
    options: &'a Options,
    data: DataDir,
    documents: Vec<SaleDoc>,
    waiting: Waiting,
    key_file: KeyFile,
    keys: Keys,
    /// Absent where visitors are not served.
    public: Option<SocketAddr>,
    admin: SocketAddr,
    /// What other processes are told to call.
    internal: Option<String>,
    tls: Option<Arc<Tls>>,
}

async fn serve(config: &Config, options: &Options, recorder: PrometheusHandle) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let (base, listeners) = Base::prepare(config, options)?;
    let (stop_redis, redis_stopped) = watch::channel(false);
    let started = tokio::select! {
        started = redis(&base, redis_stopped) => started?,
        () = told_to_end(&mut signals) => return Ok(()),
    };
    let result = run_on(&base, listeners, &started.access, recorder, &mut signals).await;
    // Last, whatever happened before: owners settle into it until they end.
    let _ = stop_redis.send(true);
    if let Some(watching) = started.watching {
        let _ = watching.await;
    }
    result
}

impl<'a> Base<'a> {
    fn prepare(config: &'a Config, options: &'a Options) -> Result<(Self, Listeners), Failure> {
        let documents = options.sales.iter().map(|file| demo::document_of(file)).collect::<Result<Vec<_>, _>>()?;
        let data = DataDir::open(&config.data)?;
        let key_file = KeyFile::new(config.keys());
        // New keys beside an old ledger would cut everybody off: then the file has to come back.
        let fresh = !key_file.exists() && !config.ledger().exists();
        let alone = options.roles.stand_alone() && config.internal_listen.is_none();
        let keys = match (alone, fresh) {
            (true, true) => key_file.create("operator")?,
            (true, false) => key_file.complete()?,
            (false, _) => key_file.shared()?,
        };
        production::check_keys(config, &keys)?;
        if !fresh {
            production::check_not_lost(config, &keys, data.layout())?;
        }
        let listeners = Listeners::bind(config, options.roles)?;
        let (public, admin) = (listeners.public.as_ref().map(address_of).transpose()?, address_of(&listeners.admin)?);
        let internal = listeners.internal_address(config, options.roles)?;
        let tls = parts::tls(config)?;
        let waiting = Waiting::up_to(config.start_wait);
        let base = Self { config, options, data, documents, waiting, key_file, keys, public, admin, internal, tls };
        Ok((base, listeners))
    }
}

/// In service, or stopped until an operator acts, which a start has no use to wait for.
fn is_settled(status: &booker::LaneStatus) -> bool {
    status.loaded || status.unloaded || status.stopped
}

async fn told_to_end(signals: &mut Signals) {
    while signals.next().await != Told::End {}
}

/// A Redis that answers, and the task that keeps it running when it is ours.
struct Started {
    access: Access,
    watching: Option<JoinHandle<()>>,
}

async fn redis(base: &Base<'_>, stop: watch::Receiver<bool>) -> Result<Started, Failure> {
    let Base { config, options, waiting, .. } = base;
    if options.own_redis {
        let plan = Plan::new(base.data.layout(), &config.redis_server)?;
        let access = Access::from(Target::Unix(plan.socket.clone()));
        let server = Server::start(plan).await?;
        return Ok(Started { access, watching: Some(tokio::spawn(server.watch_over(stop))) });
    }
    let access = config.redis.clone().ok_or_else(|| {
        Failure::usage(
            "redis",
            "serve needs to know where it is",
            "set redis = \"unix:PATH\", \"HOST:PORT\" or \"cluster:HOST:PORT,...\" (HOLDFAST_REDIS), or run holdfast dev",
        )
    })?;
    production::redis::check(config, &access, waiting).await?;
    Ok(Started { access, watching: None })
}

/// Everything that runs on a Redis, from its start to its end.
async fn run_on(
    base: &Base<'_>,
    listeners: Listeners,
    access: &Access,
    recorder: PrometheusHandle,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let mut serving = tokio::select! {
        serving = Serving::start(base, listeners, access, recorder) => serving?,
        () = told_to_end(signals) => return Ok(()),
    };
    let told = tokio::select! {
        result = serving.until_ready(base, access) => result.map(Some)?,
        () = told_to_end(signals) => None,
    };
    let (mut result, notify, threads) = (Ok(()), Notify::of_process(), serving.threads());
    if told.is_some() {
        notify.ready();
    }
    while result.is_ok() && told.is_some() {
        tokio::select! {
            () = notify.live(&threads) => {}
            told = signals.next() => match told {
                Told::End => break,
                Told::Reload => serving.reload(base),
            },
            failure = serving.broken() => result = Err(failure),
        }
    }
    notify.stopping();
    serving.end(base.config, signals).await;
    result
}

/// Running owners and listeners.
struct Serving {
    app: App,
    sales: Sales,
    stop_http: watch::Sender<bool>,
    http: Vec<(Worker, JoinHandle<std::io::Result<()>>)>,
    stop_admin: watch::Sender<bool>,
    admin: JoinHandle<std::io::Result<()>>,
    stop_owners: watch::Sender<bool>,
    keeping: JoinHandle<()>,
    owners: Worker,
    /// Serves other processes until the owners have ended.
    internal: Option<(Worker, watch::Sender<bool>, JoinHandle<std::io::Result<()>>)>,
    post: Option<Post>,
    reconciler: Option<Worker>,
    ledger: Ledger,
    key_made: KeyMade,
}

impl Serving {
    async fn start(
        base: &Base<'_>,
        listeners: Listeners,
        access: &Access,
        recorder: PrometheusHandle,
    ) -> Result<Self, Failure> {
        let ledger = stores::ledger(base.config, &base.waiting).await?;
        let reached = base.internal.clone().unwrap_or_else(|| base.admin.to_string());
        let owner = format!("{}@{reached}", std::process::id());
        let sales = Sales::start(ledger.clone(), owner.clone(), clock::system())
            .await
            .map_err(|error| Failure::new("sales", error, ""))?;
        let owners = Worker::start("owners")?;
        let (stop_owners, owners_stopped) = watch::channel(false);
        let shown = stores::redis(access);
        let looked = shown.clone();
        let watched = Watched::start(&shown, &ledger, &sales);
        let app =
            App::new(parts::parts(base.config, &base.keys, &watched, access, recorder.clone(), base.tls.clone())?);
        tokio::spawn(observe::keep_up(recorder));
        let key_made = KeyMade::default();
        key_made.set(base.key_file.signs_since(&base.keys));
        let around = Surroundings {
            access: access.clone(),
            tls: base.tls.clone(),
            key_made: key_made.clone(),
            places: places(base.config, base.data.layout()),
            clock: clock::system(),
        };
        tokio::spawn(around.watch());
        let spread = base.internal.is_some() || !base.options.roles.stand_alone();
        let caller = Caller::new("");
        let post = spread.then(|| Post::new(stores::redis(access), caller.clone()));
        parts::share_keys(&app, post.as_ref(), &base.keys);

        let ground = Ground {
            owners: owners.handle().clone(),
            redis: stores::redis(access),
            shown,
            ledger: ledger.clone(),
            hints: Hints::listen(access),
            clock: clock::system(),
            mode: base.config.mode,
            owner,
            roles: base.options.roles,
            layout: base.data.layout().clone(),
            post,
            stop: owners_stopped.clone(),
        };
        let looking = spread.then(|| Post::new(looked, caller));
        let mut keeper = Keeper::new(ground, sales.clone(), base.key_file.clone(), app.clone());
        // Before anybody is served: a sale that exists is never unknown, at most not ready yet.
        keeper.begin();
        tokio::spawn(sales.clone().poll(keeper.acted(), owners_stopped));
        let keeping = tokio::spawn(keeper.run());

        let reconciler = base.options.roles.reconciler.then(|| Worker::start("reconciler")).transpose()?;
        if let Some(worker) = &reconciler {
            let watch = Reconciler::new(stores::redis(access), ledger.clone(), sales.clone(), clock::system());
            worker.handle().spawn(watch.run(stop_owners.subscribe()));
        }

        let (stop_http, http_stopped) = watch::channel(false);
        let mut http = Vec::new();
        for number in 0..listeners.public.as_ref().map_or(0, |_| base.config.ingress_threads()) {
            let Some(public) = &listeners.public else { break };
            let worker = Worker::start(&format!("http-{number}"))?;
            let listener = public.try_clone().map_err(|error| Failure::new("listener", &error, remedy(&error)))?;
            let task = worker.handle().spawn(ingress::serve_public(listener, app.clone(), http_stopped.clone()));
            http.push((worker, task));
        }
        let internal = match listeners.internal {
            None => None,
            Some(listener) => {
                let (worker, (stop, stopped)) = (Worker::start("internal")?, watch::channel(false));
                let task = worker.handle().spawn(ingress::serve_internal(listener, app.clone(), stopped));
                Some((worker, stop, task))
            }
        };
        let (stop_admin, admin_stopped) = watch::channel(false);
        let admin = tokio::spawn(ingress::serve_admin(listeners.admin, app.clone(), admin_stopped));
        Ok(Self {
            app,
            sales,
            stop_http,
            http,
            stop_admin,
            admin,
            stop_owners,
            keeping,
            owners,
            internal,
            post: looking,
            reconciler,
            ledger,
            key_made,
        })
    }

    /// Puts the sales of the start on sale, waits until everything is in service, and tells.
    async fn until_ready(&mut self, base: &Base<'_>, access: &Access) -> Result<crate::running::Written, Failure> {
        let Base { config, options, .. } = base;
        if options.demo {
            demo::add(&self.sales).await?;
        }
        for doc in &base.documents {
            demo::put_on_sale(&self.sales, doc.clone()).await?;
        }
        if tokio::time::timeout(SERVICE_IN, self.in_service(config.mode)).await.is_err() {
            tracing::warn!("not all sales are in service yet; see /readyz?verbose of the operators' listener");
        }
        let (public, admin) = (base.public, base.admin);
        let redis = access.to_string();
        let running =
            Running { process: std::process::id(), public, admin, redis: redis.clone(), build: Some(Build::own()) };
        let layout = base.data.layout();
        let written = running.write(layout).map_err(|error| {
            Failure::new(format!("data directory {}", layout.root().display()), &error, remedy(&error))
        })?;
        let (keys, ledger) = (config.keys(), config.ledger().to_string());
        let banner = Banner {
            public,
            internal: base.internal.as_deref(),
            roles: options.roles.names(),
            tls: base.tls.is_some(),
            admin,
            operator_key: base.keys.operator.first().map_or("", |operator| operator.key.as_str()),
            keys: &keys,
            data: layout.root(),
            redis: &redis,
            ledger: &ledger,
            sales: self.sales.list().keys().map(ToString::to_string).collect(),
            demo: options.demo,
        };
        banner.show(options.json)?;
        Ok(written)
    }

    async fn in_service(&self, mode: Mode) {
        loop {
            let ready = match &self.post {
                None => self.all_in_service(mode),
                Some(post) => self.all_served(mode) && post.all_owned(&self.sales.list(), (clock::system())()).await,
            };
            if ready {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Every sale is known to HTTP; who owns it is another question.
    fn all_served(&self, mode: Mode) -> bool {
        let served = self.app.sales();
        let is_served = |fold: &Arc<SaleFold>| served.get(fold.doc.id.as_str()).is_some();
        self.sales.list().values().all(|fold| production::may_sell(mode, &fold.doc).is_err() || is_served(fold))
    }

    fn all_in_service(&self, mode: Mode) -> bool {
        let served = self.app.sales();
        let now = (clock::system())();
        self.sales.list().values().all(|fold| {
            fold.phase(now) == Phase::Closed
                || production::may_sell(mode, &fold.doc).is_err()
                || served.get(fold.doc.id.as_str()).is_some_and(|sale| {
                    sale.fold.seq >= fold.seq
                        && sale.lanes.iter().all(|lane| is_settled(&lane.status()))
                        && sale.line.as_ref().is_none_or(|line| line.status().loaded)
                })
        })
    }

    /// The threads that have to take their turns.
    fn threads(&self) -> Vec<(String, Handle)> {
        let internal = self.internal.iter().map(|(worker, ..)| worker);
        let visitors = self.http.iter().map(|(worker, _)| worker);
        visitors.chain(internal).chain([&self.owners]).chain(&self.reconciler).map(Worker::named).collect()
    }

    /// SIGHUP: keys and certificates as they are on disk now; those before stay when something is wrong with them.
    fn reload(&self, base: &Base<'_>) {
        let keys = base.key_file.load().and_then(|keys| {
            production::check_keys(base.config, &keys)?;
            self.app.set_keyring(parts::keyring(&keys)?);
            self.app.set_operators(parts::operators(&keys));
            parts::share_keys(&self.app, self.post.as_ref(), &keys);
            self.key_made.set(base.key_file.signs_since(&keys));
            Ok(())
        });
        match keys {
            Ok(()) => tracing::info!("keys are read again"),
            Err(failure) => tracing::error!("the keys stay as they were: {failure}"),
        }
        if let Some(tls) = &base.tls {
            match tls.reload() {
                Ok(()) => tracing::info!("certificates are read again"),
                Err(error) => tracing::error!("the certificates stay as they were: {error}"),
            }
        }
    }

    /// Waits until a listener ends by itself, which none does as long as its socket can be used.
    async fn broken(&mut self) -> Failure {
        let internal = self.internal.as_mut().map(|(_, _, task)| task);
        let tasks = self.http.iter_mut().map(|(_, task)| task).chain([&mut self.admin]).chain(internal);
        let (ended, ..) = select_all(tasks).await;
        let why = match ended {
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Failure::new("listener", why, "start holdfast again")
    }

    /// First nobody new, then nothing under way, then the owners, last the operators, who see until then that it is not ready.
    /// Everything here has a bound; a second signal skips the waiting.
    async fn end(self, config: &Config, signals: &mut Signals) {
        tracing::info!("ending: finishing what is under way");
        self.app.drain();
        let _ = self.stop_http.send(true);
        let (workers, tasks): (Vec<_>, Vec<_>) = self.http.into_iter().unzip();
        let drained = async {
            for task in tasks.into_iter().filter(|task| !task.is_finished()) {
                let _ = task.await;
            }
        };
        tokio::select! {
            ended = tokio::time::timeout(config.http.server.drain + DRAIN_SLACK, drained) => if ended.is_err() {
                tracing::warn!("visitors' threads do not end in time; going on without them");
            },
            () = told_to_end(signals) => {}
        }
        let _ = self.stop_owners.send(true);
        tokio::select! {
            _ = tokio::time::timeout(OWNERS_END_IN, self.keeping) => {}
            () = told_to_end(signals) => {}
        }
        // Until now others were told that nothing is owned here any more, and who asks whom next.
        if let Some((worker, stop, task)) = self.internal {
            let _ = stop.send(true);
            if !task.is_finished() {
                let _ = tokio::time::timeout(DRAIN_SLACK, task).await;
            }
            worker.end(DRAIN_SLACK);
        }
        let _ = self.stop_admin.send(true);
        if !self.admin.is_finished() {
            let _ = tokio::time::timeout(DRAIN_SLACK, self.admin).await;
        }
        for worker in workers {
            worker.end(DRAIN_SLACK);
        }
        self.owners.end(DRAIN_SLACK);
        if let Some(worker) = self.reconciler {
            worker.end(DRAIN_SLACK);
        }
        // The last handle closes the ledger's file.
        drop((self.app, self.sales, self.ledger));
    }
}
