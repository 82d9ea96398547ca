//! Changes that are forwarded: they end where they have been.

use super::*;
use std::collections::VecDeque;

#[test]
fn a_change_goes_to_no_node_that_it_has_been_at() {
    let mut part = inserts(&["1", "2", "3"]);
    part.rows.changes[0].path = vec![node_id("b")];
    part.rows.changes[1].path = vec![node_id("c"), node_id("elsewhere"), node_id("a")];
    assert_eq!(
        outcome(&part, &with(RuleKind::Default)).0,
        got(&[("a", &[0, 2]), ("b", &[1, 2]), ("c", &[0, 2])])
    );
}

#[test]
fn a_rule_may_send_a_change_back_to_the_node_that_brought_it_once() {
    let mut config = with(RuleKind::Default);
    config.trigger_routers[0].ping_back = true;
    let mut part = inserts(&["1", "2", "3"]);
    let path = |ids: &[&str]| ids.iter().map(|id| node_id(id)).collect::<Vec<_>>();
    part.rows.changes[0].path = path(&["b"]);
    // It was made at c; a brought it.
    part.rows.changes[1].path = path(&["c", "a"]);
    // It was sent back to a already.
    part.rows.changes[2].path = path(&["a", "s", "a"]);
    assert_eq!(
        outcome(&part, &config).0,
        got(&[("a", &[0, 1]), ("b", &[0, 1, 2]), ("c", &[0, 2])])
    );
}

#[test]
fn the_source_itself_is_no_target_not_even_of_a_rule_within_its_group() {
    let mut config = with(RuleKind::Default);
    config.trigger_routers[0].ping_back = true;
    link(&mut config, "from", "from");
    config.routers.get_mut("r").expect("router").target_group = group("from");
    assert_eq!(outcome(&inserts(&["1"]), &config), (Vec::new(), vec![0]));
}

const NODES: usize = 4;

fn name(index: usize) -> String {
    format!("n{index}")
}

/// Nodes `n0` to `n3`, each alone in a group of its name; each pair is a link with a rule that sends everything, and
/// whether it sends changes back.
fn network(links: &[(usize, usize, bool)]) -> Config {
    let mut network = config();
    for index in 0..NODES {
        let node = Node {
            node_id: node_id(&name(index)),
            group: group(&name(index)),
            external_id: ExternalId::new(name(index)).expect("id"),
            sync_enabled: true,
        };
        network.registered.insert(node.node_id.clone());
        network.nodes.insert(node.node_id.clone(), node);
    }
    for (source, target, ping_back) in links {
        link(&mut network, &name(*source), &name(*target));
        let rule = Router {
            source_group: group(&name(*source)),
            target_group: group(&name(*target)),
            ..router(&format!("{source} to {target}"), RuleKind::Default)
        };
        add(&mut network, rule);
        network.trigger_routers.last_mut().expect("a rule").ping_back = *ping_back;
    }
    network
}

/// The nodes that a change made at `n0` comes to, each with the way it came, where every node forwards all that it
/// gets. `None` when it does not end.
fn forwarded(network: &Config) -> Option<Vec<(NodeId, Vec<NodeId>)>> {
    let mut at = VecDeque::from([(node_id(&name(0)), Vec::new())]);
    let mut arrived = Vec::new();
    while let Some((source, path)) = at.pop_front() {
        let mut part = inserts(&["1"]);
        part.source_group = group(source.as_str());
        part.source = source.clone();
        part.rows.changes[0].path = path.clone();
        let way: Vec<NodeId> = path.into_iter().chain([source]).collect();
        for target in decide(&part, network).expect("decision").targets.into_keys() {
            arrived.push((target.clone(), way.clone()));
            at.push_back((target, way.clone()));
        }
        // Where every node sends to every other one, and back, it comes to 105.
        if arrived.len() > 200 {
            return None;
        }
    }
    Some(arrived)
}

fn reachable(links: &[(usize, usize, bool)]) -> BTreeSet<NodeId> {
    let mut reached = BTreeSet::from([0]);
    for _ in 0..NODES {
        let next: Vec<usize> = links
            .iter()
            .filter(|(source, ..)| reached.contains(source))
            .map(|(_, target, _)| *target)
            .collect();
        reached.extend(next);
    }
    reached.remove(&0);
    reached.into_iter().map(|index| node_id(&name(index))).collect()
}

proptest! {
    #[test]
    fn a_change_reaches_every_node_that_links_lead_to_and_ends(
        links in proptest::collection::btree_map((0..NODES, 0..NODES), any::<bool>(), 0..12),
        sends_back in any::<bool>(),
    ) {
        let links: Vec<(usize, usize, bool)> = links
            .into_iter()
            .filter(|((source, target), _)| source != target)
            .map(|((source, target), ping_back)| (source, target, ping_back && sends_back))
            .collect();
        let arrived = forwarded(&network(&links));
        prop_assert!(arrived.is_some(), "it goes round for ever");
        let arrived = arrived.unwrap_or_default();
        for (target, way) in &arrived {
            prop_assert!(sends_back || !way.contains(target), "{target} gets again what came by {way:?}");
            let before = way.iter().filter(|node| *node == target).count();
            prop_assert!(before <= 1, "{target} gets for the third time what came by {way:?}");
        }
        let mut reached: BTreeSet<NodeId> = arrived.into_iter().map(|(target, _)| target).collect();
        reached.remove(&node_id(&name(0)));
        prop_assert_eq!(reached, reachable(&links));
    }
}
