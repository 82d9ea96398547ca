//! Random writes at all levels, loads of regions and shops on the way, kills: all databases end equal.

use super::world::{REGIONS, SHOPS, World, above};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use std::time::Duration;
use symstream_tests::family::{Sizes, Writes, fill};
use symstream_tests::seeds::run_seeds;
use symstream_tests::writer::Writer;

/// What each pool has at the beginning; there are as many pools as nodes.
const SIZES: Sizes = Sizes {
    plain: 200,
    families: 60,
};
const PACE: Duration = Duration::from_millis(50);
const PHASES: usize = 2;
/// Loads and kills of a phase.
const EVENTS: std::ops::RangeInclusive<usize> = 2..=4;

impl World {
    /// Lets nodes write, each the pool that is its own now.
    fn write(&self, seed: u64, owners: impl IntoIterator<Item = (usize, u32)>) -> Vec<Writer> {
        let writer = |(node, pool): (usize, u32)| {
            let mut writes = Writes::new(seed, pool, SIZES.families);
            Writer::start_making(&self.sites[node].database, PACE, move || writes.transaction())
        };
        owners.into_iter().map(writer).collect()
    }

    /// Regions and then shops are registered and loaded while the cloud writes everything.
    async fn comes_up(&mut self, seed: u64) {
        let pools = 0..self.sites.len() as u32;
        for pool in pools.clone() {
            fill(&self.sites[0].database, pool, SIZES).await;
        }
        self.run(0);
        let writers = self.write(seed, pools.map(|pool| (0, pool)));
        for level in [REGIONS, SHOPS] {
            for index in level.clone() {
                self.run(index);
            }
            for index in level.clone() {
                self.registered(index).await;
                self.reload(index).await;
            }
            for index in level {
                self.loaded(index).await;
            }
        }
        let rows = self.converges(writers).await;
        eprintln!("SYM_TEST_SEED={seed}: {rows} rows at each node after the first loads");
    }

    /// Every pool is written at one node; some nodes are loaded anew or killed meanwhile.
    async fn phase(&mut self, seed: u64, rng: &mut StdRng) {
        let mut nodes: Vec<usize> = (0..self.sites.len()).collect();
        nodes.shuffle(rng);
        // What a region is loaded with goes on to its shops as it was read: they do not write what it may bring back.
        let reloaded = REGIONS.start + rng.random_range(0..=REGIONS.len());
        let owners = nodes.iter().copied().zip(0..);
        let owners = owners.filter(|(node, _)| !SHOPS.contains(node) || above(*node) != reloaded);
        let writers = self.write(rng.random(), owners);
        if REGIONS.contains(&reloaded) {
            eprintln!("SYM_TEST_SEED={seed}: {} is loaded", self.sites[reloaded].id());
            self.reload(reloaded).await;
        }
        for _ in 0..rng.random_range(EVENTS) {
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..1000))).await;
            let index = rng.random_range(0..self.sites.len());
            let id = self.sites[index].id().to_owned();
            if SHOPS.contains(&index) && rng.random_bool(0.5) {
                eprintln!("SYM_TEST_SEED={seed}: {id} is loaded");
                self.reload(index).await;
            } else {
                eprintln!("SYM_TEST_SEED={seed}: {id} is killed");
                self.kill(index);
                tokio::time::sleep(Duration::from_millis(rng.random_range(0..1000))).await;
                self.run(index);
            }
        }
        for writer in &writers {
            writer.advance(5).await;
        }
        let rows = self.converges(writers).await;
        eprintln!("SYM_TEST_SEED={seed}: {rows} rows at each node");
    }
}

async fn converges(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::new().await;
    world.comes_up(seed).await;
    for _ in 0..PHASES {
        world.phase(seed, &mut rng).await;
    }
    world.stop().await;
}

#[tokio::test]
#[ignore = "one run ended equal after 87 s, another was cut after 200 s on a busy machine: not understood yet"]
async fn three_tiers_of_all_dialects_converge_after_random_writes() {
    run_seeds(1, converges).await;
}
