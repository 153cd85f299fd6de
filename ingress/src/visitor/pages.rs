//! The plain pages: what each problem means, and how a draw is checked.

use std::fmt::Write as _;

use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};

use crate::call::Call;
use crate::problem::{KINDS, Name, Problem};
use crate::reply::{self, Response};

const STYLE: &str = "<meta name=viewport content='width=device-width'><style>:root{color-scheme:light dark}\
    body{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}code{font-size:.95em}</style>";

const DRAW: &str = "<h1>The draw</h1><p>Coming early is worth nothing. Who comes before a sale opens gets a receipt, not a place \
    in line. When the sale opens the lobby closes and is put in a random order; who comes later follows behind, in order of \
    arrival.</p><h2>Why nobody can have chosen the order</h2><ol><li>Before anybody comes, the <b>commitment</b> is published: a \
    hash of the secret seed. From then on the seed cannot be exchanged.<li>When the lobby closes, the <b>root</b> is published: a \
    hash over all receipts. From then on nobody can be added or left out.<li>Then the <b>seed</b> is revealed. The order follows \
    from seed and root by a rule that anybody can compute.</ol><p>Note down commitment and root when they appear.</p>\
    <h2>Check your place</h2><ol><li>Save the draw of your sale (below) as <code>draw.json</code>.<li>Save your own \
    <code>/v1/sales/SALE/draw/receipt</code> as <code>receipt.json</code>, in the browser you came with.<li>Run \
    <code>holdfast draw verify draw.json receipt.json</code>, with <code>--commitment</code> and <code>--root</code> as you noted \
    them down.</ol><p>All leaves under the root: <code>/v1/sales/SALE/draw/leaves?from=0</code>. The exact rule, with a program to \
    compute it without ours, is in <code>docs/draw.md</code>.</p>";

/// All problems.
#[utoipa::path(get, path = "/problems", tag = "pages", operation_id = "listProblems",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")))]
pub(crate) fn problems() -> Response {
    let mut page = page("Problems");
    page.push_str("<h1>Problems</h1><ul>");
    for kind in KINDS {
        let _ =
            write!(page, "<li><a href='/problems/{0}'>{0}</a> ({1}): {2}", kind.name, kind.status.as_u16(), kind.title);
    }
    page.push_str("</ul>");
    html(page, "max-age=3600")
}

/// How the order of a lobby is drawn, and how everybody can check it.
#[utoipa::path(get, path = "/draw", tag = "pages", operation_id = "drawPage",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")))]
pub(crate) fn draw(call: &Call) -> Response {
    let mut page = page("The draw");
    page.push_str(DRAW);
    page.push_str("<h2>Draws</h2><ul>");
    for sale in call.app.sales().iter().filter(|sale| sale.fold.doc.room().is_some()) {
        let id = sale.id();
        let title = escape(sale.fold.doc.title.as_deref().unwrap_or(id.as_str()));
        let _ = write!(
            page,
            "<li>{title}: <a href='/v1/sales/{id}/draw'>draw.json</a>, commitment <code>{}</code>",
            sale.commitment
        );
    }
    page.push_str("</ul>");
    html(page, "no-cache")
}

/// What a problem means and what to do.
#[utoipa::path(get, path = "/problems/{name}", tag = "pages", operation_id = "getProblem",
    params(("name" = String, Path, description = "The problem's name")),
    responses((status = 200, description = "A page", body = String, content_type = "text/html")))]
pub(crate) fn problem(call: &Call) -> Result<Response, Problem> {
    let unknown = || Problem::new(Name::NotFound, "There is no problem of this name; /problems lists them.");
    let kind = KINDS.iter().find(|kind| kind.name == call.param()).ok_or_else(unknown)?;
    let again = if kind.retry_safe {
        "The same request may be sent again."
    } else {
        "Sending the same request again does not help."
    };
    let mut page = page(kind.title);
    let _ = write!(
        page,
        "<h1>{}</h1><p><code>{}</code>, status {}.</p><p>{}</p><p>{}</p><p>{again}</p><p><a href='/problems'>All problems</a></p>",
        kind.title,
        kind.name,
        kind.status.as_u16(),
        kind.meaning,
        kind.advice,
    );
    Ok(html(page, "max-age=3600"))
}

fn page(title: &str) -> String {
    format!("<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>{STYLE}")
}

fn html(page: String, caching: &'static str) -> Response {
    let mut answer = reply::body(StatusCode::OK, reply::HTML, page);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    answer
}

/// An operator's words inside a page.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
        out
    })
}
