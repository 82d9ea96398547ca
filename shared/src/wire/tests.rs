use super::*;
use crate::cell::Cell;
use crate::id::{ChannelId, GroupId, NodeId};
use proptest::prelude::*;

fn part(text: String) -> Message {
    Message::Captured(Part {
        absent: Vec::new(),
        loading: Vec::new(),
        source: NodeId::new("s").expect("id"),
        source_group: GroupId::new("g").expect("id"),
        channel: ChannelId::new("c").expect("id"),
        batch_id: 7,
        configuration_version: 1,
        created_ms: 0,
        targets: Vec::new(),
        rows: Rows {
            tables: vec![],
            changes: vec![Change {
                data_id: 1,
                table: 0,
                operation: Operation::Insert,
                new: Some(vec![Cell::Text(text), Cell::Null, Cell::Bytes(vec![1])]),
                old: None,
                path: Vec::new(),
            }],
        },
        answers: vec![],
        load: None,
        request: None,
    })
}

#[test]
fn a_message_larger_than_the_limit_goes_in_fragments_and_comes_back_whole() {
    let mut state = 1_u64;
    let noise: String = (0..200_000)
        .map(|_| {
            // An xorshift generator: text that does not compress.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b' ' + (state % 95) as u8)
        })
        .collect();
    let message = part(noise);
    let bodies = message.encode_within(10_000).expect("encode");
    assert!(bodies.len() > 3, "{} fragments", bodies.len());
    let mut assembler = Assembler::default();
    let mut whole = None;
    for body in &bodies {
        assert!(body.len() < 10_200);
        assert!(whole.is_none());
        whole = assembler
            .push(Message::decode(body).expect("decode"))
            .expect("in order");
    }
    assert_eq!(whole, Some(message));
}

#[test]
fn a_missing_fragment_is_noticed() {
    let bodies = part("x".repeat(10) + &format!("{:?}", (0..9000).map(|n| n * n).collect::<Vec<i32>>()))
        .encode_within(1000)
        .expect("encode");
    let mut assembler = Assembler::default();
    assembler
        .push(Message::decode(&bodies[0]).expect("decode"))
        .expect("first");
    assert!(
        assembler
            .push(Message::decode(&bodies[2]).expect("decode"))
            .is_err()
    );
}

proptest! {
    #[test]
    fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Message::decode(&bytes).is_err());
    }
}
