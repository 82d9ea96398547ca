//! `symadmin decode`

use crate::failure::Failure;
use crate::listing::print_json;
use serde_json::Value;
use symstream_shared::wire::Message;

pub(super) fn run(bytes: &[u8]) -> Result<(), Failure> {
    // Answers of JetStream itself, and requests without arguments, have no body.
    if bytes.is_empty() {
        print_json(&Value::Null);
        return Ok(());
    }
    let message = Message::decode(bytes).map_err(|err| Failure::Failed(format!("stdin: {err}")))?;
    print_json(&readable(&message)?);
    Ok(())
}

/// A message as JSON: binary data as hexadecimal digits, passwords left out.
fn readable(message: &Message) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(message)
        .map_err(|err| Failure::Failed(format!("the message has no form in JSON: {err}")))?;
    match message {
        Message::Captured(_) => rows(&mut value["Captured"]["rows"]),
        Message::Lane(_) => rows(&mut value["Lane"]["rows"]),
        Message::Fragment(_) => bytes(&mut value["Fragment"]["bytes"]),
        Message::Register(_) => hide(&mut value["Register"]),
        Message::Registered(_) => hide(&mut value["Registered"]["Granted"]),
        Message::Routed(_) | Message::Status(_) | Message::Configuration(_) => {}
    }
    Ok(value)
}

/// In rows, only binary cells are arrays.
fn rows(rows: &mut Value) {
    for change in rows["changes"].as_array_mut().into_iter().flatten() {
        for row in ["new", "old"] {
            change[row].as_array_mut().into_iter().flatten().for_each(bytes);
        }
    }
}

fn bytes(value: &mut Value) {
    if let Some(numbers) = value.as_array() {
        let digits: String = numbers
            .iter()
            .map(|byte| format!("{:02x}", byte.as_u64().unwrap_or(0)))
            .collect();
        *value = Value::String(format!("0x{digits}"));
    }
}

fn hide(value: &mut Value) {
    if let Some(password) = value.get_mut("password") {
        *password = Value::String("***".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symstream_shared::cell::Cell;
    use symstream_shared::id::{ChannelId, ExternalId, GroupId, NodeId};
    use symstream_shared::wire::{Change, LanePart, Operation, RegistrationRequest, Rows};

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
            old: Some(vec![Cell::Bytes(vec![]), Cell::Real(0.5), Cell::Null, Cell::Null]),
            origin: None,
        };
        let lane = LanePart {
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
        };
        let value = readable(&Message::Lane(lane)).expect("readable");
        let change = &value["Lane"]["rows"]["changes"][0];
        assert_eq!(change["new"], serde_json::json!(["0x00ff", "a", null, -1]));
        assert_eq!(change["old"], serde_json::json!(["0x", 0.5, null, null]));
        assert_eq!(value["Lane"]["parts"], serde_json::json!([1]));
    }

    #[test]
    fn a_password_is_never_shown() {
        let request = RegistrationRequest {
            group: GroupId::new("local").expect("id"),
            external_id: ExternalId::new("1").expect("id"),
            password: "secret".into(),
            database_type: String::new(),
            database_version: String::new(),
            symmetric_version: String::new(),
            sync_url: String::new(),
        };
        let value = readable(&Message::Register(request)).expect("readable");
        assert!(!value.to_string().contains("secret"), "{value}");
    }
}
