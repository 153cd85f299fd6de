//! Which of its faces the page shows: a pure function of what the API told.

use super::told::Told;

/// One face of the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum View {
    Busy,
    Holding,
    Confirming,
    Unknown,
    Booked,
    Done,
    Closed,
    Scheduled,
    Lobby,
    Paused,
    SoldOut,
    NotJoining,
    Join,
    Waiting,
    Standby,
    Called,
    Choose,
}

/// What the script does by itself on a face.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Watch {
    /// Polls the line's document.
    Line,
    /// Polls the line's document and the ticket.
    Ticket,
    /// Asks for the page again.
    Page,
    /// Nothing changes by itself.
    Nothing,
}

impl Watch {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Ticket => "ticket",
            Self::Page => "page",
            Self::Nothing => "",
        }
    }
}

impl View {
    /// What one has goes before what one might get, and what is certain before what is open.
    pub(super) fn of(told: &Told) -> Self {
        if told.hold_away {
            return Self::Busy;
        }
        match told.hold.as_ref().map(|hold| hold.state.as_str()) {
            Some("held" | "paying") => return Self::Holding,
            Some("confirming") => return Self::Confirming,
            Some("unknown") => return Self::Unknown,
            Some("sold") => return Self::Booked,
            _ => {}
        }
        let ticket = told.ticket.as_ref().map(|ticket| ticket.state.as_str());
        match (told.line.state.as_str(), ticket) {
            ("closed", _) => Self::Closed,
            (_, Some("done")) => Self::Done,
            (_, Some("lobby")) => Self::Lobby,
            ("scheduled", _) => Self::Scheduled,
            ("sold_out", Some("standby")) => Self::Standby,
            ("sold_out", _) => Self::SoldOut,
            ("paused", _) => Self::Paused,
            _ if !told.sale.waiting_room => Self::Choose,
            (_, Some("inside")) => Self::Choose,
            (_, Some("called")) => Self::Called,
            (_, Some("standby")) => Self::Standby,
            (_, Some("waiting")) => Self::Waiting,
            // No ticket, or one whose pass has ended.
            _ if told.line.joining == Some(false) => Self::NotJoining,
            _ => Self::Join,
        }
    }

    /// Its name, for the script and for tests.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Holding => "holding",
            Self::Confirming => "confirming",
            Self::Unknown => "unknown",
            Self::Booked => "booked",
            Self::Done => "done",
            Self::Closed => "closed",
            Self::Scheduled => "scheduled",
            Self::Lobby => "lobby",
            Self::Paused => "paused",
            Self::SoldOut => "sold_out",
            Self::NotJoining => "not_joining",
            Self::Join => "join",
            Self::Waiting => "waiting",
            Self::Standby => "standby",
            Self::Called => "called",
            Self::Choose => "choose",
        }
    }

    /// The key of its heading.
    pub(super) const fn heading(self) -> &'static str {
        match self {
            Self::Busy => "h_busy",
            Self::Holding => "h_holding",
            Self::Confirming => "h_confirming",
            Self::Unknown => "h_unknown",
            Self::Booked => "h_booked",
            Self::Done => "h_done",
            Self::Closed => "h_closed",
            Self::Scheduled => "h_scheduled",
            Self::Lobby => "h_lobby",
            Self::Paused => "h_paused",
            Self::SoldOut => "h_sold_out",
            Self::NotJoining => "h_not_joining",
            Self::Join => "h_join",
            Self::Waiting => "h_waiting",
            Self::Standby => "h_standby",
            Self::Called => "h_called",
            Self::Choose => "h_choose",
        }
    }

    /// What the script looks at meanwhile.
    pub(super) const fn watch(self, has_ticket: bool) -> Watch {
        match self {
            Self::Lobby | Self::Waiting | Self::Standby | Self::Called => Watch::Ticket,
            Self::Choose | Self::Paused | Self::SoldOut | Self::NotJoining | Self::Join | Self::Scheduled => {
                if has_ticket {
                    Watch::Ticket
                } else {
                    Watch::Line
                }
            }
            Self::Busy | Self::Holding | Self::Confirming | Self::Unknown => Watch::Page,
            Self::Booked | Self::Done | Self::Closed => Watch::Nothing,
        }
    }

    /// Whether the server tells by itself what becomes of the ticket, where it is near enough to the front.
    pub(super) const fn is_followed(self) -> bool {
        matches!(self, Self::Waiting | Self::Standby)
    }

    /// Whether a browser without the script loads it again by itself. Not while somebody fills in a form or decides.
    pub(super) const fn refreshes(self) -> bool {
        !matches!(self, Self::Choose | Self::Join | Self::Unknown | Self::Booked | Self::Done | Self::Closed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::told::{Hold, Line, Sale, Ticket};
    use super::*;

    fn told(line: &str, ticket: Option<&str>, hold: Option<&str>) -> Told {
        let sale: Sale = serde_json::from_str(
            r#"{"id":"s","title":"S","waiting_room":true,"limits":{"quantity_per_line":9},"items":[]}"#,
        )
        .unwrap();
        let ticket = ticket.map(|state| {
            serde_json::from_value::<Ticket>(serde_json::json!({"state": state, "poll_in_ms": 1000})).unwrap()
        });
        let hold = hold.map(|state| {
            serde_json::from_value::<Hold>(serde_json::json!({"hold_id": "h", "state": state, "lines": []})).unwrap()
        });
        let line = Line { state: line.into(), ..Line::default() };
        Told { sale, line, ticket, hold, hold_away: false, pass_ms: None, pause_words: None }
    }

    fn view(line: &str, ticket: Option<&str>, hold: Option<&str>) -> View {
        View::of(&told(line, ticket, hold))
    }

    #[test]
    fn the_line_leads_from_joining_to_choosing() {
        assert_eq!(view("scheduled", None, None), View::Scheduled);
        assert_eq!(view("scheduled", Some("lobby"), None), View::Lobby);
        assert_eq!(view("open", Some("lobby"), None), View::Lobby, "while it is drawn");
        assert_eq!(view("open", None, None), View::Join);
        assert_eq!(view("open", Some("waiting"), None), View::Waiting);
        assert_eq!(view("open", Some("standby"), None), View::Standby);
        assert_eq!(view("open", Some("called"), None), View::Called);
        assert_eq!(view("open", Some("inside"), None), View::Choose);
        assert_eq!(view("open", Some("released"), None), View::Join, "the pass has ended");
        assert_eq!(view("open", Some("done"), None), View::Done);
    }

    #[test]
    fn what_the_sale_is_goes_before_where_one_stands() {
        for ticket in [None, Some("waiting"), Some("called"), Some("inside")] {
            assert_eq!(view("sold_out", ticket, None), View::SoldOut);
            assert_eq!(view("paused", ticket, None), View::Paused);
            assert_eq!(view("closed", ticket, None), View::Closed);
        }
        assert_eq!(view("sold_out", Some("standby"), None), View::Standby, "units may come back");
    }

    #[test]
    fn while_nobody_new_may_join_only_those_without_a_place_are_told_so() {
        let stopped = |ticket| {
            let mut told = told("open", ticket, None);
            told.line.joining = Some(false);
            View::of(&told)
        };
        assert_eq!(stopped(None), View::NotJoining);
        assert_eq!(stopped(Some("released")), View::NotJoining);
        for (ticket, view) in [("waiting", View::Waiting), ("called", View::Called), ("inside", View::Choose)] {
            assert_eq!(stopped(Some(ticket)), view);
        }
    }

    #[test]
    fn what_one_has_goes_before_everything() {
        for line in ["scheduled", "open", "sold_out", "paused", "closed"] {
            assert_eq!(view(line, Some("inside"), Some("held")), View::Holding);
            assert_eq!(view(line, Some("inside"), Some("confirming")), View::Confirming);
            assert_eq!(view(line, None, Some("unknown")), View::Unknown);
            assert_eq!(view(line, Some("done"), Some("sold")), View::Booked);
        }
        for over in ["released", "refused", "cancelled"] {
            assert_eq!(view("open", Some("inside"), Some(over)), View::Choose);
        }
        let away = Told { hold_away: true, ..told("open", Some("inside"), None) };
        assert_eq!(View::of(&away), View::Busy, "who may have a hold is not asked to choose");
    }

    #[test]
    fn without_a_waiting_room_one_chooses_at_once() {
        let mut told = told("open", None, None);
        told.sale.waiting_room = false;
        assert_eq!(View::of(&told), View::Choose);
        told.line.state = "sold_out".into();
        assert_eq!(View::of(&told), View::SoldOut);
    }
}
