//! Every bound of the program in one place, with its unit and its reason (I9). Relations between them are checked when this file compiles.

mod checkout;

pub use checkout::*;

/// Bytes of a sale's or an item's name: a DNS label, so that it fits into hosts, keys and paths.
pub const MAX_NAME_BYTES: usize = 63;
/// Lanes of a sale: 10 bits of a hold's id.
pub const MAX_LANES: u16 = 1024;
/// Items of a sale: a lane's items are read and written by one script.
pub const MAX_ITEMS: usize = 2_000;
/// Units of one item: far beyond any sale, and sums of all items stay exact in Redis' doubles (2^53).
pub const MAX_UNITS: u64 = 100_000_000;
/// Units one line of a hold may ask for.
pub const MAX_QUANTITY: u32 = 1_000;
/// Lines of one hold: bounds the work of one request inside a script.
pub const MAX_LINES: usize = 20;
/// Bytes of an `Idempotency-Key`: a UUID with room to spare; longer ones are a mistake or an attack.
pub const MAX_KEY_BYTES: usize = 128;
/// Characters of a title.
pub const MAX_TITLE_CHARS: usize = 120;
/// Bytes of a sale document, as text and as it stands in the sale's log: the event that defines it has to fit one append.
pub const MAX_SALE_DOC_BYTES: usize = 800 << 10;
/// Mistakes reported at once: enough to mend a document, and a bound for a hostile one.
pub const MAX_MISTAKES: usize = 100;
/// Characters of a wrong value that are shown.
pub const MAX_MISTAKE_VALUE_CHARS: usize = 60;
/// Passes per minute of one sale: a hundred thousand a second is beyond any lane.
pub const MAX_PACE_PER_MINUTE: u32 = 6_000_000;
/// Passes alive at once in one sale: the line's owner keeps each in memory.
pub const MAX_ACTIVE_PASSES: u32 = 1_000_000;
/// Places that wait on when everything is sold: each asks every few seconds whether a unit came back.
pub const MAX_STANDBY_PLACES: u32 = 100_000;
/// Classes of a line beside everybody: each has a row in every document about the line, and a label in metrics.
pub const MAX_CLASSES: usize = 8;
/// Of 100 calls, the fewest that everybody without a class gets: nobody is bypassed for ever.
pub const MIN_SHARE: u32 = 10;
/// Codes that a sale's document lists: signed ones need no list.
pub const MAX_LISTED_CODES: usize = 1_000;
/// Characters of a code without its dashes: as many as a signed one has.
pub const MAX_CODE_CHARS: usize = 32;
/// Signed codes made by one request: some 400 KB as text.
pub const MAX_SIGNED_CODES: u64 = 10_000;
/// Visitors who may redeem one code: 16 bits of a signed one.
pub const MAX_CODE_USES: u32 = 65_535;
/// Redemptions of one sale: the line's owner keeps each in memory, some 130 bytes with its code.
pub const MAX_REDEEMED: usize = 1_000_000;
/// Redemptions of one entry of a line's log: some 130 bytes each.
pub const MAX_REDEEMED_ENTRY: usize = 1_024;
/// Codes that are none, taken from one address per minute: typing errors are a few, guessing needs billions.
pub const BAD_CODES_PER_MINUTE: u32 = 20;
/// Units one visitor may be allowed in a sale.
pub const MAX_UNITS_PER_VISITOR: u32 = 1_000_000;
/// Milliseconds a hold, a pass or a turn lives at least: below it nobody could use it.
pub const MIN_TTL_MS: u64 = 100;
/// Milliseconds a hold, a pass or a turn lives at most.
pub const MAX_TTL_MS: u64 = 24 * 3_600_000;

/// Requests decided by one script call. Larger groups gain nothing and hold up everybody behind them.
pub const MAX_GROUP: usize = 128;
/// Calls of one kind under way per lane at once: enough to keep Redis busy while answers travel.
pub const MAX_CALLS_IN_FLIGHT: usize = 4;
/// Requests waiting for a lane's or a line's owner, beyond which new ones are answered 503.
pub const MAX_OWNER_QUEUE: usize = 16_384;
/// Undecided intents per lane, beyond which a confirm is answered 503 and changes nothing.
pub const MAX_CONFIRMING: usize = 10_000;
/// Holds a pass may make: bounds the records one visitor can leave behind.
pub const MAX_HOLDS_PER_PASS: u32 = 20;
/// Holds of one visitor in a sale without a waiting room that were not booked and are remembered: bounds the records one visitor can
/// leave behind within an hour of a deadline. Partners and box offices hold and release all day.
pub const MAX_HOLDS_WITHOUT_PASS: u32 = 1_000;
/// Confirms of holds that Redis does not know, per pass: each costs one event.
pub const MAX_UNKNOWN_CONFIRMS_PER_PASS: u32 = 4;
/// Overdue holds reaped by one script call.
pub const MAX_REAP: usize = 64;
/// Milliseconds a released hold is remembered after its deadline.
pub const RELEASED_KEEP_MS: u64 = 3_600_000;
/// Milliseconds decided records stay in Redis after a sale has closed; then the lane is unloaded and the fold answers.
pub const DECIDED_KEEP_MS: u64 = 24 * 3_600_000;

/// Events of one append. With about 150 bytes each a full group stays below [`MAX_APPEND_BYTES`].
pub const MAX_APPEND_EVENTS: usize = 1_024;
/// Bytes of one append: a good group is 64 to 128 KiB, the hard limits of the stores (a frame, half a commit log segment) are far above.
pub const MAX_APPEND_BYTES: usize = 1 << 20;
/// Rows of a ledger segment before it is sealed: keeps partitions of a CQL store small.
pub const MAX_SEGMENT_ROWS: u64 = 50_000;
/// Bytes of a ledger segment before it is sealed.
pub const MAX_SEGMENT_BYTES: u64 = 32 << 20;
/// Events read from the ledger by one call.
pub const MAX_READ_EVENTS: usize = 10_000;
/// Bytes of events that one read of the ledger answers with: bounds a process that reads a log of large events.
pub const MAX_READ_BYTES: usize = 8 << 20;
/// Appends and claims waiting for the embedded ledger's writer thread. Each log has one writer, so this is many lanes, not many visitors.
pub const MAX_LEDGER_QUEUE: usize = 1_024;
/// Reads waiting for the embedded ledger's readers.
pub const MAX_LEDGER_READS: usize = 256;
/// Threads that read the embedded ledger: a long replay must not hold up the heartbeat's look at a head.
pub const LEDGER_READERS: usize = 2;
/// Appends of different logs in one transaction of the embedded ledger.
pub const MAX_TRANSACTION_APPENDS: usize = 256;
/// Bytes of events in one transaction of the embedded ledger: bounds what one fsync has to wait for.
pub const MAX_TRANSACTION_BYTES: usize = 4 << 20;
/// Bytes of an embedded ledger that is checked as a whole when it is opened; of a larger one only the heads are, so that a start stays short.
pub const MAX_CHECKED_BYTES: u64 = 64 << 20;
/// Bytes of an owner's name in the ledger: a process id and an address.
pub const MAX_OWNER_BYTES: usize = 256;
/// Events applied to Redis by one settle call: bounds how long the script holds up Redis.
pub const MAX_SETTLE_EVENTS: usize = 256;
/// Intents without an event that one settle call ends, and cancels it takes from the intents.
pub const MAX_SETTLE_RESOLUTIONS: usize = 1_024;
/// Records or intents that one script call looks through.
pub const SCAN_CHUNK: usize = 500;
/// Records that one script call counts to compare them with a lane's live units: some 10 ms of Redis' time. More are counted in
/// several calls, as long as nothing changes meanwhile.
pub const MAX_RECOUNT: usize = 5_000;
/// Bytes of the document that a line's owner publishes through Redis.
pub const MAX_LINE_DOC_BYTES: usize = 8_192;
/// Records written by one chunk of a load.
pub const MAX_LOAD_CHUNK: usize = 1_000;

/// Milliseconds one Redis call may take before its outcome is unknown.
pub const REDIS_CALL_MS: u64 = 500;
/// Milliseconds to open one Redis connection.
pub const REDIS_CONNECT_MS: u64 = 200;
/// Milliseconds between two looks whether an appliance's own redis-server still answers anything at all.
pub const REDIS_LOOK_EVERY_MS: u64 = 500;
/// Looks in a row without any answer before that redis-server is taken for frozen and replaced: each waits half a second, so
/// about five seconds, longer than a full disk queue or the fork of a rewrite keeps it. Counted in looks and not in time, so
/// that a machine that slept does not replace a healthy one.
pub const REDIS_FROZEN_LOOKS: u32 = 5;
/// Milliseconds between two attempts to open a Redis connection.
pub const REDIS_PACE_MS: u64 = 50;
/// Addresses by which a Redis Cluster may be named: any one that answers tells the others.
pub const MAX_REDIS_SEEDS: usize = 64;
/// Nodes of a Redis Cluster that are asked who has which slot; a cluster of more has far more lanes than a sale.
pub const MAX_REDIS_NODES: usize = 256;
/// Milliseconds between two looks at who has which slot, when nobody has a reason to look sooner.
pub const REDIS_SLOTS_MS: u64 = 500;
/// The same when a call was refused or a connection broke: bounds what a reshard costs the nodes.
pub const REDIS_SLOTS_SOON_MS: u64 = 50;
/// Milliseconds one node may take to say who has which slot: a frozen one must not keep the others' word back for long.
pub const REDIS_SLOTS_ANSWER_MS: u64 = 200;
/// Milliseconds between two tries of a call that a cluster refused for now (a slot on its way, no quorum).
pub const REDIS_AGAIN_MS: u64 = 20;
/// Milliseconds that must be left of a call's time to send it again: with less its outcome would soon be unknown instead of refused.
pub const REDIS_AGAIN_LEFT_MS: u64 = 100;
/// Redirections in a row that a call follows before it waits: nodes that disagree send it back and forth.
pub const MAX_REDIRECTIONS: u32 = 4;
/// Milliseconds an append may take before its caller gives up waiting and looks again.
pub const APPEND_MS: u64 = 5_000;
/// Milliseconds a read of the ledger may take.
pub const LEDGER_READ_MS: u64 = 5_000;
/// Milliseconds between two tries of an append whose outcome is not known, at first and at most (doubled in between).
pub const RESEND_MS: (u64, u64) = (10, 500);
/// Milliseconds the embedded ledger waits for another process that has locked its file.
pub const LEDGER_LOCK_MS: u64 = 1_000;
/// Milliseconds one statement to a CQL ledger may take before its outcome is in doubt: longer than the database itself tries (1,000 to 1,800), short enough
/// for several tries within [`APPEND_MS`].
pub const CQL_TRY_MS: u64 = 1_500;
/// Milliseconds to open one connection to a CQL ledger.
pub const CQL_CONNECT_MS: u64 = 2_000;
/// Milliseconds to open a session with a CQL ledger: all contact points, the nodes and the schema.
pub const CQL_OPEN_MS: u64 = 8_000;
/// Milliseconds a statement that changes the schema of a CQL ledger may take: all nodes have to agree.
pub const CQL_SCHEMA_MS: u64 = 30_000;
/// Milliseconds between two signs of life on a connection to a CQL ledger, and how long one may be missing: a frozen node is left after both.
pub const CQL_KEEPALIVE_MS: (u64, u64) = (2_000, 3_000);
/// Milliseconds that a node of a CQL ledger which left a statement without an answer is asked last: until its connections have ended, or it is well again.
pub const CQL_SUSPECT_MS: u64 = 5_000;
/// Parts of a CQL ledger's index of logs: spreads it over the nodes, and is what listing costs.
pub const CQL_INDEX_SHARDS: u8 = 8;
/// Rows of a CQL ledger read by one request, at least (large appends) and at most (small ones).
pub const CQL_PAGE_ROWS: (u64, u64) = (8, 2_000);
/// Logs whose sealed segments a process remembers; with more, it forgets all and looks again.
pub const MAX_REMEMBERED_LOGS: usize = 8_192;
/// Milliseconds a lease on a lane or a line lives: how long nobody takes over an owner that died.
pub const LEASE_MS: u64 = 1_000;
/// Milliseconds between two renewals of a lease: two may fail before it ends.
pub const LEASE_EVERY_MS: u64 = 300;
/// Milliseconds a free lease is left to processes that own less, by one that has its share.
pub const LEASE_LEFT_MS: u64 = 250;
/// Milliseconds in which an owner that gave its lease back does not ask for it again.
pub const LEASE_REST_MS: u64 = 2_000;
/// Milliseconds between two looks of a standby at a log that grows: what came since is all that a take-over still has to fold.
pub const TAIL_EVERY_MS: u64 = 100;
/// Milliseconds between two signs of life of a process, and how long one counts.
pub const MEMBER_MS: (u64, u64) = (500, 2_000);
/// Milliseconds before an owner tries again what Redis or the ledger did not do, at first and at most (doubled in between).
pub const OWNER_RETRY_MS: (u64, u64) = (25, 1_000);
/// Scripts of a lane or a line that fail within [`BROKEN_WITHIN_MS`] before its keys are taken for damaged and loaded anew: one may be
/// a mistake of its caller.
pub const BROKEN_CALLS: u32 = 3;
/// See [`BROKEN_CALLS`].
pub const BROKEN_WITHIN_MS: u64 = 10_000;
/// Milliseconds between two log lines about scripts that fail: under load all of them do at once.
pub const BROKEN_SAY_MS: u64 = 1_000;
/// Milliseconds between two loads of damaged keys, at first and at most (doubled in between): each ends the undecided holds.
pub const BROKEN_PAUSE_MS: (u64, u64) = (1_000, 60_000);
/// Milliseconds between two counts of a lane's live units from its records, at least.
pub const RECOUNT_EVERY_MS: u64 = 1_000;
/// Pause after a count, as a multiple of what it took, so that counting costs a hundredth of Redis' time however many released records
/// a lane still keeps (a count reads them all).
pub const RECOUNT_PAUSE: u32 = 100;
/// Milliseconds between two counts at most: a difference is found and mended within two of them.
pub const RECOUNT_AT_MOST_MS: u64 = 60_000;
/// Milliseconds between two comparisons of Redis with the fold.
pub const RECONCILE_EVERY_MS: u64 = 1_000;
/// Milliseconds between two looks of a lane's owner at Redis and the ledger.
pub const HEARTBEAT_MS: u64 = 1_000;
/// Milliseconds between two runs of a lane's ticker (overdue holds, forgotten intents).
pub const REAP_EVERY_MS: u64 = 250;
/// Milliseconds a confirm waits for the ledger before it is answered 202.
pub const CONFIRM_PATIENCE_MS: u64 = 2_000;
/// Milliseconds between two repetitions of a confirm that was answered 202, and how long they go on.
pub const CONFIRM_REPEAT_MS: u64 = 1_000;
/// See [`CONFIRM_REPEAT_MS`].
pub const CONFIRM_REPEAT_FOR_MS: u64 = 60_000;

/// Lanes with metrics of their own; those beyond are counted together, and have no gauges: a label per lane must not flood
/// whoever collects them.
pub const MAX_LANE_LABELS: u16 = 64;
/// Milliseconds between two looks of the owner of one of several lanes at what is free in it, while it is asked for holds.
pub const FREE_LOOK_MS: u64 = 100;
/// Milliseconds of holds at the present rate that a lane wants to have free: with less it asks another lane. Long enough for a
/// transfer, which takes two appends.
pub const LOW_WATER_MS: u64 = 500;
/// Milliseconds of holds at the present rate that a lane which asks wants to have afterwards.
pub const FILL_MS: u64 = 1_500;
/// Milliseconds a hold that found a dry lane waits for another lane's units, beyond which it is answered `all-held`.
pub const DRY_HOLD_MS: u64 = 1_000;
/// Milliseconds between two rounds over all lanes, plus [`ROUND_EVERY_LANE_MS`] per lane: each reads every lane.
pub const ROUND_EVERY_MS: u64 = 20;
/// See [`ROUND_EVERY_MS`].
pub const ROUND_EVERY_LANE_MS: u64 = 1;
/// Milliseconds another lane may take to give units before its answer is not waited for any more. What it gives then is found
/// in its log.
pub const GIVE_MS: u64 = 2_000;
/// Milliseconds between two questions of a lane to another one about units under way to it that nobody told it of.
pub const FETCH_EVERY_MS: u64 = 1_000;
/// Transfers that one answer to such a question names.
pub const MAX_FETCH: usize = 256;

/// Milliseconds without a lease after which the reconciler says that nobody owns a lane or line: a take-over would be over.
pub const NO_OWNER_AFTER_MS: u64 = 3_000;
/// Milliseconds after which a lane of which Redis has less than the ledger is a difference.
pub const BEHIND_AFTER_MS: u64 = 10_000;
/// Milliseconds after which an intent that is not decided is a difference.
pub const STUCK_AFTER_MS: u64 = 10_000;
/// Milliseconds behind its deadline after which a hold, or a record that is to be purged, is overdue: twenty runs of the ticker.
pub const OVERDUE_AFTER_MS: u64 = 5_000;
/// Milliseconds between two looks at what surrounds the program: Redis' settings, certificate, keys, room on disks.
pub const SURROUNDINGS_EVERY_MS: u64 = 10_000;

/// Numbers that the owner of a line takes from the log at once.
pub const NUMBER_BLOCK: u64 = 10_000;
/// Visitors in one lobby: the order of its draw takes 4 bytes for each in every process that serves, 40 MB.
pub const MAX_LOBBY: u32 = 10_000_000;
/// Receipts given out by one entry of a line's log: 26 bytes each, a good group for the ledger.
pub const MAX_RECEIPTS: usize = 4_096;
/// Receipts or leaves in one answer: some 700 KB as text.
pub const MAX_LEAVES_SHOWN: usize = 10_000;
/// Bytes of a draw's public value.
pub const MAX_PUBLIC_VALUE_BYTES: usize = 1_024;
/// Characters of it: a round of a beacon and its signature have room, and no character needs more than four bytes.
pub const MAX_PUBLIC_VALUE_CHARS: usize = MAX_PUBLIC_VALUE_BYTES / 4;
/// Milliseconds between two steps of admission.
pub const STEP_MS: u64 = 100;
/// Milliseconds that faults of ours may add to a pass or a hold: longer ones hold back stock from everybody else.
pub const MAX_FAULT_CREDIT_MS: u64 = 120_000;
/// Milliseconds a failure of ours lasts at least to be recorded, and by which what a process knows of failures may lag: what a
/// line's owner says reaches everybody within a second.
pub const FAULT_MIN_MS: u64 = 1_500;
/// The time up to which failures are known is published in steps of so many milliseconds, so that a quiet line is not written anew
/// with every step.
pub const FAULT_KNOWN_STEP_MS: u64 = 500;
/// Failures a sale remembers apart from each other; with more, the two nearest count as one. A script goes through all of them for
/// each hold that is due.
pub const MAX_FAULTS: usize = 32;
/// Milliseconds a failure is remembered after its end: longer than anything lives that it could extend.
pub const FAULT_KEEP_MS: u64 = MAX_TTL_MS + 2 * MAX_FAULT_CREDIT_MS;
/// Waits told that a process compares with what really happened, at once: one a second over ten minutes.
pub const MAX_WAIT_PROBES: usize = 600;
/// Milliseconds in which admission fills places that are missing to its target: a crowd let in at once comes back as a wave.
pub const FLOW_FILL_MS: u64 = 5_000;
/// Milliseconds from a resume until the whole pace is in force again, where the operator says nothing else.
pub const RAMP_MS: u64 = 30_000;
/// Milliseconds over which admission measures what people do: as long as most of them stay.
pub const HABITS_WINDOW_MS: u64 = 300_000;
/// People who are imagined before any was measured: twenty real ones count as much.
pub const HABITS_PRIOR: u64 = 20;
/// Ended passes whose stay is remembered within the window: their average is good to a fiftieth.
pub const MAX_STAYS: usize = 4_000;
/// Of 1,000 people called, the fewest that are believed to come: beyond two and a half calls per place a wrong measurement
/// would let a crowd wait at the gate.
pub const MIN_SHOW_PERMILLE: u64 = 400;
/// Units that 1,000 people inside are believed to take at least.
pub const MIN_TAKE_PERMILLE: u64 = 300;
/// Milliseconds an answer of a store takes: up to the first admission is at full strength, from the second on at none.
pub const HEALTH_SLOW_MS: (u64, u64) = (250, 2_000);
/// Milliseconds since a store last answered, in the same way. Each is asked at least once a second.
pub const HEALTH_FRESH_MS: (u64, u64) = (2_000, 4_000);
/// Milliseconds after its expiry that a pass frees its place: a bound for the skew between clocks.
pub const PASS_SKEW_MS: u64 = 1_000;

/// HTTP connections of one process by default: each costs a file descriptor and, once it spoke, about 10 KiB.
pub const HTTP_CONNECTIONS: usize = 20_000;
/// HTTP requests answered with the help of an owner at once, beyond which even confirms are refused. Lower classes stop earlier.
pub const HTTP_IN_FLIGHT: usize = 16_384;
/// The same for operators' requests, which have their own room: a crowd of visitors must not keep them out.
pub const HTTP_ADMIN_IN_FLIGHT: usize = 64;
/// Bytes of a request's line and headers together.
pub const HTTP_HEAD_BYTES: usize = 16 << 10;
/// Bytes of a visitor's request body: twenty lines of a hold need about 2 KiB.
pub const HTTP_BODY_BYTES: usize = 16 << 10;
/// Bytes of an operator's request body: a sale document of [`MAX_ITEMS`] items.
pub const HTTP_ADMIN_BODY_BYTES: usize = 1 << 20;
/// Characters of an operator's reason for an act: it stands in the sale's log for ever.
pub const MAX_WHY_CHARS: usize = 500;
/// Characters of what visitors are told during a pause: it travels with every poll.
pub const MAX_MESSAGE_CHARS: usize = 300;
/// Milliseconds that an operator waits for the lanes to give what is withdrawn, before being told to ask again.
pub const WITHDRAW_PATIENCE_MS: u64 = 5_000;
/// Longest time the pace takes to grow after a pause, milliseconds: an hour.
pub const MAX_RAMP_MS: u64 = 3_600_000;
/// Bytes of an unread body thrown away after an early answer, so that the client gets to read the answer.
pub const HTTP_LINGER_BYTES: usize = 2 << 20;
/// Milliseconds from accepting a connection to its first byte.
pub const HTTP_FIRST_BYTE_MS: u64 = 10_000;
/// Milliseconds from a request's first byte to the end of its headers.
pub const HTTP_HEAD_MS: u64 = 10_000;
/// Milliseconds from a request's headers to the end of its body.
pub const HTTP_BODY_MS: u64 = 10_000;
/// Milliseconds a connection may rest between two requests: longer than the usual 60 s of proxies, so that they close first.
pub const HTTP_IDLE_MS: u64 = 75_000;
/// Milliseconds a client may take to accept the next bytes of an answer.
pub const HTTP_WRITE_MS: u64 = 20_000;
/// Milliseconds that requests under way get to finish when the program stops.
pub const HTTP_DRAIN_MS: u64 = 10_000;
/// Visitors who may follow their tickets as events at once, in one process: each keeps a connection and some 10 KiB.
pub const MAX_EVENT_STREAMS: usize = 5_000;
/// People ahead, at most, of a visitor who may follow the ticket as events: for the others a poll now and then is as good.
pub const EVENT_STREAM_AHEAD: u64 = 10_000;
/// Milliseconds between two looks of a stream at its ticket.
pub const EVENT_LOOK_MS: u64 = 500;
/// Milliseconds between two events that change no state: a moving line would say something at every look.
pub const EVENT_EVERY_MS: u64 = 2_000;
/// Milliseconds after which a stream with nothing to say says so: below what proxies wait for.
pub const EVENT_HEARTBEAT_MS: u64 = 15_000;
/// Longest life of a stream, milliseconds; the shortest is half of it. Streams would stay with the process they began with.
pub const EVENT_STREAM_MS: u64 = 600_000;
/// Anonymous visitors made per client address and minute by default. Whole schools and offices share one.
pub const VISITORS_PER_MINUTE: u32 = 600;
/// Clients whose use a limit remembers one by one; with more, newcomers share buckets ([`MAX_SHARED_BUCKETS`]).
pub const MAX_REMEMBERED_ADDRESSES: usize = 65_536;
/// Milliseconds an anonymous visitor's token is good for: 30 days.
pub const VISITOR_TTL_MS: u64 = 30 * 24 * 3_600_000;
/// Milliseconds a ticket is good for where the sale does not say when it closes: 7 days.
pub const TICKET_TTL_MS: u64 = 7 * 24 * 3_600_000;
/// Milliseconds a ticket is good for behind the close its sale had when it was signed: an operator who extends the sale must
/// not void the places of those who are in line already. 30 days, as long as its visitor's token.
pub const TICKET_SLACK_MS: u64 = 30 * 24 * 3_600_000;
/// Milliseconds a ticket, receipt or booking mark is good for at most, however late its sale closes: ten years.
pub const TICKET_MOST_MS: u64 = 3_653 * 24 * 3_600_000;
/// Milliseconds a proof of work may be used: the slowest phone finds the dearest number in a tenth of it.
pub const PROOF_TTL_MS: u64 = 300_000;
/// Hashes that a proof of work takes at most while few people join, and at the highest pressure, where the sale does not say: a
/// quarter of a second and some five seconds of a phone.
pub const PROOF_HASHES: (u32, u32) = (50_000, 1_000_000);
/// Hashes that a sale may ask for, at least and at most: less is no work, more is no answer within [`PROOF_TTL_MS`].
pub const PROOF_HASHES_RANGE: (u32, u32) = (1_000, 50_000_000);
/// Joins per second of one process up to which a proof of work costs the least, and from which it costs the most.
pub const PROOF_PRESSURE_PER_S: (u32, u32) = (50, 5_000);
/// Milliseconds over which joins are counted for that price: a wave is noticed within it, and forgotten within a few of it.
pub const PROOF_PRESSURE_MS: u64 = 5_000;
/// Joins per address prefix and minute by default: ten times [`VISITORS_PER_MINUTE`], since who is in line comes back.
pub const JOINS_PER_MINUTE: u32 = 6_000;
/// Joins of one visitor per minute by default: a page joins once and again after a lost answer.
pub const JOINS_PER_VISITOR: u32 = 600;
/// Milliseconds a code that moves a place to another device is good for: long enough to fetch the device.
pub const MOVE_CODE_MS: u64 = 600_000;
/// Codes that the owner of a line keeps at once, some 200 bytes each; more are refused.
pub const MAX_MOVE_CODES: usize = 50_000;
/// Places of a line that may ever be moved, beyond which nobody can any more: the owner remembers each, some hundred bytes.
pub const MAX_MOVES: usize = 200_000;
/// Bits of an IPv4 and an IPv6 address that count as one client: a single one, and what one subscriber gets.
pub const ADDRESS_BITS: (u8, u8) = (32, 64);
/// Buckets for clients that the table of a limit has no room for. They are shared, so that a full table refuses too many, not too few.
pub const MAX_SHARED_BUCKETS: usize = 4_096;
/// Requests forwarded to an owner in another process by one call. Confirms of one call are answered together, so a group may be
/// larger than one of [`MAX_GROUP`]: the owner cuts it anyway.
pub const MAX_FORWARD_GROUP: usize = 512;
/// Numbers of passes that ended, told to a line's owner by one call.
pub const MAX_FORWARD_ENDS: usize = 8_192;
/// Numbers of passes that ended which a process remembers, to tell them again when the line gets another owner. More than this
/// many passes of the past expire by themselves.
pub const MAX_REMEMBERED_ENDS: usize = 65_536;
/// Bytes of one forwarded group: 512 holds of twenty lines of the longest names.
pub const MAX_FORWARD_BYTES: usize = 2 << 20;
/// Bytes of an owner's answer to a group: the bookings of a visitor who is a box office are many.
pub const MAX_FORWARD_ANSWER_BYTES: usize = 64 << 20;
/// Forwarded calls of a process under way at once, over all lanes and lines: each has a connection.
pub const MAX_FORWARD_CALLS: usize = 256;
/// Forwarded groups a process works on at once for others.
pub const MAX_SERVED_CALLS: usize = 4_096;
/// Milliseconds that a forwarded request may look for its owner before it is refused: a take-over mostly fits.
pub const FORWARD_MS: u64 = 1_500;
/// Milliseconds an owner in another process has for a group before the outcome is unknown.
pub const FORWARD_ANSWER_MS: u64 = 2_000;
/// Milliseconds to open a connection to another process.
pub const FORWARD_CONNECT_MS: u64 = 250;
/// Milliseconds before the owner of a lane or line is looked up again, at first and at most (doubled in between).
pub const FORWARD_LOOK_MS: (u64, u64) = (10, 100);
/// Milliseconds after which a 202 should be asked about again.
pub const POLL_CONFIRM_MS: u64 = 1_000;

const _: () = assert!(MAX_GROUP * MAX_CALLS_IN_FLIGHT <= MAX_OWNER_QUEUE, "a full set of calls must fit the queue");
const _: () = assert!(MAX_RECEIPTS * 32 <= MAX_APPEND_BYTES / 4, "receipts leave room for the rest of their entry");
const _: () = assert!(MAX_APPEND_BYTES as u64 * 4 <= MAX_SEGMENT_BYTES, "a segment holds several appends");
const _: () = assert!(MAX_UNITS * MAX_ITEMS as u64 * 2 < 1 << 53, "all units of a sale are exact in a double");
const _: () = assert!(
    MAX_SALE_DOC_BYTES + MAX_ITEMS * (MAX_NAME_BYTES + 16) + 4096 <= MAX_APPEND_BYTES,
    "a sale's definition, with the stock it adds, fits one append"
);
const _: () = assert!(LOW_WATER_MS < FILL_MS && FREE_LOOK_MS < LOW_WATER_MS, "a dry lane is seen before it is dry");
const _: () =
    assert!(DRY_HOLD_MS < CONFIRM_PATIENCE_MS && ROUND_EVERY_MS < DRY_HOLD_MS, "a hold waits for several rounds");
const _: () = assert!(MAX_LANE_LABELS <= MAX_LANES, "a bound that bounds");
const _: () = assert!(MAX_APPEND_EVENTS <= MAX_READ_EVENTS, "one append can be read by one call");
const _: () = assert!(MAX_CONFIRMING * 2 <= MAX_OWNER_QUEUE * 2, "undecided intents fit the owner's memory");
const _: () = assert!(
    REDIS_CONNECT_MS < REDIS_CALL_MS && REDIS_CALL_MS < CONFIRM_PATIENCE_MS,
    "an answer is given after its calls have ended"
);
const _: () = assert!(
    REDIS_AGAIN_MS + REDIS_AGAIN_LEFT_MS < REDIS_CALL_MS && REDIS_SLOTS_ANSWER_MS < REDIS_SLOTS_MS,
    "a refused call is sent again within its time"
);
const _: () = assert!(LEASE_EVERY_MS * 3 < LEASE_MS, "two renewals may fail");
const _: () =
    assert!(LEASE_MS < FORWARD_MS && FORWARD_MS < CONFIRM_PATIENCE_MS, "who waits for a take-over is refused in time");
const _: () = assert!(FORWARD_CONNECT_MS < FORWARD_MS, "a process that is gone leaves time to find the next owner");
const _: () = assert!(FORWARD_ANSWER_MS < HTTP_DRAIN_MS, "a forwarded call ends before the drain does");
const _: () = assert!(MAX_LANES.is_power_of_two() && MAX_LANES <= 1 << 10, "a lane fits the 10 bits of a hold's id");
const _: () = assert!(MAX_EVENT_STREAMS <= HTTP_CONNECTIONS / 2, "streams leave connections for everybody else");
const _: () = assert!(3 * EVENT_HEARTBEAT_MS <= HTTP_IDLE_MS, "a stream with nothing to say is not taken for idle");
const _: () = assert!(HTTP_IN_FLIGHT <= MAX_OWNER_QUEUE, "what ingress lets in fits the owners' queues");
const _: () = assert!(HTTP_HEAD_BYTES >= 8_192, "hyper's smallest buffer");
const _: () = assert!(CONFIRM_PATIENCE_MS < HTTP_DRAIN_MS, "a confirm under way ends before the drain does");
const _: () = assert!(MAX_APPEND_BYTES <= MAX_TRANSACTION_BYTES, "every append fits a transaction");
const _: () = assert!(MAX_APPEND_BYTES <= MAX_READ_BYTES, "every append fits an answer");
const _: () = assert!(LEDGER_LOCK_MS < APPEND_MS && RESEND_MS.1 < APPEND_MS, "an append is tried more than once");
const _: () =
    assert!(CQL_TRY_MS * 2 + RESEND_MS.1 < APPEND_MS, "a frozen coordinator is left within the time of one append");
const _: () = assert!(CQL_TRY_MS * 2 < LEDGER_READ_MS, "and of one read");
const _: () =
    assert!(HEALTH_SLOW_MS.0 < HEALTH_SLOW_MS.1 && HEALTH_FRESH_MS.0 < HEALTH_FRESH_MS.1, "health falls with time");
const _: () = assert!(REAP_EVERY_MS * 10 < OVERDUE_AFTER_MS, "what a busy ticker ends a little late is not overdue");
const _: () = assert!(
    HEARTBEAT_MS + FAULT_KNOWN_STEP_MS <= FAULT_MIN_MS && STEP_MS < FAULT_KNOWN_STEP_MS,
    "what is known of failures is fresh while there are none"
);
const _: () = assert!(HEARTBEAT_MS < HEALTH_FRESH_MS.0, "a store that is asked each second does not look stale");
const _: () = assert!(
    PROOF_HASHES_RANGE.0 <= PROOF_HASHES.0 && PROOF_HASHES.0 < PROOF_HASHES.1 && PROOF_HASHES.1 <= PROOF_HASHES_RANGE.1,
    "the usual price is one that may be asked"
);
const _: () = assert!(PROOF_PRESSURE_PER_S.0 < PROOF_PRESSURE_PER_S.1, "pressure rises");
const _: () = assert!(MIN_SHOW_PERMILLE > 0 && HABITS_PRIOR > 0 && FLOW_FILL_MS > 0, "nothing is divided by zero");
