//! The scripts: their text, digest and number of keys.

use std::borrow::Cow;
use std::sync::LazyLock;

/// Digits of the digest that are shown: enough to tell versions apart.
const SHOWN_DIGITS: usize = 12;

/// A script as the server knows it.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    /// The whole text: flags, header, shared parts, body.
    pub(crate) text: String,
    /// SHA-1 of the text in hexadecimal digits.
    pub(crate) digest: String,
    pub(crate) keys: usize,
    /// Its place among all scripts.
    pub(crate) index: usize,
}

macro_rules! scripts {
    ($($id:ident $name:literal $keys:literal $flags:literal [$($part:literal),*];)*) => {
        /// Every script, in the order of [`all`].
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Id {
            $($id,)*
        }

        /// Names of all scripts, as metrics and messages know them.
        pub(crate) const NAMES: [&str; [$(Id::$id),*].len()] = [$($name),*];

        #[cfg(test)]
        pub(crate) const IDS: [Id; NAMES.len()] = [$(Id::$id),*];

        static ALL: LazyLock<[Script; NAMES.len()]> = LazyLock::new(|| {
            [$(Script::new(
                Id::$id as usize,
                $name,
                $keys,
                concat!("#!lua", $flags, "\n", $(include_str!(concat!("../scripts/part/", $part, ".lua")), "\n",)* include_str!(concat!("../scripts/", $name, ".lua"))),
            )),*]
        });

        #[cfg(test)]
        pub(crate) fn own_text(id: Id) -> &'static str {
            match id {
                $(Id::$id => include_str!(concat!("../scripts/", $name, ".lua")),)*
            }
        }
    };
}

// Scripts that only read carry the flag `no-writes`: they also run on a full server.
scripts! {
    Hold "hold" 4 "" ["base", "visitors", "stock", "fault", "reap"];
    Confirm "confirm" 5 "" ["base", "visitors"];
    Release "release" 4 "" ["base", "visitors", "stock"];
    Cancel "cancel" 2 "" [];
    Leave "leave" 2 "" ["base", "visitors"];
    Give "give" 3 "" ["base", "visitors", "stock"];
    Settle "settle" 5 "" ["base", "visitors", "stock"];
    Reap "reap" 5 "" ["base", "visitors", "stock", "fault", "reap"];
    LoadBegin "load_begin" 5 "" [];
    LoadChunk "load_chunk" 3 "" [];
    LoadEnd "load_end" 1 "" [];
    Mend "mend" 1 "" [];
    Unload "unload" 5 "" [];
    Look "look" 3 " flags=no-writes" [];
    Undecided "undecided" 3 " flags=no-writes" [];
    Meta "meta" 5 " flags=no-writes" [];
    Stock "stock" 2 " flags=no-writes" [];
    Recount "recount" 4 " flags=no-writes" ["base", "visitors", "stock"];
    Join "join" 2 "" ["numbers"];
    Present "present" 2 "" ["numbers"];
    LinePublish "line_publish" 2 "" [];
    LineLoad "line_load" 2 "" [];
    LineLook "line_look" 2 " flags=no-writes" [];
    LineUnload "line_unload" 2 "" [];
    LeaseTake "lease_take" 1 "" [];
    LeaseLook "lease_look" 1 " flags=no-writes" [];
    LeaseDrop "lease_drop" 1 "" [];
    Members "members" 1 "" [];
}

impl Script {
    pub(crate) fn new(index: usize, name: &'static str, keys: usize, text: &str) -> Self {
        let text = planted(name, text).into_owned();
        Self { name, digest: sha1_smol::Sha1::from(&text).digest().to_string(), text, keys, index }
    }
}

/// The script, with a bug where one is planted in it (`domain::planted`).
fn planted<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    use domain::planted::{Bug, is};
    let changes: &[(&str, &str)] = match name {
        "settle" if is(Bug::BlindSettle) => &[("if settled ~= expected then return { BEHIND, settled } end", "")],
        "settle" if is(Bug::SettleTwice) => &[
            (
                "for i = FIXED + 1, resolved, EACH do apply(i) end",
                "for _ = 1, 2 do for i = FIXED + 1, resolved, EACH do apply(i) end end",
            ),
            ("return now == 's' or now == 'x'", "return false"),
        ],
        "hold" if is(Bug::NoLimit) => &[("if limit and visitor.units + lines.units > limit then return LIMIT end", "")],
        _ => return Cow::Borrowed(text),
    };
    let mut changed = text.to_owned();
    for (right, wrong) in changes {
        assert!(text.contains(right), "the script {name} is not what the bug was made for");
        changed = changed.replace(right, wrong);
    }
    Cow::Owned(changed)
}

impl Id {
    pub(crate) fn script(self) -> &'static Script {
        &ALL[self as usize]
    }
}

/// All scripts, for loading them into a server.
pub(crate) fn all() -> &'static [Script] {
    &*ALL
}

/// Names the content of all scripts together: processes of which it differs run different scripts.
#[must_use]
pub fn scripts_digest() -> &'static str {
    static DIGEST: LazyLock<String> = LazyLock::new(|| {
        let mut sum = sha1_smol::Sha1::new();
        all().iter().for_each(|script| sum.update(script.digest.as_bytes()));
        sum.digest().to_string().chars().take(SHOWN_DIGITS).collect()
    });
    &DIGEST
}

#[cfg(test)]
#[path = "script_header.rs"]
mod header;
