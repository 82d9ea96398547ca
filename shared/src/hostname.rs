//! This machine's name.

/// The host's name, for the `hostname` of the batches' histories; `localhost` where the system does not say.
pub fn hostname() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .map(|name| name.trim().to_owned())
        .chain(std::env::var("HOSTNAME"))
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
