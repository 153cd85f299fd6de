//! HTML that nobody's words can break out of: only text of this program is written as it is, everything else is escaped.

use std::fmt::{self, Display, Write as _};

/// HTML under way.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup. `'static`, so that it can only be this program's own.
    pub(super) fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Text or the inside of a quoted attribute, whoever it comes from.
    pub(super) fn text(&mut self, text: &(impl Display + ?Sized)) {
        // Writing into a string cannot fail.
        let _ = write!(Escaping(&mut self.0), "{text}");
    }

    /// Markup that is finished.
    pub(super) fn append(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// All of it.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// Writes to an [`Html`]: literals as they are, values in parentheses escaped.
macro_rules! html {
    ($out:expr, $($part:tt)*) => {{ $($crate::page::html::part!($out, $part);)* }};
}

/// One part of [`html!`].
macro_rules! part {
    ($out:expr, $markup:literal) => {
        $out.raw($markup)
    };
    ($out:expr, ($text:expr)) => {
        $out.text(&$text)
    };
}

pub(super) use {html, part};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_stays_and_words_are_escaped() {
        let (mut page, words) = (Html::default(), "</title>'\"><script>&amp;");
        html!(page, "<b title=\"" (words) "\">" (7) "</b>");
        let escaped = "&lt;/title&gt;&#39;&quot;&gt;&lt;script&gt;&amp;amp;";
        assert_eq!(page.finish(), format!("<b title=\"{escaped}\">7</b>"));
    }
}
