//! The bus against a real nats-server.

mod captured;
mod control;
mod free;
mod groups;
mod lanes;

use std::time::Duration;
use symstream_nats::{BatchType, Bus, LaneConsumer, PartHeader};
use symstream_shared::db::ConnectOptions;
use symstream_shared::engine::{Engine, NatsOptions, Settings};
use symstream_shared::id::{ChannelId, EngineName, ExternalId, GroupId, NodeId};
use symstream_shared::model::LinkAction;
use symstream_tests::server::NatsServer;

const PATIENCE: Duration = Duration::from_secs(20);

struct Fixture {
    server: NatsServer,
    bus: Bus,
}

async fn fixture() -> Fixture {
    let server = NatsServer::start().await;
    let engine = Engine {
        name: EngineName::new("e").expect("name"),
        group: GroupId::new("g").expect("id"),
        external_id: ExternalId::new("x").expect("id"),
        db: ConnectOptions {
            url: String::from("sqlite://unused").into(),
            user: None,
            password: None,
            init_sql: None,
        },
        registration_url: None,
        registration_secret: Default::default(),
        nats: NatsOptions {
            urls: vec![server.url()],
            ..NatsOptions::default()
        },
        table_prefix: "sym".into(),
        settings: Settings::default(),
    };
    let bus = Bus::connect(&engine, "test").await.expect("connect");
    bus.ensure_streams().await.expect("streams");
    Fixture { server, bus }
}

fn source() -> NodeId {
    NodeId::new("source.1").expect("id")
}

fn target() -> NodeId {
    NodeId::new("target").expect("id")
}

fn channel() -> ChannelId {
    ChannelId::new("sale").expect("id")
}

fn lane(action: LinkAction, max_ack_pending: u64) -> LaneConsumer {
    LaneConsumer {
        channel: channel(),
        action,
        max_ack_pending,
    }
}

fn header(batch_id: i64, part: u32, part_last: u32) -> PartHeader {
    PartHeader {
        source: source(),
        target: Some(target()),
        channel: channel(),
        batch_id,
        previous_batch_id: Some(batch_id - 1),
        batch_type: BatchType::Event,
        rows: 1,
        part,
        part_last,
        configuration_version: 1,
        time_ms: 0,
        load_id: None,
        group: None,
    }
}
