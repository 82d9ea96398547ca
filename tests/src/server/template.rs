//! Data folders of database servers, made once and copied for each server.

use crate::binaries::cache_folder;
use std::fs::File;
use std::path::Path;
use std::process::Command;

/// Copies the template `name` to `target`; `make` fills a new folder when there is none yet.
///
/// # Panics
/// When the template can not be made or copied.
pub fn copy(name: &str, target: &Path, make: impl FnOnce(&Path)) {
    let cache = cache_folder();
    let template = cache.join(name);
    let lock = File::create(cache.join(format!("{name}.lock"))).expect("open the template's lock");
    // Test processes start together: one makes the template, the others wait for it.
    lock.lock().expect("lock the template");
    if !template.exists() {
        // Built elsewhere, because the database's user may not reach the target folder, and moved in whole.
        let building = tempfile::Builder::new()
            .prefix("symstream-template-")
            .tempdir()
            .expect("make a folder");
        let half_moved = cache.join(format!("{name}.new"));
        make(building.path());
        run(Command::new("rm").arg("-rf").arg(&half_moved));
        run(Command::new("cp")
            .arg("-a")
            .arg(building.path().join("data"))
            .arg(&half_moved));
        std::fs::rename(&half_moved, &template).expect("put the template in its place");
    }
    drop(lock);
    run(Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .arg(&template)
        .arg(target));
}

/// Runs a command that has to succeed.
///
/// # Panics
/// When it does not, with what it printed.
pub fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|err| panic!("{command:?}: {err}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
