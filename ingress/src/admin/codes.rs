//! Signed access codes for a class. They are stored nowhere: the signature makes them good, the line's log counts their uses.

use domain::limits::{HTTP_BODY_BYTES, MAX_CODE_USES, MAX_SIGNED_CODES};
use domain::number::Class;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::hand::{because, within};
use super::key;
use super::sales::unknown;
use crate::call::Call;
use crate::problem::{Name, Problem};
use crate::reply::{self, Response};

/// Which codes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// How many codes.
    #[schema(minimum = 1, maximum = 10_000)]
    count: u64,
    /// How many visitors may use each.
    #[serde(default = "once")]
    #[schema(minimum = 1, maximum = 65_535)]
    uses: u64,
    /// Told in the program's log, with who asked.
    #[serde(default)]
    #[schema(max_length = 500)]
    why: String,
}

const fn once() -> u64 {
    1
}

/// Codes.
#[derive(Serialize, ToSchema)]
#[schema(as = Codes)]
pub(crate) struct CodesBody {
    codes: Vec<String>,
}

/// Make signed access codes for a class.
///
/// They are shown this once and stored nowhere; making more takes nothing from those there are. The class' `places` bound how many
/// visitors get in by any code.
#[utoipa::path(post, path = "/admin/v1/sales/{sale}/classes/{class}/codes", tag = "operator", operation_id = "adminMakeCodes",
    params(("sale" = String, Path, description = "The sale's id"), ("class" = String, Path, description = "The class' id")),
    request_body = Wanted,
    responses((status = 201, description = "The codes", body = CodesBody)))]
pub(crate) async fn make(mut call: Call) -> Result<Response, Problem> {
    let actor = key::operator(&call, "")?;
    let asked: Wanted = call.json(HTTP_BODY_BYTES).await?;
    let count = within("count", asked.count, 1, MAX_SIGNED_CODES)?;
    let uses = within("uses", asked.uses, 1, u64::from(MAX_CODE_USES))?;
    let actor = because(actor, asked.why)?;
    let fold = call.app.parts.registry.get(&super::sales::id(&call)?).ok_or_else(unknown)?;
    // .../classes/{class}/codes
    let named = call.head.uri.path().rsplit('/').nth(1).unwrap_or_default();
    let classes = fold.doc.room().map(|room| room.classes.as_slice()).unwrap_or_default();
    let class = (1..).zip(classes).find(|(_, class)| class.id.as_str() == named).map(|(class, _)| class);
    let class: Class = class.ok_or_else(|| Problem::new(Name::NotFound, "The sale has no class of this name."))?;
    let (keyring, uses) = (call.app.keyring.load(), u16::try_from(uses).unwrap_or(u16::MAX));
    let one = |_| keyring.sign_code(&fold.doc.id, class, uses, rand::random());
    let codes: Vec<String> = (0..count).map(one).collect();
    tracing::info!(sale = %fold.doc.id, class = named, count, uses, by = %actor.by, why = %actor.why, "access codes were made");
    Ok(reply::json(StatusCode::CREATED, &CodesBody { codes }))
}
