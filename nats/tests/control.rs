//! Configuration, registration, signs of life, connections.

use crate::{Fixture, PATIENCE, fixture, source};
use symstream_nats::BusError;
use symstream_shared::id::{EngineName, ExternalId, GroupId};
use symstream_shared::wire::{Configuration, Heartbeat, Message, RegistrationReply, RegistrationRequest};

#[tokio::test]
async fn configurations_are_kept_by_version_and_the_latest_is_found() {
    let Fixture { server: _server, bus } = fixture().await;
    let server = EngineName::new("cloud-1").expect("name");
    assert_eq!(bus.latest_configuration(&server).await.expect("none"), None);
    let mut changes = bus.configuration_changes(&server).await.expect("subscribe");
    bus.flush().await.expect("flush");
    for version in 1..=3 {
        bus.publish_configuration(
            &server,
            &Configuration {
                version,
                tables: vec![],
            },
        )
        .await
        .expect("publish");
        tokio::time::timeout(PATIENCE, changes.next())
            .await
            .expect("in time")
            .expect("notified");
    }
    let latest = bus
        .latest_configuration(&server)
        .await
        .expect("latest")
        .expect("some");
    assert_eq!(latest.version, 3);
    let second = bus
        .configuration(&server, 2)
        .await
        .expect("second")
        .expect("some");
    assert_eq!(second.version, 2);
    assert_eq!(bus.configuration(&server, 9).await.expect("none"), None);
}

#[tokio::test]
async fn a_registration_is_answered_or_nobody_is_there() {
    let Fixture { server: _server, bus } = fixture().await;
    let server = EngineName::new("cloud-1").expect("name");
    let request = RegistrationRequest {
        secret: None,
        via: None,
        group: GroupId::new("local").expect("id"),
        external_id: ExternalId::new("x").expect("id"),
        password: "p".into(),
        database_type: "SQLite".into(),
        database_version: "3".into(),
        symmetric_version: "0".into(),
        sync_url: "nats://x/y".into(),
    };
    let nobody = bus.register(&server, &request).await;
    assert!(matches!(nobody, Err(BusError::Unreachable { .. })), "{nobody:?}");
    let mut calls = bus.registrations(&server).await.expect("serve");
    bus.flush().await.expect("flush");
    tokio::spawn(async move {
        let call = calls.next().await.expect("request");
        call.respond(RegistrationReply::Refused {
            reason: call.request.group.to_string(),
        })
        .await
        .expect("answer");
    });
    let reply = bus.register(&server, &request).await.expect("answer");
    assert_eq!(
        reply,
        RegistrationReply::Refused {
            reason: "local".into()
        }
    );
}

fn heartbeat() -> Heartbeat {
    Heartbeat {
        node: source(),
        time_ms: 1_732_237_261_007,
        timezone_offset: "+01:00".into(),
        sync_url: "nats://x/y".into(),
        schema_version: None,
        symmetric_version: "0".into(),
        database_type: "SQLite".into(),
        database_version: "3".into(),
    }
}

#[tokio::test]
async fn a_heartbeat_is_answered_once_it_is_recorded() {
    let Fixture { server: _server, bus } = fixture().await;
    let server = EngineName::new("cloud-1").expect("name");
    let heartbeat = heartbeat();
    let nobody = bus.heartbeat(&server, &heartbeat).await;
    assert!(matches!(nobody, Err(BusError::Unreachable { .. })), "{nobody:?}");
    let mut calls = bus.heartbeats(&server).await.expect("serve");
    bus.flush().await.expect("flush");
    let recorder = tokio::spawn(async move {
        let call = calls.next().await.expect("a heartbeat");
        call.recorded().await.expect("answer");
        call.heartbeat
    });
    bus.heartbeat(&server, &heartbeat).await.expect("recorded");
    assert_eq!(recorder.await.expect("recorder"), heartbeat);
}

#[tokio::test]
async fn a_heartbeat_of_another_node_is_passed_over() {
    let Fixture { server: nats, bus } = fixture().await;
    let server = EngineName::new("cloud-1").expect("name");
    let mut calls = bus.heartbeats(&server).await.expect("serve");
    bus.flush().await.expect("flush");
    let client = async_nats::connect(nats.url()).await.expect("connect");
    let body = Message::Heartbeat(heartbeat()).encode().expect("encode");
    for (sender, body) in [("source", body.clone()), ("x=source=2E1", body)] {
        let subject = format!("sym.ctl.cloud-1.heartbeat.{sender}");
        client
            .publish_with_reply(subject, "nobody", body.into())
            .await
            .expect("publish");
    }
    client.flush().await.expect("flush");
    let mine = Heartbeat {
        time_ms: 1,
        ..heartbeat()
    };
    let asking = tokio::spawn({
        let (bus, mine) = (bus.clone(), mine.clone());
        async move { bus.heartbeat(&server, &mine).await }
    });
    let call = tokio::time::timeout(PATIENCE, calls.next())
        .await
        .expect("in time")
        .expect("a heartbeat");
    assert_eq!(call.heartbeat, mine);
    call.recorded().await.expect("answer");
    asking.await.expect("task").expect("recorded");
}

#[tokio::test]
async fn every_new_connection_is_told() {
    let Fixture { mut server, bus } = fixture().await;
    let mut connections = bus.connections();
    let first = *connections
        .wait_for(|connections| *connections > 0)
        .await
        .expect("the bus");
    assert_eq!(first, 1);
    server.kill();
    server.start_again().await;
    tokio::time::timeout(PATIENCE, connections.wait_for(|connections| *connections > first))
        .await
        .expect("in time")
        .expect("the bus");
}
