//! The sales `dev` starts with, and how sales of files get in.

use std::path::Path;

use admission::{Acted, Sales};
use domain::sale::Phase;
use domain::{Actor, SaleDoc};

use crate::failure::{Failure, remedy};

/// Shipped documents.
const DEMO: [&str; 2] = [include_str!("demo/demo.toml"), include_str!("demo/express.toml")];

/// Reads a sale's document; all of its mistakes are told together.
pub(crate) fn document(name: &str, text: &str) -> Result<SaleDoc, Failure> {
    SaleDoc::from_toml(text).map_err(|mistakes| {
        let why = match mistakes.len() {
            1 => "1 mistake".to_owned(),
            many => format!("{many} mistakes"),
        };
        Failure::new(format!("sale document {name}"), why, "correct it")
            .with_lines(mistakes.iter().map(ToString::to_string))
    })
}

/// Reads a sale's document from a file.
pub(crate) fn document_of(file: &Path) -> Result<SaleDoc, Failure> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("sale document {name}"), &error, remedy(&error)))?;
    document(&name, &text)
}

/// Creates and opens the demo sales; those that are there stay as they are.
pub(crate) async fn add(sales: &Sales) -> Result<(), Failure> {
    for text in DEMO {
        let doc = document("of the demo", text)?;
        if sales.get(&doc.id).is_none() {
            put_on_sale(sales, doc).await?;
        }
    }
    Ok(())
}

/// Applies a document, and opens the sale when the document does not say when.
pub(crate) async fn put_on_sale(sales: &Sales, doc: SaleDoc) -> Result<(), Failure> {
    let failed = |error: admission::SalesError| Failure::new(format!("sale {}", doc.id), error, "");
    let actor = Actor { by: "holdfast".to_owned(), why: "dev".to_owned() };
    let acted = sales.apply(doc.clone(), None, actor.clone()).await.map_err(failed)?;
    let over = acted.fold().phase((admission::clock::system())()) == Phase::Closed;
    if !over && doc.opens_at.is_none() {
        sales.open(&doc.id, actor).await.map_err(failed)?;
    }
    if let Acted::Created(_) = acted {
        tracing::info!(sale = %doc.id, "created");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_shipped_sales_are_right() {
        let ids: Vec<String> = DEMO.iter().map(|text| document("demo", text).unwrap().id.to_string()).collect();
        assert_eq!(ids, ["demo", "express"]);
    }

    #[test]
    fn all_mistakes_of_a_document_are_told_together() {
        let text = "id = \"X\"\nadmission = \"none\"\nlanes = 0\n[[items]]\nid = \"a\"\nunits = -3\nprise = 1\n";
        let error = document("x.toml", text).unwrap_err().to_string();
        for wanted in ["4 mistakes", "id = \"X\"", "lanes = 0", "items[0].units = -3", "did you mean \"price\""] {
            assert!(error.contains(wanted), "{error}\nshould say {wanted}");
        }
    }
}
