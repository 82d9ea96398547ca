//! What JetStream stores.

use std::collections::BTreeMap;

/// How many messages each stream has ever stored, by the stream's name, and how many consumers it has.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// The last sequence of each stream: messages that are gone count too.
    pub messages: BTreeMap<String, u64>,
    /// Consumers of all streams.
    pub consumers: usize,
}

impl Stored {
    /// Looks now.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn look(nats_url: &str) -> Self {
        use futures_util::TryStreamExt;
        let client = async_nats::connect(nats_url).await.expect("connect to nats");
        let jetstream = async_nats::jetstream::new(client);
        let streams: Vec<_> = jetstream.streams().try_collect().await.expect("list streams");
        let mut stored = Self::default();
        for info in streams {
            stored.consumers += info.state.consumer_count;
            stored.messages.insert(info.config.name, info.state.last_sequence);
        }
        stored
    }

    /// What each stream has stored since `before`.
    pub fn since(&self, before: &Self) -> BTreeMap<String, u64> {
        let before = |name: &String| before.messages.get(name).copied().unwrap_or(0);
        self.messages
            .iter()
            .map(|(name, last)| (name.clone(), last - before(name)))
            .collect()
    }
}
