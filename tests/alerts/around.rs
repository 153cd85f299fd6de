//! What surrounds a running program and gets worse by itself: its certificate, its keys, the settings of its Redis.

use std::path::Path;

use crate::live::{Prometheus, Started, TOOLS, edit, has, redis};
use crate::process::{holdfast, run};
use crate::start;

/// A keys file whose token key was made long ago.
fn old_keys(path: &Path) {
    let (code, _, err) = run(holdfast().args(["keys", "create"]).arg(path));
    assert_eq!(code, 0, "{err}");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once("# made ").unwrap();
    let (_, after) = rest.split_once('\n').unwrap();
    std::fs::write(path, format!("{before}# made 2020-01-01T00:00:00.000Z\n{after}")).unwrap();
}

#[test]
fn what_gets_worse_by_itself_is_told() {
    if !TOOLS.into_iter().all(has) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let _redis = redis(folder);
    old_keys(&folder.join("keys.toml"));
    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("ingress/tests/data");
    let mut command = start::on_free_ports("serve", holdfast(), &folder.join("d"));
    command
        .env("HOLDFAST_REDIS", format!("unix:{}", folder.join("r.sock").display()))
        .env("HOLDFAST_KEYS", folder.join("keys.toml"))
        .env("HOLDFAST_EDGE_TLS_CERTIFICATE", certificates.join("old.crt"))
        .env("HOLDFAST_EDGE_TLS_KEY", certificates.join("old.key"));
    let (child, banner) = start::serving(command, &folder.join("holdfast.log"));
    let _program = Started(child);
    let prometheus = Prometheus::start(folder, banner["admin"].as_str().unwrap().trim_start_matches("http://"));

    // They are as old as they are from the first look on; the tickets of the morning wait some minutes before they are one.
    prometheus.until_fires("HoldfastCertificateExpiresNow");
    for alert in ["HoldfastCertificateExpires", "HoldfastKeyOld"] {
        let pending = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"pending\"}}");
        prometheus.until(alert, || !prometheus.query(&pending).is_empty());
    }
    let room = prometheus.query("holdfast_data_free_bytes > 1e6");
    assert!(!room.is_empty(), "the room on the disk is not told");
    assert!(prometheus.query("holdfast_build_info{version!=\"\",scripts=~\"[0-9a-f]{12}\"} == 1").contains("scripts"));

    assert!(!prometheus.firing().contains("HoldfastRedisUnsafe"));
    edit(folder, &["CONFIG", "SET", "appendonly", "no"]);
    edit(folder, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    prometheus.until("both settings", || {
        let told = prometheus.query("ALERTS{alertname=\"HoldfastRedisUnsafe\",alertstate=\"firing\"}");
        told.contains("appendonly") && told.contains("maxmemory_policy")
    });
    let log = std::fs::read_to_string(folder.join("holdfast.log")).unwrap();
    assert!(log.contains("appendonly is no") && log.contains("config set appendonly yes"), "{log}");
    edit(folder, &["CONFIG", "SET", "appendonly", "yes"]);
    edit(folder, &["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    prometheus.until("a Redis that is safe again", || !prometheus.firing().contains("HoldfastRedisUnsafe"));
}
