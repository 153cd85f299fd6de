//! The certificate of the visitors' listener: it is good now and for some time, and its key is its own and nobody else's.

use std::path::Path;

use domain::Millis;
use ingress::{Tls, Validity};

use super::{Finding, Part, Severity};
use crate::config::Config;
use crate::files;
use crate::parts;

/// Milliseconds before its end at which somebody should renew it.
const SOON_MS: u64 = 14 * 86_400_000;

/// What is found about the certificate, where there is one.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let Some((certificate, key)) = &config.tls else { return Vec::new() };
    let mut found = Vec::new();
    if files::open_to_others(key).unwrap_or(false) {
        let why = "others may read it: they could answer visitors in your name";
        let fix = format!("chmod 600 {}", key.display());
        found.push(Finding::new(Part::Tls, Severity::Warning, format!("key {}", key.display()), why, fix));
    }
    match parts::tls(config) {
        Err(failure) => found.push(Finding::failed(Part::Tls, failure)),
        Ok(tls) => {
            let valid = tls.as_deref().and_then(Tls::validity);
            found.extend(valid.and_then(|valid| judge(certificate, valid, (admission::clock::system())())));
        }
    }
    found
}

fn judge(certificate: &Path, valid: Validity, now: Millis) -> Option<Finding> {
    let (severity, why) = if valid.until <= now {
        (Severity::Error, format!("expired at {}: no browser opens a connection", valid.until))
    } else if valid.from > now {
        (Severity::Error, format!("is good only from {}, or this machine's clock is behind", valid.from))
    } else if valid.until.since(now) < SOON_MS {
        (Severity::Warning, format!("expires at {}", valid.until))
    } else {
        return None;
    };
    let fix = "renew it, then systemctl reload holdfast (SIGHUP) on every process";
    Some(Finding::new(Part::Tls, severity, format!("certificate {}", certificate.display()), why, fix))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_certificate_is_judged_by_the_clock() {
        let valid = Validity { from: Millis(1_000), until: Millis(SOON_MS * 3) };
        let at = |now| judge(Path::new("c.pem"), valid, Millis(now));
        assert!(at(0).is_some_and(|one| one.severity == Severity::Error && one.why.contains("good only from")));
        assert_eq!(at(1_000), None);
        assert_eq!(at(SOON_MS * 2), None);
        assert!(at(SOON_MS * 2 + 1).is_some_and(|one| one.severity == Severity::Warning));
        assert!(at(SOON_MS * 3).is_some_and(|one| one.severity == Severity::Error && one.why.contains("expired at")));
    }
}
