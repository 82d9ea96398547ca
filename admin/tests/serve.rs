use crate::site::{CLOUD, Site};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// More than a stop takes, less than the deadline that would hide one that hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// `sym` on an engine whose NATS server does not exist, once it has begun to wait for it.
fn waiting_for_nats(site: &Site) -> Child {
    site.engine(CLOUD, "cloud", "1", "nats.url = \"nats://127.0.0.1:9\"");
    let log = std::fs::File::create(site.path("sym.log")).expect("log");
    let child = Command::new(env!("CARGO_BIN_EXE_sym"))
        .args(["--engines-dir", site.path("engines").to_str().expect("UTF-8")])
        .current_dir(site.path(""))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("start");
    eventually("sym waits for NATS", || log_of(site).contains("127.0.0.1:9"));
    child
}

fn log_of(site: &Site) -> String {
    std::fs::read_to_string(site.path("sym.log")).unwrap_or_default()
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(sent.success());
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn end_of(child: &mut Child) -> ExitStatus {
    let mut status = None;
    eventually("the process ends", || {
        status = child.try_wait().expect("wait");
        status.is_some()
    });
    status.expect("ended")
}

#[test]
fn sym_waits_for_nats_and_ends_with_0_when_it_is_asked_to_stop() {
    for signal in ["-TERM", "-INT"] {
        let site = Site::new();
        let mut child = waiting_for_nats(&site);
        assert!(child.try_wait().expect("wait").is_none(), "{}", log_of(&site));
        send(signal, &child);
        assert_eq!(end_of(&mut child).code(), Some(0), "{}", log_of(&site));
    }
}

#[test]
fn sym_names_the_engine_that_gave_up_and_ends_with_1() {
    let site = Site::new();
    site.write(
        "cloud.db",
        "this is no database, and longer than the header of one, which has 100 bytes or so -----",
    );
    let ended = site.sym(&["--engine", CLOUD]);
    assert_eq!(ended.status, 1, "{ended:?}");
    let last = ended.stderr.lines().last().expect("a line");
    assert!(last.starts_with("error: engine cloud-1, "), "{last}");
    assert!(last.contains("file is not a database"), "{last}");
}
