//! Who is believed about a slot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn address(port: u16) -> Address {
    Address { host: "10.0.0.1".into(), port }
}

/// Lines of CLUSTER NODES: port, flags, epoch, slots.
fn answer(from: u16, lines: &[(u16, &str, u64, &str)]) -> Answer {
    let line = |(port, flags, epoch, slots): &(u16, &str, u64, &str)| {
        let myself = if *port == from { "myself," } else { "" };
        format!("id{port} 10.0.0.1:{port}@1{port},name {myself}{flags} - 0 0 {epoch} connected {slots}\n")
    };
    Answer { from: address(from), text: lines.iter().map(line).collect() }
}

fn owner(table: &Table, slot: u16) -> Option<u16> {
    table.owner(slot).map(|owner| table.owners().nth(owner).unwrap().port)
}

fn learn(answers: &[Answer]) -> Table {
    Table::empty().learn(answers)
}

#[test]
fn slots_are_read_as_ranges_and_singles_without_those_on_their_way() {
    let table = learn(&[answer(1, &[(1, "master", 1, "0-5 7 100-16383 [9->-id2] [6-<-id2]")])]);
    assert_eq!(owner(&table, 0), Some(1));
    assert_eq!(owner(&table, 7), Some(1));
    assert_eq!(owner(&table, 16383), Some(1));
    assert_eq!(owner(&table, 6), None);
    assert_eq!(owner(&table, 9), None);
    assert_eq!(table.unserved(), (94 - 1, Some(6)));
}

#[test]
fn the_highest_epoch_wins_whoever_says_it_and_in_whatever_order() {
    let old = || answer(1, &[(1, "master", 1, "0-100"), (2, "master", 2, "101-200")]);
    let new = || answer(3, &[(1, "master,fail", 1, ""), (3, "master", 7, "0-100"), (2, "master", 2, "101-200")]);
    for answers in [[old(), new()], [new(), old()]] {
        let table = learn(&answers);
        assert_eq!((owner(&table, 50), owner(&table, 150)), (Some(3), Some(2)));
    }
}

#[test]
fn with_equal_epochs_the_owner_s_own_word_counts_before_hearsay() {
    let hearsay = || answer(2, &[(1, "master", 1, "0-10"), (2, "master", 2, "11-20")]);
    let own = || answer(3, &[(3, "master", 1, "0-10")]);
    for answers in [[hearsay(), own()], [own(), hearsay()]] {
        assert_eq!(owner(&learn(&answers), 5), Some(3));
    }
}

#[test]
fn a_minority_takes_no_slot_back() {
    let lines =
        |epoch, slots| [(1, "master", 1, ""), (2, "slave", 9, ""), (3, "master", epoch, slots), (4, "slave", 9, "")];
    let table = learn(&[answer(3, &lines(9, "0-100")), answer(2, &lines(9, "0-100"))]);
    assert_eq!(owner(&table, 50), Some(3));
    // Only the old master answers, which knows nothing of the election.
    let table = table.learn(&[answer(1, &[(1, "master", 1, "0-100")])]);
    assert_eq!(owner(&table, 50), Some(3));
    assert!(table.is_up(&address(1)) && !table.is_up(&address(3)));
    assert_eq!(table.members.len(), 4);
}

#[test]
fn a_majority_is_believed_also_with_lower_epochs_as_after_a_reset() {
    let table = learn(&[answer(1, &[(1, "master", 90, "0-100")])]);
    let table = table.learn(&[answer(1, &[(1, "master", 1, "0-50"), (2, "master", 2, "51-100")])]);
    assert_eq!((owner(&table, 50), owner(&table, 51)), (Some(1), Some(2)));
}

#[test]
fn a_node_is_up_when_it_answers_and_nobody_says_that_it_failed() {
    let table = learn(&[
        answer(1, &[(1, "master", 1, "0-9"), (2, "master,fail?", 2, "10-19"), (3, "slave", 1, "")]),
        answer(2, &[(1, "master", 1, "0-9"), (2, "master", 2, "10-19"), (3, "slave", 1, "")]),
    ]);
    assert!(table.is_up(&address(1)) && table.is_up(&address(2)) && !table.is_up(&address(3)));
    let failed = learn(&[
        answer(1, &[(1, "master", 1, "0-9"), (2, "master,fail", 2, "10-19")]),
        answer(2, &[(1, "master", 1, "0-9"), (2, "master", 2, "10-19")]),
    ]);
    assert!(!failed.is_up(&address(2)));
    assert_eq!(failed.unserved(), (16_384 - 10, Some(10)));
}

#[test]
fn a_node_that_does_not_know_its_address_has_the_one_it_was_asked_at() {
    let text = "id :7000@17000 myself,master - 0 0 0 connected 0-16383\n".to_owned();
    let table = learn(&[Answer { from: address(7000), text }]);
    assert_eq!(table.owners().collect::<Vec<_>>(), [&address(7000)]);
    assert!(table.is_up(&address(7000)));
}

#[test]
fn nodes_without_address_or_in_handshake_and_lines_that_make_no_sense_are_skipped() {
    let table = learn(&[
        answer(1, &[(1, "master", 1, "0-9"), (2, "master,noaddr", 2, "10-19"), (3, "handshake", 0, "20")]),
        Answer { from: address(4), text: "\nnonsense\na b c\nid 10.0.0.1:x@y master - 0 0 z connected 1-2\n".into() },
        answer(5, &[(5, "master", 3, "99-98 20000 70000-70001 x-y")]),
    ]);
    assert_eq!(table.owners().count(), 1);
    assert_eq!((owner(&table, 15), owner(&table, 20), owner(&table, 98)), (None, None, None));
}

#[test]
fn equal_knowledge_makes_equal_tables() {
    let one = answer(1, &[(1, "master", 1, "0-9"), (2, "master", 2, "10-19")]);
    let other = answer(2, &[(2, "master", 2, "10-19"), (1, "master", 1, "0-9")]);
    let (one, other) = (learn(&[one]), learn(&[other]));
    assert_eq!(one.slots, other.slots);
    assert_eq!(one.owners, other.owners);
}
