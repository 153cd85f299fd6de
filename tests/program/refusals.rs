//! What stands in the way of a start is told in one line that says what to do, and leaves nothing behind.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use crate::process::{Dev, as_nobody, dev, holdfast, refused, run};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_port_that_is_taken_is_named_with_its_flag() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = holdfast();
    command.args(["dev", "--listen", &address, "--admin-listen", "127.0.0.1:0", "--data"]).arg(folder.path().join("d"));
    refused(run(&mut command), 1, &[&address, "another program listens there", "--listen"]);
    assert!(!folder.path().join("d/redis.pid").exists());
}

#[test]
fn an_address_of_another_machine_is_not_said_to_be_taken() {
    let folder = folder();
    let mut command = holdfast();
    // From the block for documentation: no machine has it.
    command.args(["dev", "--listen", "192.0.2.1:0", "--admin-listen", "127.0.0.1:0", "--data"]);
    command.arg(folder.path().join("d"));
    let said = run(&mut command);
    assert!(!said.2.contains("stop that one"), "{}", said.2);
    refused(said, 1, &["192.0.2.1:0", "this machine has no such address", "--listen", "127.0.0.1"]);
}

#[test]
fn origins_that_are_none_are_refused_with_key_and_value() {
    let folder = folder();
    for nonsense in [
        "*",
        "shop.example",
        "https://shop.example/path",
        "HTTPS://SHOP.EXAMPLE",
        "https://",
        "https://shop..example",
        "https://shop.example:443",
        "https://shop.example:70000",
        "https://[::1",
        "ftp://shop.example",
    ] {
        let mut command = dev(&folder.path().join("d"));
        command.env("HOLDFAST_EDGE_ALLOWED_ORIGINS", nonsense);
        let (code, out, err) = run(&mut command);
        assert_eq!((code, out.as_str()), (2, ""), "{nonsense}: {err}");
        assert!(err.contains("edge.allowed_origins") && err.contains(nonsense), "{nonsense}: {err}");
    }
    assert!(!folder.path().join("d").exists(), "nothing was made");
}

#[test]
fn a_second_program_on_the_same_directory_is_refused() {
    let folder = folder();
    let data = folder.path().join("d");
    let first = Dev::start(&data, &["--no-demo"]);
    let pid = first.child.id().to_string();
    refused(run(&mut dev(&data)), 1, &["in use by another holdfast", &pid, "--data"]);
    first.end();
}

#[test]
fn a_directory_that_is_not_writable_is_named() {
    let folder = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    // Where the tests run as root the program runs as somebody else, who must be able to execute it.
    let program = tempfile::tempdir().unwrap();
    fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = program.path().join("holdfast");
    fs::copy(env!("CARGO_BIN_EXE_holdfast"), &copy).unwrap();
    let mut command = std::process::Command::new(copy);
    command.args(["dev", "--json", "--data"]).arg(folder.path().join("d"));
    refused(run(&mut as_nobody(command)), 1, &["data directory", "not writable", "--data"]);
}

#[test]
fn a_directory_of_another_version_is_not_touched() {
    let folder = folder();
    fs::write(folder.path().join("format"), "7\n").unwrap();
    refused(run(&mut dev(folder.path())), 1, &["has format \"7\"", "--data"]);
    assert!(!folder.path().join("ledger.db").exists());
}

#[test]
fn a_missing_redis_server_names_the_command_that_installs_it() {
    let folder = folder();
    let data = folder.path().join("d");
    let mut command = dev(&data);
    command.env("PATH", "");
    refused(run(&mut command), 1, &["redis-server", "apt-get install redis-server"]);
}

#[test]
fn a_redis_server_that_does_not_start_shows_why() {
    let folder = folder();
    let mut command = dev(&folder.path().join("d"));
    // Starts, and ends at once.
    command.env("HOLDFAST_REDIS_SERVER", "/bin/false");
    refused(run(&mut command), 1, &["redis-server", "ended with", "redis.log"]);
}

#[test]
fn a_ledger_that_is_no_ledger_is_named() {
    let folder = folder();
    let data = folder.path().join("d");
    Dev::start(&data, &["--no-demo"]).end();
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(data.join(format!("ledger.db{end}")));
    }
    fs::write(data.join("ledger.db"), "this was a ledger once".repeat(1_000)).unwrap();
    refused(run(&mut dev(&data)), 1, &["ledger", "ledger.db"]);
}

#[test]
fn keys_that_others_may_read_are_refused_with_the_fix() {
    let folder = folder();
    let data = folder.path().join("d");
    Dev::start(&data, &["--no-demo"]).end();
    fs::set_permissions(data.join("keys.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    refused(run(&mut dev(&data)), 1, &["keys file", "chmod 600"]);
}

#[test]
fn lost_keys_are_not_replaced_in_silence() {
    let folder = folder();
    let data = folder.path().join("d");
    Dev::start(&data, &["--no-demo"]).end();
    fs::remove_file(data.join("keys.toml")).unwrap();
    refused(run(&mut dev(&data)), 1, &["keys file", "backup"]);
}

#[test]
fn a_lost_ledger_is_not_replaced_in_silence() {
    let folder = folder();
    let data = folder.path().join("d");
    Dev::start(&data, &[]).end();
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(data.join(format!("ledger.db{end}")));
    }
    refused(run(&mut dev(&data)), 1, &["ledger", "gone or empty", "backup", "--data"]);
    fs::write(data.join("ledger.db"), "").unwrap();
    refused(run(&mut dev(&data)), 1, &["ledger", "gone or empty"]);
}

#[test]
fn all_mistakes_of_the_settings_are_told_with_exit_code_2() {
    let folder = folder();
    let file = folder.path().join("holdfast.toml");
    fs::write(&file, "mode = \"prod\"\nlistne = \"x\"\n").unwrap();
    let mut command = dev(&folder.path().join("d"));
    command.arg("--config").arg(&file).env("HOLDFAST_THREADS", "many");
    let (code, out, err) = run(&mut command);
    assert_eq!((code, out.as_str()), (2, ""));
    for wanted in [
        "3 mistakes",
        "mode = \"prod\"",
        "did you mean \"listen\"?",
        "threads = \"many\" (from HOLDFAST_THREADS): must be 0 to 1024",
    ] {
        assert!(err.contains(wanted), "{err}\nshould say {wanted:?}");
    }
}

#[test]
fn production_refuses_keys_somebody_made_up_and_an_unset_redis() {
    let folder = folder();
    let serve = || {
        let mut command = holdfast();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"])
            .arg(folder.path());
        command.env("HOLDFAST_MODE", "production");
        command
    };
    refused(run(&mut serve()), 2, &["redis", "HOLDFAST_REDIS"]);
    let keys = folder.path().join("keys.toml");
    let text = format!(
        "[[token]]\nid = 1\nsecret = \"{}\"\n[[operator]]\nname = \"a\"\nkey = \"change-me-change-me-change-me-change\"\n",
        "00".repeat(32)
    );
    fs::write(&keys, text).unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    refused(run(&mut serve()), 2, &["made up by hand", "token key 1", "operator key \"a\""]);
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for words in [&["frobnicate"][..], &["audit"], &["dev", "--port", "1"], &["log", "read"]] {
        let (code, out, err) = run(holdfast().args(words));
        assert_eq!((code, out.as_str()), (2, ""), "{words:?}: {err}");
    }
}
