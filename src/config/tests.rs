#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use lua::Target;

use super::layers::variable;
use super::*;

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn file(text: &str) -> (tempfile::TempDir, Given) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("holdfast.toml");
    std::fs::write(&path, text).unwrap();
    (folder, Given { file: Some(path), ..Given::default() })
}

#[test]
fn the_shipped_default_is_complete_and_right() {
    let loaded = Loaded::with(&Given::default(), []);
    assert_eq!(loaded.mistakes(), [""; 0]);
    let config = loaded.config().unwrap();
    assert_eq!(config.mode, Mode::Dev);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.redis, None);
    assert!(!config.admin_listen_given);
}

#[test]
fn the_shipped_default_is_what_the_edge_has_by_itself() {
    let config = Loaded::with(&Given::default(), []).config().unwrap();
    assert_eq!(format!("{:?}", config.http), format!("{:?}", ingress::Settings::default()));
}

#[test]
fn a_certificate_needs_its_key() {
    let set = environment(&[("HOLDFAST_EDGE_TLS_KEY", "key.pem")]);
    let mistakes = Loaded::with(&Given::default(), set).mistakes();
    assert_eq!(mistakes, ["edge.tls_certificate: must be set as well, because tls_key is"]);
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let (_folder, mut given) =
        file("listen = \"127.0.0.1:1\"\nadmin_listen = \"127.0.0.1:1\"\n[log]\nlevel = \"warn\"");
    given.flags.push(("listen", "--listen", "127.0.0.1:3".to_owned()));
    let environment = environment(&[
        ("HOLDFAST_LISTEN", "127.0.0.1:2"),
        ("HOLDFAST_ADMIN_LISTEN", "127.0.0.1:2"),
        ("HOLDFAST_THREADS", "3"),
    ]);
    let loaded = Loaded::with(&given, environment);
    let origin = |key: &str| loaded.shown().into_iter().find(|shown| shown.key == key).unwrap().origin;
    assert_eq!(origin("listen"), "--listen");
    assert_eq!(origin("admin_listen"), "HOLDFAST_ADMIN_LISTEN");
    assert!(origin("log.level").ends_with("holdfast.toml"));
    assert_eq!(origin("log.format"), "default");
    let config = loaded.config().unwrap();
    assert_eq!((config.listen.port(), config.admin_listen.port(), config.threads), (3, 2, 3));
    assert_eq!(config.log, LogSettings { level: "warn".to_owned(), json: false });
    assert!(config.admin_listen_given);
}

#[test]
fn what_a_command_sets_for_itself_wins_only_over_the_default() {
    let given = || Given { command: Some(("dev", &[("edge.visitors_per_minute", "0")])), ..Given::default() };
    let of = |environment| Loaded::with(&given(), environment).config().unwrap().http.visitors_per_minute;
    assert_eq!(of(Vec::new()), 0);
    assert_eq!(of(environment(&[("HOLDFAST_EDGE_VISITORS_PER_MINUTE", "7")])), 7);
}

#[test]
fn all_mistakes_are_told_together_with_key_value_range_and_place() {
    let (_folder, given) =
        file("listne = \"x\"\nmode = \"prod\"\nhttp = 3\n[edge]\nproxy_protocol = \"yes\"\n[nonsense]\na = 1");
    let environment = environment(&[
        ("HOLDFAST_THREADS", "many"),
        ("HOLDFAST_LISTEN", "here"),
        ("HOLDFAST_REDIS", "tcp"),
        ("HOLDFAST_LEDGER", "postgres:x"),
        ("HOLDFAST_ADMIN_LISTN", "127.0.0.1:1"),
        ("HOLDFAST_SERVICE_HOST", "10.0.0.1"),
        ("HOLDFAST_PORT_80_TCP", "tcp://10.0.0.1:80"),
    ]);
    let failure = Loaded::with(&given, environment).config().unwrap_err().to_string();
    for wanted in [
        "listne = \"x\" (from ",
        "did you mean \"listen\"?",
        "mode = \"prod\" (from ",
        "must be one of dev, production",
        "http = 3 (from ",
        "must be a table",
        "edge.proxy_protocol = \"yes\" (from ",
        "nonsense",
        "threads = \"many\" (from HOLDFAST_THREADS): must be 0 to 1024",
        "listen = \"here\" (from HOLDFAST_LISTEN): must be an address with a port",
        "redis = \"tcp\" (from HOLDFAST_REDIS): must be unix:PATH, HOST:PORT or cluster:HOST:PORT",
        "ledger = \"postgres:x\" (from HOLDFAST_LEDGER): must be sqlite:PATH, or cql:HOST:PORT",
        "HOLDFAST_ADMIN_LISTN: unknown variable, did you mean HOLDFAST_ADMIN_LISTEN?",
    ] {
        assert!(failure.contains(wanted), "{failure}\nshould say {wanted}");
    }
    assert!(failure.starts_with("configuration: 10 mistakes"), "{failure}");
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_one_mistake_with_its_name() {
    let given = Given { file: Some(PathBuf::from("no/such.toml")), ..Given::default() };
    assert!(Loaded::with(&given, []).mistakes()[0].contains("no/such.toml"));
    let (_folder, given) = file("listen = ");
    assert!(Loaded::with(&given, []).mistakes()[0].contains("line 1"));
}

#[test]
fn a_secret_is_shown_neither_among_the_values_nor_in_a_mistake() {
    let set = environment(&[("HOLDFAST_OPERATOR_KEY", "very-secret")]);
    let shown = Loaded::with(&Given::default(), set).shown();
    assert!(shown.iter().all(|shown| !shown.value.to_string().contains("very-secret")));
    let wrong = environment(&[("HOLDFAST_OPERATOR_KEY", "very secret")]);
    let mistakes = Loaded::with(&Given::default(), wrong).mistakes();
    assert!(mistakes.len() == 1 && !mistakes[0].contains("very secret"), "{mistakes:?}");
}

#[test]
fn lists_and_durations_can_be_given_in_the_environment() {
    let set = environment(&[("HOLDFAST_EDGE_TRUSTED_PROXIES", "10.0.0.0/8, ::1"), ("HOLDFAST_HTTP_IDLE", "5s")]);
    let config = Loaded::with(&Given::default(), set).config().unwrap();
    let networks: Vec<String> = config.http.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(config.http.server.idle, Duration::from_secs(5));
}

#[test]
fn every_setting_has_its_own_name_in_the_environment() {
    let mut names: Vec<String> =
        Loaded::with(&Given::default(), []).shown().iter().map(|shown| variable(&shown.key)).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn redis_is_a_socket_a_host_and_port_or_some_nodes_of_a_cluster() {
    let at = |text: &str| {
        let config = Loaded::with(&Given::default(), environment(&[("HOLDFAST_REDIS", text)])).config();
        config.map(|config| config.redis.map(|access| access.target))
    };
    let nodes = at("cluster:a:7001, b:7002").unwrap().unwrap();
    assert_eq!(nodes.to_string(), "cluster:a:7001,b:7002");
    assert!(at("cluster:").is_err() && at("cluster:a").is_err());
    assert_eq!(at("unix:/run/redis.sock").unwrap(), Some(Target::Unix(PathBuf::from("/run/redis.sock"))));
    assert_eq!(at("redis://cache:6379/").unwrap(), Some(Target::Tcp("cache".to_owned(), 6379)));
    assert!(at("redis://user:pass@cache:6379").is_err());
    assert!(at("cache:99999").is_err());
}

#[test]
fn the_ledger_is_a_file_or_a_keyspace_of_a_cluster() {
    let at = |text: &str| {
        let set = environment(&[
            ("HOLDFAST_LEDGER", text),
            ("HOLDFAST_CQL_USER", "holdfast"),
            ("HOLDFAST_CQL_PASSWORD", "very-secret"),
            ("HOLDFAST_CQL_REPLICAS", "1"),
        ]);
        Loaded::with(&Given::default(), set).config().map(|config| config.ledger())
    };
    let LedgerAt::Cql(cql) = at("cql:db-1:9042, db-2:9042/tickets").unwrap() else { panic!("a cluster") };
    assert_eq!(cql.settings.contact_points, ["db-1:9042", "db-2:9042"]);
    assert_eq!((cql.settings.keyspace.as_str(), cql.settings.user.as_str(), cql.replicas), ("tickets", "holdfast", 1));
    assert_eq!(cql.settings.to_string(), "cql:db-1:9042,db-2:9042/tickets");
    assert!(!format!("{cql:?}").contains("very-secret"));
    assert_eq!(at("sqlite:/data/x.db").unwrap(), LedgerAt::File(PathBuf::from("/data/x.db")));
    for wrong in
        ["cql:db-1/tickets", "cql:db-1:9042", "cql:db-1:9042/Tickets", "cql:me@db:9042/t", "cql:,/t", "sqlite:"]
    {
        assert!(at(wrong).unwrap_err().to_string().contains("must be sqlite:PATH, or cql:"), "{wrong}");
    }
}

#[test]
fn the_password_of_the_ledger_is_shown_nowhere() {
    let set = environment(&[("HOLDFAST_CQL_PASSWORD", "very-secret")]);
    let shown = Loaded::with(&Given::default(), set).shown();
    assert!(shown.iter().any(|shown| shown.key == "cql.password"));
    assert!(shown.iter().all(|shown| !shown.value.to_string().contains("very-secret")));
}

#[test]
fn a_password_of_redis_goes_with_it_and_is_shown_nowhere() {
    let set = environment(&[
        ("HOLDFAST_REDIS", "cache:6379"),
        ("HOLDFAST_REDIS_USER", "clerk"),
        ("HOLDFAST_REDIS_PASSWORD", "very-secret"),
    ]);
    let loaded = Loaded::with(&Given::default(), set);
    assert!(loaded.shown().iter().all(|shown| !shown.value.to_string().contains("very-secret")));
    let config = loaded.config().unwrap();
    assert!(!format!("{config:?}").contains("very-secret"));
    let credentials = config.redis.unwrap().credentials.unwrap();
    assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("clerk", "very-secret"));
    let alone = environment(&[("HOLDFAST_REDIS_USER", "clerk")]);
    let mistakes = Loaded::with(&Given::default(), alone).mistakes();
    assert!(mistakes.len() == 1 && mistakes[0].contains("redis_password"), "{mistakes:?}");
}

#[test]
fn secrets_are_read_from_the_directory_that_systemd_gives() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    put("redis_password", b"from-systemd\n");
    put("listen", b"is no secret, and not read");
    let password = |more: &[(&str, &str)]| {
        let directory = folder.path().to_str().unwrap();
        let all = [more, &[("HOLDFAST_REDIS", "127.0.0.1:1"), ("CREDENTIALS_DIRECTORY", directory)]].concat();
        let loaded = Loaded::with(&Given::default(), environment(&all));
        let shown = loaded.shown().into_iter().find(|one| one.key == "redis_password").unwrap();
        assert!(!shown.value.to_string().contains("systemd"), "{}", shown.value);
        let credentials = loaded.config().map(|config| config.redis.unwrap().credentials.unwrap().password);
        (credentials.map_err(|failure| failure.to_string()), shown.origin)
    };
    let (said, origin) = password(&[]);
    assert_eq!(said.unwrap(), "from-systemd");
    assert!(origin.ends_with("/redis_password"), "{origin}");
    assert_eq!(
        password(&[("HOLDFAST_REDIS_PASSWORD", "mine")]),
        (Ok("mine".to_owned()), "HOLDFAST_REDIS_PASSWORD".to_owned())
    );
    put("redis_password", b"\xff\xfe");
    assert!(password(&[]).0.unwrap_err().contains("redis_password"));
}
