//! Lists the message files of the page, so that a language is added by adding a file.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new("src/page/messages");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut tags = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let (Some("toml"), Some(tag)) = (path.extension().and_then(|end| end.to_str()), path.file_stem()) {
            tags.push((tag.to_string_lossy().into_owned(), fs::canonicalize(&path)?));
        }
    }
    // English first: it is what whoever speaks none of them is told.
    tags.sort_by_key(|(tag, _)| (tag != "en", tag.clone()));
    let entries: Vec<String> = tags.iter().map(|(tag, path)| format!("({tag:?}, include_str!({path:?}))")).collect();
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    fs::write(Path::new(&out).join("messages.rs"), format!("&[{}]", entries.join(", ")))
}
