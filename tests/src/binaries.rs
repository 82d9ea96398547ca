//! Where the programs under test are.

use std::path::PathBuf;

/// The path of one of the workspace's binaries, built with the same profile as this program.
///
/// # Panics
/// When it was not built: `cargo build --workspace --bins` does it, and `make test` before the tests.
pub fn binary(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("path of this program");
    // Test programs lie in target/<profile>/deps, binaries in target/<profile>.
    this.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not built: run `cargo build --workspace --bins` or `make test`"))
}

/// The workspace's folder for things that outlive a test and can be made again.
pub fn cache_folder() -> PathBuf {
    let this = std::env::current_exe().expect("path of this program");
    let target = this
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .map_or_else(
            || std::env::temp_dir().join("symstream-cache"),
            |target| target.join("test-templates"),
        );
    std::fs::create_dir_all(&target).expect("make the folder of server templates");
    target
}
