//! The one place where subjects and the names of streams and consumers are spelled (`spec/contract.md`,
//! subjects).

use symstream_shared::id::{ChannelId, EngineName, GroupId, NodeId};
use symstream_shared::model::LinkAction;

/// Subjects and names under one prefix (`sync.table.prefix`).
#[derive(Debug, Clone)]
pub(crate) struct Subjects {
    prefix: String,
}

/// Writes an id as one token: `A-Z a-z 0-9 _ -` stay, every other byte becomes `=` and two hexadecimal digits.
/// Two `=` in a row never come about, so `==` can separate tokens in a consumer's name.
pub(crate) fn token(id: &str) -> String {
    let mut token = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            token.push(char::from(byte));
        } else {
            token.push_str(&format!("={byte:02X}"));
        }
    }
    token
}

/// The shard of targets that a node belongs to. One for now; the token keeps its place in the subjects.
const SHARD: u32 = 0;

/// The shard's token in a lane's subject: batches that wait until the target asks have one of their own, so that a
/// consumer takes the one kind without the other.
fn shard(action: LinkAction) -> String {
    match action {
        LinkAction::Push => SHARD.to_string(),
        LinkAction::WaitForPull => format!("{SHARD}-wait"),
    }
}

impl Subjects {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: token(prefix),
        }
    }

    fn stream(&self, what: &str) -> String {
        format!("{}_{what}", self.prefix.to_uppercase())
    }

    pub(crate) fn capture_stream(&self) -> String {
        self.stream("CAPTURE")
    }

    pub(crate) fn node_stream(&self) -> String {
        self.stream(&format!("NODE_{SHARD}"))
    }

    pub(crate) fn group_stream(&self) -> String {
        self.stream("GROUP")
    }

    pub(crate) fn lanes_stream(&self) -> String {
        self.stream("LANES")
    }

    pub(crate) fn routed_stream(&self) -> String {
        self.stream("ROUTED")
    }

    pub(crate) fn status_stream(&self) -> String {
        self.stream("STATUS")
    }

    pub(crate) fn configuration_stream(&self) -> String {
        self.stream("CONFIG")
    }

    pub(crate) fn capture(&self, source: &NodeId, channel: &ChannelId) -> String {
        format!(
            "{}.capture.{}.{}",
            self.prefix,
            token(source.as_str()),
            token(channel.as_str())
        )
    }

    pub(crate) fn capture_filter(&self) -> String {
        format!("{}.capture.*.*", self.prefix)
    }

    /// What the stream makes of [`Self::capture_filter`]: the partition by source and channel in front.
    pub(crate) fn captured_transform(&self, partition_count: u32) -> String {
        format!(
            "{}.captured.{{{{partition({partition_count},1,2)}}}}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}",
            self.prefix
        )
    }

    /// Every partition's stored subject of one source and channel; exactly one of them exists.
    pub(crate) fn captured_any_partition(&self, source: &NodeId, channel: &ChannelId) -> String {
        format!(
            "{}.captured.*.{}.{}",
            self.prefix,
            token(source.as_str()),
            token(channel.as_str())
        )
    }

    pub(crate) fn captured_partition(&self, partition: u32) -> String {
        format!("{}.captured.{partition}.>", self.prefix)
    }

    pub(crate) fn node(
        &self,
        target: &NodeId,
        channel: &ChannelId,
        source: &NodeId,
        action: LinkAction,
    ) -> String {
        format!(
            "{}.node.{}.{}.{}.{}",
            self.prefix,
            shard(action),
            token(target.as_str()),
            token(channel.as_str()),
            token(source.as_str())
        )
    }

    pub(crate) fn node_channel(&self, target: &NodeId, channel: &ChannelId, action: LinkAction) -> String {
        format!(
            "{}.node.{}.{}.{}.>",
            self.prefix,
            shard(action),
            token(target.as_str()),
            token(channel.as_str())
        )
    }

    /// Both kinds of one shard, which are one stream.
    pub(crate) fn all_nodes(&self) -> Vec<String> {
        [LinkAction::Push, LinkAction::WaitForPull]
            .map(|action| format!("{}.node.{}.>", self.prefix, shard(action)))
            .into()
    }

    pub(crate) fn group(&self, group: &GroupId, channel: &ChannelId, source: &NodeId) -> String {
        format!(
            "{}.group.{}.{}.{}",
            self.prefix,
            token(group.as_str()),
            token(channel.as_str()),
            token(source.as_str())
        )
    }

    pub(crate) fn group_channel(&self, group: &GroupId, channel: &ChannelId) -> String {
        format!(
            "{}.group.{}.{}.*",
            self.prefix,
            token(group.as_str()),
            token(channel.as_str())
        )
    }

    pub(crate) fn all_groups(&self) -> String {
        format!("{}.group.>", self.prefix)
    }

    /// Where the lanes of all groups end, among the tails of nodes' lanes: no node's token has two `=` in a row.
    pub(crate) fn group_tails(&self, channel: &ChannelId, source: &NodeId) -> String {
        format!(
            "{}.tail.{SHARD}.==groups.{}.{}",
            self.prefix,
            token(channel.as_str()),
            token(source.as_str())
        )
    }

    pub(crate) fn all_group_tails(&self) -> String {
        format!("{}.tail.{SHARD}.==groups.*.*", self.prefix)
    }

    pub(crate) fn tail(&self, target: &NodeId, channel: &ChannelId, source: &NodeId) -> String {
        format!(
            "{}.tail.{SHARD}.{}.{}.{}",
            self.prefix,
            token(target.as_str()),
            token(channel.as_str()),
            token(source.as_str())
        )
    }

    /// The tails of all lanes to a node.
    pub(crate) fn tails_to(&self, target: &NodeId) -> String {
        format!("{}.tail.{SHARD}.{}.>", self.prefix, token(target.as_str()))
    }

    /// All lanes to a node, of either kind of link.
    pub(crate) fn all_lanes_to(&self, target: &NodeId) -> impl Iterator<Item = String> {
        [LinkAction::Push, LinkAction::WaitForPull]
            .map(|action| {
                format!(
                    "{}.node.{}.{}.>",
                    self.prefix,
                    shard(action),
                    token(target.as_str())
                )
            })
            .into_iter()
    }

    pub(crate) fn all_tails(&self) -> String {
        format!("{}.tail.>", self.prefix)
    }

    pub(crate) fn hold(&self, source: &NodeId, channel: &ChannelId) -> String {
        format!(
            "{}.hold.{}.{}",
            self.prefix,
            token(source.as_str()),
            token(channel.as_str())
        )
    }

    pub(crate) fn all_holds(&self) -> String {
        format!("{}.hold.>", self.prefix)
    }

    pub(crate) fn routed(&self, source: &NodeId, channel: &ChannelId) -> String {
        format!(
            "{}.routed.{}.{}",
            self.prefix,
            token(source.as_str()),
            token(channel.as_str())
        )
    }

    pub(crate) fn routed_source(&self, source: &NodeId) -> String {
        format!("{}.routed.{}.*", self.prefix, token(source.as_str()))
    }

    pub(crate) fn all_routed(&self) -> String {
        format!("{}.routed.>", self.prefix)
    }

    pub(crate) fn status(&self, source: &NodeId, target: &NodeId, channel: &ChannelId) -> String {
        format!(
            "{}.status.{}.{}.{}",
            self.prefix,
            token(source.as_str()),
            token(target.as_str()),
            token(channel.as_str())
        )
    }

    pub(crate) fn status_source(&self, source: &NodeId) -> String {
        format!("{}.status.{}.>", self.prefix, token(source.as_str()))
    }

    pub(crate) fn all_statuses(&self) -> String {
        format!("{}.status.>", self.prefix)
    }

    pub(crate) fn heartbeat(&self, server: &EngineName, node: &NodeId) -> String {
        format!(
            "{}.ctl.{}.heartbeat.{}",
            self.prefix,
            token(server.as_str()),
            token(node.as_str())
        )
    }

    pub(crate) fn heartbeats(&self, server: &EngineName) -> String {
        format!("{}.ctl.{}.heartbeat.*", self.prefix, token(server.as_str()))
    }

    pub(crate) fn register(&self, server: &EngineName) -> String {
        format!("{}.ctl.{}.register", self.prefix, token(server.as_str()))
    }

    pub(crate) fn free(&self, server: &EngineName, source: &NodeId) -> String {
        format!(
            "{}.ctl.{}.free.{}",
            self.prefix,
            token(server.as_str()),
            token(source.as_str())
        )
    }

    pub(crate) fn frees(&self, server: &EngineName) -> String {
        format!("{}.ctl.{}.free.*", self.prefix, token(server.as_str()))
    }

    /// A source's lanes to a node, of one kind of link and in all channels.
    pub(crate) fn node_source(&self, target: &NodeId, source: &NodeId, action: LinkAction) -> String {
        format!(
            "{}.node.{}.{}.*.{}",
            self.prefix,
            shard(action),
            token(target.as_str()),
            token(source.as_str())
        )
    }

    /// The tails of all lanes from a source.
    pub(crate) fn tails_of(&self, source: &NodeId) -> String {
        format!("{}.tail.{SHARD}.*.*.{}", self.prefix, token(source.as_str()))
    }

    pub(crate) fn configuration(&self, server: &EngineName, version: i64) -> String {
        format!("{}.ctl.{}.config.{version}", self.prefix, token(server.as_str()))
    }

    pub(crate) fn configurations(&self, server: &EngineName) -> String {
        format!("{}.ctl.{}.config.*", self.prefix, token(server.as_str()))
    }

    pub(crate) fn all_configurations(&self) -> String {
        format!("{}.ctl.*.config.*", self.prefix)
    }

    pub(crate) fn router_consumer(partition: u32) -> String {
        format!("router-{partition}")
    }

    pub(crate) fn lane_consumer(target: &NodeId, channel: &ChannelId, action: LinkAction) -> String {
        let pushed = format!("{}=={}", token(target.as_str()), token(channel.as_str()));
        match action {
            LinkAction::Push => pushed,
            LinkAction::WaitForPull => format!("{pushed}==wait"),
        }
    }

    /// Whether a consumer is a node's: of a lane to it, or its recorder's.
    pub(crate) fn is_consumer_of(name: &str, node: &NodeId) -> bool {
        name.strip_prefix(&token(node.as_str()))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("=="))
    }

    pub(crate) fn group_consumer(node: &NodeId, channel: &ChannelId) -> String {
        format!("{}=={}==group", token(node.as_str()), token(channel.as_str()))
    }

    pub(crate) fn recorder_consumer(source: &NodeId) -> String {
        token(source.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_no_tokens_are_escaped_readably_and_differently() {
        assert_eq!(token("store-001_a"), "store-001_a");
        assert_eq!(token("a.b c"), "a=2Eb=20c");
        assert_eq!(token("a=2Eb"), "a=3D2Eb");
        assert_eq!(token("ü>*"), "=C3=BC=3E=2A");
        assert!(!token("==").contains("=="));
    }

    #[test]
    fn subjects_are_those_of_the_contract() {
        let subjects = Subjects::new("sym");
        let (s, t) = (NodeId::new("s.1").expect("id"), NodeId::new("t").expect("id"));
        let channel = ChannelId::new("sale").expect("id");
        assert_eq!(subjects.capture(&s, &channel), "sym.capture.s=2E1.sale");
        let (push, wait) = (LinkAction::Push, LinkAction::WaitForPull);
        assert_eq!(subjects.node(&t, &channel, &s, push), "sym.node.0.t.sale.s=2E1");
        assert_eq!(
            subjects.node(&t, &channel, &s, wait),
            "sym.node.0-wait.t.sale.s=2E1"
        );
        assert_eq!(subjects.all_nodes(), ["sym.node.0.>", "sym.node.0-wait.>"]);
        assert_eq!(Subjects::lane_consumer(&s, &channel, push), "s=2E1==sale");
        assert!(Subjects::is_consumer_of("s=2E1==sale", &s) && Subjects::is_consumer_of("s=2E1", &s));
        assert!(!Subjects::is_consumer_of("s=2E1=2E==sale", &s) && !Subjects::is_consumer_of("s=2E1x", &s));
        assert_eq!(Subjects::lane_consumer(&s, &channel, wait), "s=2E1==sale==wait");
        let group = GroupId::new("g.1").expect("id");
        assert_eq!(subjects.group(&group, &channel, &s), "sym.group.g=2E1.sale.s=2E1");
        assert_eq!(Subjects::group_consumer(&s, &channel), "s=2E1==sale==group");
        assert_eq!(subjects.status(&s, &t, &channel), "sym.status.s=2E1.t.sale");
        assert_eq!(subjects.routed(&s, &channel), "sym.routed.s=2E1.sale");
        let server = EngineName::new("cloud-1").expect("name");
        assert_eq!(subjects.heartbeat(&server, &s), "sym.ctl.cloud-1.heartbeat.s=2E1");
        assert_eq!(subjects.capture_stream(), "SYM_CAPTURE");
    }
}
