//! Who operates.

use domain::Actor;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use crate::call::Call;
use crate::problem::{Name, Problem};

/// The operator whose key came. Every key is compared, each in constant time, so that the answer's timing tells nothing
/// about any of them but its length.
pub(super) fn operator(call: &Call, why: &str) -> Result<Actor, Problem> {
    let refused = |detail: &'static str| {
        let scheme = HeaderValue::from_static("Bearer");
        Problem::new(Name::Unauthenticated, detail).header(WWW_AUTHENTICATE, scheme)
    };
    let value = call
        .headers()
        .get(AUTHORIZATION)
        .ok_or_else(|| refused("No operator's key came with the request: send Authorization: Bearer and the key."))?;
    let bytes = value.as_bytes();
    let (scheme, secret) = bytes.split_at_checked(7).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(refused("Authorization is not of the form Bearer KEY."));
    }
    let keys = call.app.operators.load();
    let mut found = u64::MAX;
    for (n, key) in keys.iter().enumerate() {
        // An empty secret is a mistake of the configuration, and nobody's key.
        let same = secret.ct_eq(key.secret.as_bytes()) & Choice::from(u8::from(!key.secret.is_empty()));
        found.conditional_assign(&(n as u64), same);
    }
    let known = usize::try_from(found).ok().and_then(|n| keys.get(n));
    let key = known.ok_or_else(|| refused("The key is no operator's."))?;
    Ok(Actor { by: key.name.clone(), why: why.to_owned() })
}
