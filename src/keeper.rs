//! Keeps a running set of owners for every sale there is: lanes, line, what is shown of it, and the map that HTTP serves from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use admission::draw::Seed;
use admission::line::{LineConfig, line};
use admission::view::Poller;
use admission::{Clock, Line, LineView, Sales};
use booker::{FaultSource, Lane, LaneConfig, Siblings};
use domain::limits::WITHDRAW_PATIENCE_MS;
use domain::spread::Spread;
use domain::{SaleDoc, SaleFold, SaleId};
use ingress::{App, SaleHandle, finish_withdrawal};
use ledger::Ledger;
use lua::hints::publish;
use lua::{HintKind, Hints, Redis};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::Mode;
use crate::data::Layout;
use crate::forward::{Post, tell_ends};
use crate::keys::KeyFile;
use crate::members::be_one;
use crate::production;
use crate::roles::Roles;

/// Pause before a sale whose key could not be written is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What owners run on.
pub(crate) struct Ground {
    /// The thread of the owners.
    pub(crate) owners: Handle,
    /// Redis as the owners' thread calls it.
    pub(crate) redis: Redis,
    /// Redis as the main thread calls it, for what is only shown.
    pub(crate) shown: Redis,
    pub(crate) ledger: Ledger,
    pub(crate) hints: Hints,
    pub(crate) clock: Clock,
    /// Whether sales that owe money may be served.
    pub(crate) mode: Mode,
    /// Who claims logs: this process.
    pub(crate) owner: String,
    /// What it may own.
    pub(crate) roles: Roles,
    /// Where it is noted that there are sales.
    pub(crate) layout: Layout,
    /// Leads to owners in other processes; absent where there are none.
    pub(crate) post: Option<Post>,
    /// True: finish and end.
    pub(crate) stop: watch::Receiver<bool>,
}

/// The owners of one sale and what leads to them.
struct Kept {
    handle: Arc<SaleHandle>,
    doc: watch::Sender<Arc<SaleDoc>>,
    /// Seq of the withdrawal that somebody here looks after.
    withdrawing: u64,
}

/// See the module's text. One per process.
pub(crate) struct Keeper {
    ground: Ground,
    sales: Sales,
    keys: KeyFile,
    app: App,
    kept: BTreeMap<SaleId, Kept>,
    /// Sales that this mode does not serve, or whose visitor key was deleted: told once.
    refused: BTreeSet<SaleId>,
    owners: JoinSet<()>,
    /// Changes when another process says that an operator acted.
    acted: watch::Sender<u64>,
    /// How lanes and lines are spread over the processes that may own them.
    lanes: Arc<Spread>,
    lines: Arc<Spread>,
}

impl Keeper {
    pub(crate) fn new(ground: Ground, sales: Sales, keys: KeyFile, app: App) -> Self {
        let (kept, refused, owners, acted) = (BTreeMap::new(), BTreeSet::new(), JoinSet::new(), watch::Sender::new(0));
        let (lanes, lines) = (Spread::new(), Spread::new());
        Self { ground, sales, keys, app, kept, refused, owners, acted, lanes, lines }
    }

    /// Changes whenever another process says that an operator acted on a sale.
    pub(crate) fn acted(&self) -> watch::Receiver<u64> {
        self.acted.subscribe()
    }

    /// Starts the owners of all sales there are, so that every one is known before the first request comes.
    pub(crate) fn begin(&mut self) {
        let Ground { roles, post, owner, shown, stop, .. } = &self.ground;
        let kinds = [(roles.booker, "booker", &self.lanes), (roles.admission, "admission", &self.lines)];
        for (_, kind, spread) in kinds.into_iter().filter(|(has, ..)| *has && post.is_some()) {
            tokio::spawn(be_one(shown.clone(), kind, owner.clone(), Arc::clone(spread), stop.clone()));
        }
        self.follow(&self.sales.list());
    }

    /// Follows the registry until told to stop; returns when all owners have ended.
    pub(crate) async fn run(mut self) {
        self.follow_registry().await;
        while self.owners.join_next().await.is_some() {}
    }

    async fn follow_registry(&mut self) {
        let mut changes = self.sales.watch();
        let mut stop = self.ground.stop.clone();
        loop {
            let sales = Arc::clone(&changes.borrow_and_update());
            let all = self.follow(&sales);
            let again = async {
                if all {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(AGAIN_AFTER).await;
            };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = again => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Starts what is new and tells what has changed. False when a sale has to be tried again.
    fn follow(&mut self, sales: &admission::SaleMap) -> bool {
        let mut all = true;
        for (id, fold) in sales {
            // One that was served before its change goes on as it was.
            if self.is_refused(fold) {
                continue;
            }
            if let Some(kept) = self.kept.get_mut(id) {
                if kept.follow(fold) {
                    self.tell(id);
                }
            } else if let Some(kept) = self.keep(fold) {
                self.kept.insert(id.clone(), kept);
            } else {
                all = false;
            }
        }
        for kept in self.kept.values_mut() {
            kept.finish_withdrawal(&self.sales, self.ground.stop.clone());
        }
        self.app.set_sales(self.kept.values().map(|kept| Arc::clone(&kept.handle)).collect());
        all
    }

    fn is_refused(&mut self, fold: &SaleFold) -> bool {
        let Err(why) = production::may_sell(self.ground.mode, &fold.doc) else { return false };
        if self.refused.insert(fold.doc.id.clone()) {
            tracing::error!(sale = %fold.doc.id, "not served: {why}");
        }
        true
    }

    /// Other processes look at the sale's log now instead of within a second.
    fn tell(&self, sale: &SaleId) {
        let (redis, sale) = (self.ground.shown.clone(), sale.clone());
        tokio::spawn(async move {
            // Only a hint: what gets lost is found by the next poll.
            let _ = publish(&redis, &sale, HintKind::Acts).await;
        });
    }

    fn listen(&self, sale: &SaleId) {
        let (mut seen, acted) = (self.ground.hints.subscribe(sale), self.acted.clone());
        tokio::spawn(async move {
            let mut last = seen.borrow_and_update().acts;
            while seen.changed().await.is_ok() {
                let now = seen.borrow_and_update().acts;
                if std::mem::replace(&mut last, now) != now {
                    acted.send_modify(|count| *count += 1);
                }
            }
        });
    }

    /// Starts the owners of a sale, and what leads to those of other processes. `None` when its visitors could not be told apart:
    /// without a key that is on disk nobody may be let in, because elsewhere, or after a restart, the same visitor would be another.
    fn keep(&mut self, fold: &Arc<SaleFold>) -> Option<Kept> {
        let id = &fold.doc.id;
        let sold = self.ground.layout.mark_sold();
        sold.map_err(|error| tracing::error!(sale = %id, "not served, the data directory: {error}")).ok()?;
        // Read again each time: whoever edited the file since it was loaded means what it says now.
        let keys = self.keys.load().map_err(|failure| tracing::error!(sale = %id, "not served: {failure}")).ok()?;
        let Some(visitor_key) = keys.visitor_key(id) else {
            if self.refused.insert(id.clone()) {
                tracing::error!(sale = %id, "not served: its visitor key was deleted from the keys file");
            }
            return None;
        };
        let view = LineView::of(self.ground.ledger.clone(), id.clone());
        let (doc, seen) = watch::channel(Arc::clone(&fold.doc));
        let line = fold.doc.room().map(|_| self.line(id, &view, &visitor_key));
        let ended = line.as_ref().map_or_else(|| mpsc::unbounded_channel().0, Line::ended_sender);
        let (siblings, owner) = (Siblings::default(), self.ground.owner.clone());
        let config = |lane| LaneConfig {
            sale: id.clone(),
            lane,
            doc: seen.clone(),
            owner: owner.clone(),
            siblings: siblings.clone(),
            faults: faults(fold, &view),
        };
        let lanes: Vec<Lane> = (0..fold.doc.lanes).map(|lane| self.lane(config(lane), ended.clone())).collect();
        siblings.set(lanes.clone());
        self.show(id, &view);
        self.listen(id);
        let handle = Arc::new(SaleHandle::new(Arc::clone(fold), lanes, line, view, visitor_key));
        Some(Kept { handle, doc, withdrawing: 0 })
    }

    fn lane(&mut self, config: LaneConfig, ended: mpsc::UnboundedSender<Vec<u64>>) -> Lane {
        let ground = &self.ground;
        let (sale, number) = (config.sale.clone(), config.lane);
        let spawn = |post: &Post, outbox| ground.owners.spawn(post.clone().lane(sale.clone(), number, outbox));
        if let Some(post) = ground.post.as_ref().filter(|_| !ground.roles.booker) {
            let (lane, outbox) = booker::remote::elsewhere(sale.clone(), number);
            spawn(post, outbox);
            return lane;
        }
        let (lane, mut owner) = booker::lane(config, ground.redis.clone(), ground.ledger.clone(), ended);
        if let Some(post) = &ground.post {
            let (forwarding, outbox) = owner.sharing(Arc::clone(&self.lanes)).forwarding();
            owner = forwarding;
            spawn(post, outbox);
        }
        let mut stop = ground.stop.clone();
        self.owners.spawn_on(
            owner.run(async move {
                let _ = stop.wait_for(|stop| *stop).await;
            }),
            &ground.owners,
        );
        lane
    }

    fn line(&mut self, sale: &SaleId, view: &LineView, visitor_key: &[u8; 32]) -> Line {
        let ground = &self.ground;
        let spawn = |post: &Post, outbox, ends| {
            ground.owners.spawn(post.clone().line(sale.clone(), outbox));
            ground.owners.spawn(tell_ends(post.clone(), sale.clone(), ends));
        };
        if let Some(post) = ground.post.as_ref().filter(|_| !ground.roles.admission) {
            let (line, outbox, ends) = admission::remote::elsewhere(sale);
            spawn(post, outbox, ends);
            return line;
        }
        let config = LineConfig {
            sale: sale.clone(),
            owner: ground.owner.clone(),
            sales: self.sales.watch(),
            view: view.clone(),
            clock: ground.clock.clone(),
            seed: Seed::of(visitor_key, sale),
        };
        let (line, mut owner) = line(config, ground.redis.clone(), ground.ledger.clone());
        if let Some(post) = &ground.post {
            let (forwarding, outbox, ends) = owner.sharing(Arc::clone(&self.lines)).forwarding();
            owner = forwarding;
            spawn(post, outbox, ends);
        }
        self.owners.spawn_on(owner.run(ground.stop.clone()), &ground.owners);
        line
    }

    /// Keeps what is shown of the sale fresh, on this thread.
    fn show(&self, sale: &SaleId, view: &LineView) {
        let poller = Poller {
            sale: sale.clone(),
            redis: self.ground.shown.clone(),
            sales: self.sales.watch(),
            hints: self.ground.hints.subscribe(sale),
            clock: self.ground.clock.clone(),
            view: view.clone(),
        };
        tokio::spawn(poller.run(self.ground.stop.clone()));
    }
}

/// What this process knows of a sale's faults. They are recorded in the log of a sale's line; a sale without one has none.
fn faults(fold: &SaleFold, view: &LineView) -> FaultSource {
    if fold.doc.room().is_none() {
        return booker::no_faults();
    }
    let view = view.clone();
    Arc::new(move || view.faults())
}

impl Kept {
    /// Looks after a withdrawal whose operator may have gone, or whose process may have died: it ends all the same.
    fn finish_withdrawal(&mut self, registry: &Sales, mut stop: watch::Receiver<bool>) {
        let Some(open) = self.handle.fold.withdrawing().cloned() else { return };
        if std::mem::replace(&mut self.withdrawing, open.seq) == open.seq {
            return;
        }
        let (registry, handle) = (registry.clone(), Arc::clone(&self.handle));
        tokio::spawn(async move {
            let done = async {
                loop {
                    // Whoever was asked for it has this long.
                    tokio::time::sleep(Duration::from_millis(WITHDRAW_PATIENCE_MS)).await;
                    let known = registry.get(handle.id());
                    let ended = known.is_some_and(|fold| fold.withdrawing().is_none_or(|now| now.seq != open.seq));
                    if ended || finish_withdrawal(&registry, &handle, &open).await.is_ok() {
                        return;
                    }
                }
            };
            tokio::select! {
                () = done => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }

    /// Tells owners and HTTP what has changed in the sale's log. False when nothing has.
    fn follow(&mut self, fold: &Arc<SaleFold>) -> bool {
        let shown = &self.handle;
        if shown.fold.seq == fold.seq {
            return false;
        }
        if shown.fold.revision != fold.revision {
            self.doc.send_replace(Arc::clone(&fold.doc));
        }
        let (lanes, line, view) = (shown.lanes.clone(), shown.line.clone(), shown.view.clone());
        self.handle = Arc::new(SaleHandle::new(Arc::clone(fold), lanes, line, view, shown.visitor_key));
        true
    }
}
