//! `symadmin decode`

use crate::failure::Failure;
use crate::listing::print_json;
use serde_json::{Value, json};
use symstream_shared::cell::Cell;
use symstream_shared::wire::{Fragment, GroupMessage, Message, RegistrationReply, Rows};

pub(super) fn run(bytes: &[u8]) -> Result<(), Failure> {
    // Answers of JetStream itself, and requests without arguments, have no body.
    if bytes.is_empty() {
        print_json(&Value::Null);
        return Ok(());
    }
    let message = Message::decode(bytes).map_err(|err| Failure::Failed(format!("stdin: {err}")))?;
    print_json(&readable(message)?);
    Ok(())
}

/// A message as JSON: binary data as hexadecimal digits, passwords left out.
fn readable(mut message: Message) -> Result<Value, Failure> {
    match &mut message {
        Message::Captured(part) => rows(&mut part.rows),
        Message::Lane(part) => rows(&mut part.rows),
        Message::Register(request) => {
            hide(&mut request.password);
            request.secret.iter_mut().for_each(hide);
        }
        Message::Registered(RegistrationReply::Granted { password, .. }) => hide(password),
        Message::Fragment(fragment) => {
            let Fragment { number, count, bytes } = fragment;
            return Ok(
                json!({"Fragment": {"number": number, "count": count, "bytes": hexadecimal(&bytes.0)}}),
            );
        }
        Message::Group(GroupMessage {
            group,
            audience,
            content,
        }) => {
            let content = readable(std::mem::replace(&mut **content, Message::LanesFreed))?;
            return Ok(json!({"Group": {"group": group, "audience": audience, "content": content}}));
        }
        Message::Registered(RegistrationReply::Refused { .. } | RegistrationReply::Redirected { .. })
        | Message::Routed(_)
        | Message::Status(_)
        | Message::Configuration(_)
        | Message::Heartbeat(_)
        | Message::HeartbeatRecorded
        | Message::FreeLanes(_)
        | Message::LanesFreed
        | Message::LanesEnd(_)
        | Message::GroupTails(_) => {}
    }
    serde_json::to_value(message)
        .map_err(|err| Failure::Failed(format!("the message has no form in JSON: {err}")))
}

/// Puts text where JSON has nothing for a value.
fn rows(rows: &mut Rows) {
    for change in &mut rows.changes {
        for cell in change.new.iter_mut().chain(&mut change.old).flatten() {
            match cell {
                Cell::Bytes(bytes) => *cell = Cell::Text(hexadecimal(bytes)),
                Cell::Real(number) if !number.is_finite() => *cell = Cell::Text(number.to_string()),
                Cell::Null | Cell::Text(_) | Cell::Int(_) | Cell::Real(_) => {}
            }
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

fn hide(password: &mut String) {
    "***".clone_into(password);
}

#[cfg(test)]
mod tests {
    use super::*;
    use symstream_shared::id::{ChannelId, ExternalId, GroupId, NodeId};
    use symstream_shared::wire::{Change, FragmentBytes, LanePart, Operation, RegistrationRequest};

    #[test]
    fn binary_cells_are_hexadecimal() {
        let change = Change {
            data_id: 1,
            table: 0,
            operation: Operation::Update,
            new: Some(vec![
                Cell::Bytes(vec![0, 255]),
                Cell::Text("a".into()),
                Cell::Null,
                Cell::Int(-1),
            ]),
            old: Some(vec![
                Cell::Bytes(vec![]),
                Cell::Real(0.5),
                Cell::Real(f64::INFINITY),
                Cell::Null,
            ]),
            path: Vec::new(),
        };
        let lane = LanePart {
            load: None,
            after_load: None,
            broadcast: false,
            source: NodeId::new("a").expect("id"),
            target: NodeId::new("b").expect("id"),
            channel: ChannelId::reload(),
            batch_id: 7,
            previous_batch_id: 0,
            part: 1,
            part_last: 1,
            parts: vec![1],
            change_count: 1,
            rows: Rows {
                tables: vec![],
                changes: vec![change],
            },
            statement: None,
        };
        let value = readable(Message::Lane(lane)).expect("readable");
        let change = &value["Lane"]["rows"]["changes"][0];
        assert_eq!(change["new"], serde_json::json!(["0x00ff", "a", null, -1]));
        assert_eq!(change["old"], serde_json::json!(["0x", 0.5, "inf", null]));
        assert_eq!(value["Lane"]["parts"], serde_json::json!([1]));
    }

    #[test]
    fn a_fragment_shows_its_bytes() {
        let fragment = Fragment {
            number: 1,
            count: 2,
            bytes: FragmentBytes(vec![1, 254]),
        };
        let value = readable(Message::Fragment(fragment)).expect("readable");
        assert_eq!(
            value,
            json!({"Fragment": {"number": 1, "count": 2, "bytes": "0x01fe"}})
        );
    }

    #[test]
    fn a_password_is_never_shown() {
        let request = RegistrationRequest {
            secret: Some("one-time".into()),
            via: None,
            group: GroupId::new("local").expect("id"),
            external_id: ExternalId::new("1").expect("id"),
            password: "lasting".into(),
            database_type: String::new(),
            database_version: String::new(),
            symmetric_version: String::new(),
            sync_url: String::new(),
        };
        let value = readable(Message::Register(request))
            .expect("readable")
            .to_string();
        assert!(
            !value.contains("lasting") && !value.contains("one-time"),
            "{value}"
        );
    }
}
