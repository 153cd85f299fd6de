//! The loads that come with the program.

use super::Load;

/// Name and file, in the order in which they are told.
const SHIPPED: [(&str, &str); 8] = [
    ("flash-sale", include_str!("shipped/flash-sale.toml")),
    ("steady", include_str!("shipped/steady.toml")),
    ("spike", include_str!("shipped/spike.toml")),
    ("soak", include_str!("shipped/soak.toml")),
    ("hot-seat", include_str!("shipped/hot-seat.toml")),
    ("polling-crowd", include_str!("shipped/polling-crowd.toml")),
    ("abuse", include_str!("shipped/abuse.toml")),
    ("join-storm", include_str!("shipped/join-storm.toml")),
];

impl Load {
    /// Names of the loads that come with the program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SHIPPED.into_iter().map(|(name, _)| name)
    }

    /// The file of a load that comes with the program.
    #[must_use]
    pub fn shipped(name: &str) -> Option<&'static str> {
        SHIPPED.into_iter().find(|(known, _)| *known == name).map(|(_, text)| text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_shipped_load_reads_and_has_the_name_of_its_file() {
        for (name, text) in SHIPPED {
            let load = Load::from_toml(text).unwrap_or_else(|mistakes| panic!("{name}: {mistakes:#?}"));
            assert_eq!(load.name, name);
            assert!(!load.about.is_empty() && load.duration.is_some(), "{name}");
        }
    }
}
