//! How fast the embedded store appends: events per second for groups of several sizes, from one log and from eight at once.
//!
//! `cargo run --release -p ledger --example append_rate [FOLDER [SECONDS]]`; the file is made in FOLDER (default: the temporary folder) and
//! removed, each line is measured for SECONDS (default: 4). The disk's own fdatasync is measured before and after: an append cannot be faster than
//! that, and figures from disks that differ in it say nothing about each other.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::LogId;
use futures_util::future::try_join_all;
use ledger::{Append, Ledger};

fn main() -> Result<(), Box<dyn Error>> {
    let base = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("append-rate-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let seconds = std::env::args().nth(2).map_or(Ok(4.0), |seconds| seconds.parse())?;
    let outcome = measure(&folder.join("ledger.db"), Duration::try_from_secs_f64(seconds)?);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn measure(file: &Path, time: Duration) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("events of 150 bytes, each append waits for its fsync, in {}", file.display());
    println!(
        "{:>5} {:>7} {:>11} {:>11} {:>9} {:>9} {:>9}",
        "logs", "group", "appends/s", "events/s", "p50 ms", "p99 ms", "max ms"
    );
    disk(file)?;
    runtime.block_on(async {
        let ledger = Ledger::sqlite(file)?;
        let mut lane = 0;
        for logs in [1_u16, 8] {
            for group in [1, 64, 256, 1024] {
                let since = Instant::now();
                let writers = (lane..lane + logs).map(|lane| write(&ledger, lane, group, time));
                let mut times: Vec<Duration> = try_join_all(writers).await?.concat();
                line(logs, group, since.elapsed(), &mut times);
                lane += logs;
            }
        }
        reads(&ledger).await
    })?;
    disk(file)
}

async fn write(ledger: &Ledger, lane: u16, group: usize, time: Duration) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut writer = ledger.claim(&LogId::lane(&"rate".parse()?, lane), "append_rate").await?;
    let events = vec![format!("{{\"v\":1,\"t\":\"booked\",\"pad\":\"{}\"}}", "x".repeat(118)); group];
    let mut times = Vec::new();
    let until = Instant::now() + time;
    while Instant::now() < until {
        let since = Instant::now();
        match ledger.append(&writer, &events).await? {
            Append::Appended(next) => writer = next,
            Append::Fenced(head) => return Err(format!("somebody else writes: {head:?}").into()),
        }
        times.push(since.elapsed());
    }
    Ok(times)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn line(logs: u16, group: usize, elapsed: Duration, times: &mut [Duration]) {
    times.sort_unstable();
    let rate = times.len() as f64 / elapsed.as_secs_f64();
    let at = |share: usize| {
        times.get(times.len().saturating_sub(1) * share / 100).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    let (p50, p99, max) = (at(50), at(99), at(100));
    println!("{logs:>5} {group:>7} {rate:>11.0} {:>11.0} {p50:>9.2} {p99:>9.2} {max:>9.2}", rate * group as f64);
}

/// What the disk needs to make 4 KiB durable, at the end of a file that grows.
fn disk(beside: &Path) -> Result<(), Box<dyn Error>> {
    let path = beside.with_extension("fdatasync");
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&[0x5A; 4096])?;
        let since = Instant::now();
        file.sync_data()?;
        times.push(since.elapsed().as_secs_f64() * 1e3);
    }
    std::fs::remove_file(&path)?;
    times.sort_unstable_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len().saturating_sub(1) * share / 100).copied().unwrap_or(0.0);
    println!("the disk's fdatasync of 4 KiB: p50 {:.2} ms, p99 {:.2} ms", at(50), at(99));
    Ok(())
}

/// Reads everything back once.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn reads(ledger: &Ledger) -> Result<(), Box<dyn Error>> {
    let since = Instant::now();
    let mut events = 0_u64;
    for log in ledger.list("lane/rate/").await? {
        ledger.read_all(&log, 0, |_| events += 1).await?;
    }
    let rate = events as f64 / since.elapsed().as_secs_f64();
    let megabytes = ledger.bytes().unwrap_or(0) as f64 / 1e6;
    println!("read back {events} events at {rate:.0}/s; the file has {megabytes:.0} MB");
    Ok(())
}
