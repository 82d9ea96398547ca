//! Ports for servers.

use std::fs::{self, File};
use std::net::TcpListener;

/// Below the range that systems give to outgoing connections, so that nobody takes the port of a server that is
/// down for a moment.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A free TCP port, reserved among all test processes of this machine until it is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves one.
    ///
    /// # Panics
    /// When none is free.
    pub fn reserve() -> Self {
        let locks = std::env::temp_dir().join("symstream-ports");
        fs::create_dir_all(&locks).expect("make the folder of port locks");
        for _ in 0..10_000 {
            let number = rand::random_range(RANGE);
            let lock = File::create(locks.join(number.to_string())).expect("open a port's lock file");
            if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("no free port in {RANGE:?}");
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}
