//! What processes take, as the kernel counts it.

use crate::process::Process;
use std::fs;
use std::time::Duration;

/// Ticks of `/proc/<pid>/stat` in a second; Linux shows the same number to every program.
const TICKS: u64 = 100;

/// The most memory that a process has had in use at once, in KiB; 0 when it is gone.
pub fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok())
        .unwrap_or(0)
}

/// The processor time that a process has taken; zero when it is gone.
pub fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, which may have spaces, is in parentheses; utime and stime are the 12th and 13th field after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// How many files and sockets a process has open.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Prints the peak memory of each process, one a line.
pub fn print_peaks<'a>(processes: impl IntoIterator<Item = &'a Process>) {
    for process in processes {
        print_peak(process.name(), process.id());
    }
}

/// Prints the peak memory of one process.
pub fn print_peak(name: &str, pid: u32) {
    println!("{:<40} {:>8} MiB at most", name, peak_memory(pid) / 1024);
}
