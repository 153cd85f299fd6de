//! What is counted, and that it is described.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::{Client, World};
use ingress::{Limits, Settings, metrics};
use metrics_exporter_prometheus::PrometheusBuilder;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_connections_and_problems_are_counted_under_their_described_names() {
    let figures = PrometheusBuilder::new().install_recorder().unwrap();
    let limits = Limits { connections: 2, ..Limits::default() };
    let world = World::bare(Settings { server: limits, ..Settings::default() }).await;
    let mut client = Client::to(world.public).await;
    for path in ["/v1/sales", "/v1/sales", "/v1/sales/nope", "/nowhere"] {
        client.get(path, &[]).await;
    }
    let mut second = Client::to(world.public).await;
    second.get("/", &[]).await;
    assert_eq!(Client::to(world.public).await.reply().await.unwrap().status, 503);

    let text = figures.render();
    let has = |line: &str| assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    has("holdfast_ingress_requests_total{route=\"GET /v1/sales\",status=\"2xx\"} 2");
    has("holdfast_ingress_requests_total{route=\"GET /v1/sales/{sale}\",status=\"4xx\"} 1");
    has("holdfast_ingress_requests_total{route=\"unmatched\",status=\"4xx\"} 1");
    has("holdfast_ingress_problems_total{problem=\"not-found\"} 2");
    has("holdfast_ingress_connections{listener=\"public\"} 2");
    has("holdfast_ingress_connections_refused_total{listener=\"public\",why=\"process\"} 1");
    has("holdfast_ingress_request_seconds_count{route=\"GET /v1/sales\"} 2");

    let described: BTreeSet<&str> = metrics::ALL.iter().map(|metric| metric.name).collect();
    for metric in metrics::ALL {
        assert!(text.contains(metric.name), "{} is never registered", metric.name);
    }
    for line in text.lines().filter(|line| line.starts_with("holdfast_ingress_")) {
        let name = line.split(['{', ' ']).next().unwrap();
        let name = ["_count", "_sum", "_bucket"].iter().fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
        assert!(described.contains(name), "{name} is not described");
    }
}
