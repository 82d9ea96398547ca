//! The temporary folder of a test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A folder that is removed when it is dropped, unless its test failed or `SYM_TEST_KEEP` is set.
#[derive(Debug)]
pub struct Folder {
    dir: Option<tempfile::TempDir>,
    path: PathBuf,
}

impl Folder {
    /// Makes one below the system's folder for temporary files.
    ///
    /// # Panics
    /// When it can not be made.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("symstream-")
            .tempdir()
            .expect("make a temporary folder");
        // PostgreSQL runs as a user of its own where the tests run as root.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))
            .expect("open the temporary folder");
        Self {
            path: dir.path().to_owned(),
            dir: Some(dir),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// A folder in it, made when it is missing.
    ///
    /// # Panics
    /// When it can not be made.
    pub fn subfolder(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::create_dir_all(&path).expect("make a folder in the temporary folder");
        path
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if (std::thread::panicking() || std::env::var_os("SYM_TEST_KEEP").is_some())
            && let Some(dir) = self.dir.take()
        {
            eprintln!("kept {}", dir.keep().display());
        }
    }
}
