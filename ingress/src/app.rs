//! What the handlers work with. The program builds it; all ingress threads share it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use admission::draw::Seed;
use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use domain::id::sale_tag;
use domain::sale::{Phase, SaleDoc, SaleFold};
use domain::table::Mistake;
use domain::token::Keyring;
use domain::{Digest, HoldId, Millis, SaleId, VisitorHash, VisitorId, limits};
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::edge::cors::Origins;
use crate::edge::overload::Load;
use crate::edge::pressure::Pressure;
use crate::edge::rate::{Quota, Rate, prefix};
use crate::metrics;
use crate::server::slots::Slots;
use crate::server::tls::Tls;
use crate::settings::Settings;
use crate::visitor::events::Streams;

/// One sale with everything that serves it. Made anew, with the same handles, whenever the sale's log has grown.
pub struct SaleHandle {
    /// The sale as its log says it is.
    pub fold: Arc<SaleFold>,
    /// Its lanes in order of their number; as many as the document says.
    pub lanes: Vec<booker::Lane>,
    /// Its line; absent where it has no waiting room.
    pub line: Option<admission::Line>,
    /// What this process shows of line and stock.
    pub view: admission::LineView,
    /// The key under which visitors are known in this sale's logs.
    pub visitor_key: [u8; 32],
    /// What the seed of the lobby's draw hashes to.
    pub(crate) commitment: Digest,
    pub(crate) catalogue: ArcSwapOption<crate::visitor::catalogue::Cached>,
    pub(crate) document: ArcSwapOption<crate::visitor::line::Cached>,
}

impl SaleHandle {
    /// A sale that is served by these lanes and this line.
    #[must_use]
    pub fn new(
        fold: Arc<SaleFold>,
        lanes: Vec<booker::Lane>,
        line: Option<admission::Line>,
        view: admission::LineView,
        visitor_key: [u8; 32],
    ) -> Self {
        let (catalogue, document) = (ArcSwapOption::empty(), ArcSwapOption::empty());
        let commitment = Seed::of(&visitor_key, &fold.doc.id).commitment();
        Self { fold, lanes, line, view, visitor_key, commitment, catalogue, document }
    }

    /// The sale's id.
    #[must_use]
    pub fn id(&self) -> &SaleId {
        &self.fold.doc.id
    }

    pub(crate) fn phase(&self, now: Millis) -> Phase {
        self.fold.phase(now)
    }

    pub(crate) fn hash(&self, visitor: &VisitorId) -> VisitorHash {
        VisitorHash::derive(&self.visitor_key, visitor)
    }

    /// The lane that serves this visitor.
    pub(crate) fn lane_of(&self, visitor: &VisitorHash) -> Option<&booker::Lane> {
        self.lanes.get(usize::from(visitor.lane(self.fold.doc.lanes)))
    }
}

/// Every sale there is. A snapshot: the program replaces it as a whole.
#[derive(Default)]
pub struct SaleMap {
    by_id: BTreeMap<SaleId, Arc<SaleHandle>>,
    by_tag: HashMap<u32, Arc<SaleHandle>>,
}

impl SaleMap {
    /// The sale of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<SaleHandle>> {
        // The keys are sorted by their text, so text that is no id at all is simply not there.
        self.by_id.get(id)
    }

    /// The sales in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<SaleHandle>> {
        self.by_id.values()
    }

    pub(crate) fn home_of(&self, id: &HoldId) -> Option<&Arc<SaleHandle>> {
        self.by_tag.get(&id.sale_tag())
    }
}

impl FromIterator<Arc<SaleHandle>> for SaleMap {
    fn from_iter<T: IntoIterator<Item = Arc<SaleHandle>>>(sales: T) -> Self {
        let mut map = Self::default();
        for sale in sales {
            map.by_tag.insert(sale_tag(sale.id()), Arc::clone(&sale));
            map.by_id.insert(sale.id().clone(), sale);
        }
        map
    }
}

/// An operator's key.
#[derive(Clone)]
pub struct OperatorKey {
    /// Stands in every act's record.
    pub name: String,
    /// What follows `Bearer` in the request.
    pub secret: String,
}

/// Whether something that serving needs is there; `Err` says what is missing. Cheap and without waiting: it is asked often.
pub type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;
/// Whether this installation may sell what the document says; `Err` says why not and what to do.
pub type MaySell = Arc<dyn Fn(&SaleDoc) -> Result<(), Mistake> + Send + Sync>;
/// Runs the audit of a sale and gives its report as JSON; `Err` says why it could not be run.
pub type Audit = Arc<dyn Fn(SaleId) -> BoxFuture<'static, Result<Box<RawValue>, String>> + Send + Sync>;
/// A part of a sale's event feed from this position on, as lines of JSON.
pub type Events = Arc<dyn Fn(SaleId, String) -> BoxFuture<'static, Result<String, NoEvents>> + Send + Sync>;

/// Why there is no part of the event feed; the text is for the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoEvents {
    /// The position is none of this feed.
    BadPosition(String),
    /// The feed cannot be read now.
    Unavailable(String),
}
/// The figures of this process as Prometheus reads them.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What the program gives.
pub struct Parts {
    /// Signs and verifies the tokens of visitors.
    pub keyring: Keyring,
    /// The registry that operators' acts go to.
    pub registry: admission::Sales,
    /// Who may call `/admin/v1`. Nobody when empty.
    pub operators: Vec<OperatorKey>,
    /// For `/metrics`.
    pub metrics_text: MetricsText,
    /// For `/readyz`, by name.
    pub checks: Vec<(&'static str, Check)>,
    /// Asked before a sale is created, changed or opened.
    pub may_sell: MaySell,
    /// For `GET /admin/v1/sales/{sale}/audit`.
    pub audit: Audit,
    /// For `GET /admin/v1/sales/{sale}/events`.
    pub events: Events,
    /// The edge's settings.
    pub settings: Settings,
    /// Encrypts the public listener.
    pub tls: Option<Arc<Tls>>,
}

/// Everything the two listeners share. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

pub struct Shared {
    pub(crate) keyring: ArcSwap<Keyring>,
    pub(crate) operators: ArcSwap<Vec<OperatorKey>>,
    pub(crate) process_keys: ArcSwap<Vec<String>>,
    pub(crate) parts: Fixed,
    pub(crate) origins: Origins,
    pub(crate) load: Arc<Load>,
    pub(crate) confirms: metrics::Confirms,
    pub(crate) public_slots: Arc<Slots>,
    pub(crate) admin_slots: Arc<Slots>,
    sales: ArcSwap<SaleMap>,
    pub(crate) refusals: metrics::Refusals,
    pub(crate) proofs: metrics::Proofs,
    visitors: Mutex<Rate<IpAddr>>,
    joins: Mutex<Rate<IpAddr>>,
    joins_of: Mutex<Rate<[u8; 16]>>,
    pressure: Pressure,
    bad_codes: Mutex<Rate<IpAddr>>,
    pub(crate) streams: Arc<Streams>,
    draining: AtomicBool,
    born: Instant,
}

/// The parts that stay as they were given.
pub(crate) struct Fixed {
    pub(crate) registry: admission::Sales,
    pub(crate) metrics_text: MetricsText,
    pub(crate) checks: Vec<(&'static str, Check)>,
    pub(crate) may_sell: MaySell,
    pub(crate) audit: Audit,
    pub(crate) events: Events,
    pub(crate) settings: Settings,
    pub(crate) tls: Option<Arc<Tls>>,
}

impl App {
    /// An app without sales yet. Make it after the metrics recorder is installed: it keeps handles of its metrics.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let settings = &parts.settings;
        let shared = Shared {
            keyring: ArcSwap::from_pointee(parts.keyring),
            operators: ArcSwap::from_pointee(parts.operators),
            process_keys: ArcSwap::default(),
            origins: Origins::new(&settings.allowed_origins),
            load: Arc::new(Load::new(settings.in_flight)),
            confirms: metrics::Confirms::new(),
            public_slots: Arc::default(),
            admin_slots: Arc::default(),
            sales: ArcSwap::default(),
            refusals: metrics::Refusals::new(),
            proofs: metrics::Proofs::new(),
            visitors: Mutex::new(Rate::new(settings.visitors_per_minute, limits::MAX_REMEMBERED_ADDRESSES)),
            joins: Mutex::new(Rate::new(settings.joins_per_minute, limits::MAX_REMEMBERED_ADDRESSES)),
            joins_of: Mutex::new(Rate::new(settings.joins_per_visitor, limits::MAX_REMEMBERED_ADDRESSES)),
            pressure: Pressure::default(),
            bad_codes: Mutex::new(Rate::new(limits::BAD_CODES_PER_MINUTE, limits::MAX_REMEMBERED_ADDRESSES)),
            streams: Arc::new(Streams::new()),
            draining: AtomicBool::new(false),
            born: Instant::now(),
            parts: Fixed {
                registry: parts.registry,
                metrics_text: parts.metrics_text,
                checks: parts.checks,
                may_sell: parts.may_sell,
                audit: parts.audit,
                events: parts.events,
                settings: parts.settings,
                tls: parts.tls,
            },
        };
        Self(Arc::new(shared))
    }

    /// Replaces the sales that are served.
    pub fn set_sales(&self, sales: SaleMap) {
        self.0.sales.store(Arc::new(sales));
    }

    /// The sales that are served.
    #[must_use]
    pub fn sales(&self) -> Guard<Arc<SaleMap>> {
        self.0.sales.load()
    }

    /// Replaces the keys of tokens (SIGHUP).
    pub fn set_keyring(&self, keyring: Keyring) {
        self.0.keyring.store(Arc::new(keyring));
    }

    /// Replaces the operators' keys (SIGHUP).
    pub fn set_operators(&self, operators: Vec<OperatorKey>) {
        self.0.operators.store(Arc::new(operators));
    }

    /// Replaces the keys by which other processes are known; nobody's at first.
    pub fn set_process_keys(&self, keys: Vec<String>) {
        self.0.process_keys.store(Arc::new(keys));
    }

    /// Says 503 on `/readyz` from now on, so that balancers look elsewhere before the listeners stop.
    pub fn drain(&self) {
        self.0.draining.store(true, Relaxed);
    }

    /// Counts one new anonymous visitor for this client. With the quota comes the bound it is of.
    pub(crate) fn new_visitor(&self, client: IpAddr) -> (Quota, u32) {
        self.take(&self.0.visitors, self.prefix(client))
    }

    /// Counts one join for this client.
    pub(crate) fn new_join(&self, client: IpAddr) -> (Quota, u32) {
        self.take(&self.0.joins, self.prefix(client))
    }

    /// Counts one join for this visitor.
    pub(crate) fn new_join_of(&self, visitor: VisitorId) -> (Quota, u32) {
        self.take(&self.0.joins_of, visitor.0)
    }

    /// A join was paid for with work.
    pub(crate) fn paid(&self) {
        self.0.pressure.joined(self.now_us());
    }

    /// How dear a join of this client has to be, from 0 to 1: by how many people join, and by how much of its bound the client
    /// has used.
    pub(crate) fn pressure(&self, client: IpAddr) -> f64 {
        let (now, client) = (self.now_us(), self.prefix(client));
        let used = |rate: &Mutex<Rate<IpAddr>>| rate.lock().unwrap_or_else(PoisonError::into_inner).share(&client, now);
        self.0.pressure.share(now).max(used(&self.0.joins)).max(used(&self.0.visitors))
    }

    fn take<K: Copy + Ord + std::hash::Hash>(&self, rate: &Mutex<Rate<K>>, client: K) -> (Quota, u32) {
        let mut rate = rate.lock().unwrap_or_else(PoisonError::into_inner);
        (rate.take(client, self.now_us()), rate.per_minute())
    }

    fn prefix(&self, client: IpAddr) -> IpAddr {
        prefix(client, self.0.parts.settings.address_bits)
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.0.born.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Counts one code for this client that is none.
    pub(crate) fn bad_code(&self, client: IpAddr) {
        self.take(&self.0.bad_codes, self.prefix(client));
    }

    /// When this client may try a code: after so many milliseconds. Counts nothing.
    pub(crate) fn code_in_ms(&self, client: IpAddr) -> u64 {
        let bad = self.0.bad_codes.lock().unwrap_or_else(PoisonError::into_inner);
        bad.wait_ms(&self.prefix(client), self.now_us())
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Relaxed)
    }
}

impl std::ops::Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}
