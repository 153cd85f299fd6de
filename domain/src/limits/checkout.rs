//! Those of prices, payments and points.

/// Prices of one item for other countries: as many as there are countries.
pub const MAX_COUNTRY_PRICES: usize = 249;
/// Coupons used in one checkout: each is looked at beside each other, and stands in the checkout's log.
pub const MAX_COUPONS: usize = 5;
/// Refunds of one booking: each line by itself, and again for single units of it.
pub const MAX_REFUNDS: usize = 64;
/// Bytes of a provider's name for a payment: what Stripe asks to leave room for.
pub const MAX_PAYMENT_BYTES: usize = 255;
/// Bytes of what is kept of a provider's last word when a step is stuck.
pub const MAX_STUCK_BYTES: usize = 200;
/// Milliseconds in which a provider surely remembers an Idempotency-Key: Stripe keeps one for a day.
pub const PROVIDER_KEY_MS: u64 = 20 * 3_600_000;
/// Refunds of one payment that are looked through for one: the most that Stripe lists at once.
pub const MAX_REFUNDS_LISTED: usize = 100;
/// Bytes of a payment provider's answer that are read: many times what a payment takes.
pub const MAX_PAYMENT_ANSWER_BYTES: usize = 256 << 10;
/// Bytes of a webhook that are read: larger ones are refused before anything is reckoned over them.
pub const MAX_WEBHOOK_BYTES: usize = 256 << 10;
/// Signatures in one webhook's header: one per secret that the provider signs with while it is changed.
pub const MAX_WEBHOOK_SIGNATURES: usize = 8;
/// Milliseconds a webhook's time may differ from ours, either way.
pub const WEBHOOK_TOLERANCE_MS: u64 = 300_000;
/// Webhooks whose ids a process remembers, beyond which new ones are refused for now: the provider sends them again.
pub const MAX_WEBHOOK_IDS: usize = 65_536;
/// Milliseconds before a step of a checkout is tried again, at first and at most (doubled in between).
pub const CHECKOUT_RETRY_MS: (u64, u64) = (200, 60_000);
/// Milliseconds between two questions to the provider whether a customer has paid, at first and at most (doubled in between):
/// the webhook mostly tells sooner.
pub const CHECKOUT_POLL_MS: (u64, u64) = (2_000, 30_000);
/// Tries of a step by one owner before it is stuck, and milliseconds without any progress that have to have passed as well: an
/// owner that has just taken over gives it a chance of its own, a short outage makes nobody work.
pub const CHECKOUT_TRIES: u32 = 10;
/// See [`CHECKOUT_TRIES`].
pub const CHECKOUT_STUCK_MS: u64 = 10 * 60_000;
/// Milliseconds that one try of a step may take before its outcome is unknown.
pub const CHECKOUT_TRY_MS: u64 = 30_000;
/// Steps of a lane's checkouts under way at once: bounds connections to the provider, and the memory of requests.
pub const MAX_CHECKOUT_STEPS: usize = 256;
/// Points in one entry of a log of points: sums of any number of entries that fit a log stay far inside 64 bits.
pub const MAX_POINTS: u64 = 1_000_000_000_000;
/// Expiry dates of one visitor's points that are told apart; beyond, the two that are nearest become the later one.
pub const MAX_POINT_LOTS: usize = 64;
/// Entries of one visitor that are remembered by their ids, beyond which new ones are refused for now.
pub const MAX_POINT_IDS: usize = 512;
/// Milliseconds an entry of a log of points is remembered by its id. What was asked for longer ago is refused: nobody could
/// say whether it was done. Longer than any dead letter should wait.
pub const POINTS_REMEMBER_MS: u64 = 35 * 86_400_000;
/// Milliseconds that points live which a refund gives back after their use was forgotten.
pub const POINTS_RETURNED_MS: u64 = 90 * 86_400_000;
/// Milliseconds points live at most, when they do not live for ever: ten years.
pub const MAX_POINTS_MS: u64 = 3_650 * 86_400_000;

const _: () = assert!(MAX_POINTS < u64::MAX / 1_000_000, "a million entries of the largest kind can be added");
const _: () = assert!(CHECKOUT_TRY_MS < CHECKOUT_STUCK_MS, "a step is tried more than once before it is stuck");
const _: () = assert!(MAX_REFUNDS <= MAX_REFUNDS_LISTED, "a refund that was made is among those that are listed");
