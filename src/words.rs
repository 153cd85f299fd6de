//! Kinds of things that are told by a word each: as labels of metrics, and in answers.

/// An enum and its words in one table, so that neither can be changed without the other.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub(crate) enum $name { $($(#[$what])* $variant,)* }

        impl $name {
            /// All of them, in the order of their words. Not every kind is gone through.
            #[allow(dead_code)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];
            /// Their words. Not every kind is a label.
            #[allow(dead_code)]
            pub(crate) const WORDS: &[&str] = &[$($word,)*];

            /// Its word.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    words! {
        /// Two.
        Colour { Red = "red", Green = "green", }
    }

    #[test]
    fn a_word_belongs_to_its_value() {
        assert_eq!(Colour::ALL.iter().map(|colour| colour.as_str()).collect::<Vec<_>>(), Colour::WORDS);
        assert_eq!(Colour::Green.as_str(), "green");
        assert!(Colour::Red < Colour::Green);
    }
}
