//! Random configurations and histories of writes, judged by plain SQL.
//!
//! `SYM_TEST_SEED=…` replays a seed, `SYM_TEST_SEEDS=n` runs n random ones.

mod choices;
mod configuration;
mod disturb;
mod generate;
mod history;
mod judge;
mod judged;
mod oracle;
mod phases;
mod plan;
mod rules;
mod run;
mod selection;
mod statements;
mod table;
mod write;

use rand::SeedableRng;
use rand::rngs::StdRng;

/// A number in an environment variable.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

async fn run_seed(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let plans = generate::plans(&mut rng);
    let history = phases::history(&plans, &mut rng);
    run::run(seed, &plans, &history).await;
}

#[tokio::test]
async fn every_node_holds_what_random_rules_select() {
    if let Some(seed) = number("SYM_TEST_SEED") {
        return run_seed(seed).await;
    }
    let mut failed = Vec::new();
    for _ in 0..number("SYM_TEST_SEEDS").unwrap_or(1) {
        let seed = rand::random::<u64>() % 1_000_000;
        // A panic ends its own seed only.
        if tokio::spawn(run_seed(seed)).await.is_err() {
            failed.push(format!("SYM_TEST_SEED={seed}"));
        }
    }
    assert!(failed.is_empty(), "failed: {}", failed.join(" "));
}

#[tokio::test]
async fn rows_that_go_round_a_ring_of_four_nodes_are_where_they_belong() {
    run_seed(1).await;
}

#[tokio::test]
async fn rows_are_where_they_belong_when_rules_change_and_nodes_miss_some() {
    run_seed(2).await;
}

#[tokio::test]
async fn rows_that_come_back_with_other_owners_are_where_they_belong() {
    run_seed(3).await;
}

#[tokio::test]
async fn rows_that_are_written_at_one_node_and_then_at_another_are_where_they_belong() {
    run_seed(7).await;
}
