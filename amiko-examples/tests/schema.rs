//! The state of the payment node, locked: a change of a class that old files wouldn't survive doesn't go unnoticed.

use amiko_core::serializable::schema;
use amiko_examples::payment::PaymentNode;

#[test]
fn old_files_still_open() {
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.lock");
    if let Err(told) = schema::check::<PaymentNode>(lock) {
        panic!("{told}");
    }
}
