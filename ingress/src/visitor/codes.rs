//! Access codes at the edge: whether a code is one of this sale's. How often it was used is for the line's log to say.

use domain::code::plain;
use domain::outcome::Outcome;
use domain::token::Keyring;
use domain::{Code, CodeHash, SaleDoc};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::SaleHandle;
use crate::call::Call;
use crate::problem::{Name, Problem};

/// What may come along with a join.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Join)]
pub(crate) struct JoinBody {
    /// An access code: it gives a place in the class that it lets into. Dashes, spaces and small letters make no difference.
    #[serde(default)]
    #[schema(max_length = 200, nullable = false)]
    pub(crate) code: Option<String>,
}

/// What the code lets into. An address that sent many that are none is not answered any more, whatever it sends: who may try for ever
/// finds one.
pub(crate) fn good(call: &Call, sale: &SaleHandle, text: &str) -> Result<Code, Problem> {
    let client = call.client().address;
    let wait_ms = call.app.code_in_ms(client);
    if wait_ms > 0 {
        let detail = "This address has sent too many codes that are none.";
        return Err(Problem::new(Name::TooManyRequests, detail).retry_after(wait_ms));
    }
    find(&sale.fold.doc, &call.app.keyring.load(), text).ok_or_else(|| {
        call.app.bad_code(client);
        Problem::new(Name::CodeInvalid, "The code is none of this sale's.").outcome(Outcome::Refused)
    })
}

/// A code that the document lists, or that the installation signed for one of its classes.
fn find(doc: &SaleDoc, keyring: &Keyring, text: &str) -> Option<Code> {
    let plain = plain(text)?;
    let listed = (1..).zip(&doc.room()?.classes).find_map(|(class, known)| {
        let is_it = known.codes.iter().any(|code| code.as_str() == plain);
        is_it.then(|| Code { code: CodeHash::of(&doc.id, &plain), class, uses: known.uses })
    });
    listed.or_else(|| keyring.verify_code(&doc.id, text).filter(|code| doc.class(code.class).is_some()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use domain::token::{Key, KeyId};

    use super::*;

    #[test]
    fn a_code_is_listed_or_signed_for_a_class_that_there_is() {
        let doc = SaleDoc::from_toml(
            r#"
            id = "night"
            items = [{ id = "floor", units = 1 }]
            [admission]
            pace_per_minute = 60
            active_passes = 1
            [[admission.classes]]
            id = "members"
            share = 30
            places = 10
            [[admission.classes]]
            id = "fans"
            share = 20
            places = 10
            codes = ["FAN-CLUB-2027"]
            uses = 500
            "#,
        )
        .unwrap();
        let ring = Keyring::new(vec![Key { id: KeyId(1), secret: [1; 32] }]).unwrap();
        let listed = find(&doc, &ring, "fanclub 2027").unwrap();
        assert_eq!((listed.class, listed.uses), (2, 500));
        let signed = |class| find(&doc, &ring, &ring.sign_code(&doc.id, class, 3, [7; 7]));
        assert_eq!(signed(1).map(|code| (code.class, code.uses)), Some((1, 3)));
        assert_eq!(signed(3), None, "the sale has two classes");
        assert_eq!(signed(0), None, "everybody needs no code");
        assert_eq!(find(&doc, &ring, "FAN-CLUB-2028"), None);
        let open =
            SaleDoc::from_toml("id = \"box\"\nadmission = \"none\"\nitems = [{ id = \"x\", units = 1 }]").unwrap();
        assert_eq!(find(&open, &ring, "FAN-CLUB-2027"), None);
    }
}
