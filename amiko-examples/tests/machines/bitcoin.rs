//! Bitcoin: which addresses and transactions are taken, and the IDs of transactions.

use amiko_examples::payment::{PayoutAddress, RawTransaction};

/// A P2PKH address.
pub(crate) const ADDRESS: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
/// The first transaction that there was.
pub(crate) const TRANSACTION: &str = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000";
pub(crate) const TRANSACTION_ID: &str = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";

fn id(text: &str) -> Result<String, String> {
    text.parse::<RawTransaction>().map(|transaction| transaction.id()).map_err(|error| error.to_string())
}

#[test]
fn an_address_is_the_hash_of_a_key_with_its_checksum() {
    // Of the main network, and of a test network.
    for good in [ADDRESS, "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"] {
        assert_eq!(good.parse::<PayoutAddress>().unwrap().to_string(), good);
    }
    let long = "1".repeat(36);
    for (bad, found) in [
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "one with a wrong character in it"),
        ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "one of the kind P2SH"),
        // Letters that Base58 doesn't have, another encoding, and nothing.
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7Div0OI", r#""1A1zP1eP5QGefi2DMPTfTL5SLmv7Div0OI""#),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c", r#""bc1qw508d6qejxtdg4y5r3zarvary0c""#),
        ("", r#""""#),
        (&long, "a longer text"),
    ] {
        let refused = bad.parse::<PayoutAddress>().unwrap_err().to_string();
        let expected = "expected a Bitcoin address of the kind P2PKH, which begins with 1, m or n";
        assert_eq!(refused, format!("{expected}, found {found}"));
    }
}

/// A transaction of one input and one output, with these scripts' lengths, as bytes in hex.
fn body(script: &str) -> String {
    format!("01{}00ffffffff01{}{script}", "11".repeat(36), "e803000000000000")
}

#[test]
fn the_id_of_a_transaction_is_the_hash_without_its_witnesses() {
    assert_eq!(id(TRANSACTION).as_deref(), Ok(TRANSACTION_ID));
    assert_eq!(id(&TRANSACTION.to_uppercase()).as_deref(), Ok(TRANSACTION_ID));
    assert_eq!(TRANSACTION.parse::<RawTransaction>().unwrap().to_string(), TRANSACTION);
    let plain = format!("02000000{}07000000", body("0151"));
    let witnesses = format!("020000000001{}{}07000000", body("0151"), "0203aabbcc00");
    assert_eq!(id(&plain), id(&witnesses));
    assert_ne!(id(&plain), id(&plain.replace("07000000", "08000000")));
}

#[test]
fn what_is_no_transaction_is_refused() {
    let refused = |text: &str| id(text).unwrap_err();
    let expected = |found: &str| format!("expected a raw transaction of Bitcoin, found {found}");
    for bad in ["xyz", "0", "0x01000000", "01 00"] {
        assert_eq!(refused(bad), expected("a text that isn't in hex"));
    }
    // Wherever it breaks off, and however many it says there are.
    for length in (0..TRANSACTION.len()).step_by(2) {
        assert_eq!(refused(&TRANSACTION[..length]), expected("one that breaks off"), "{length}");
    }
    let many = format!("02000000ff{}{}", "ff".repeat(8), "11".repeat(100));
    assert_eq!(refused(&many), expected("one that breaks off"));
    assert_eq!(refused(&format!("{TRANSACTION}00")), expected("1 bytes behind its end"));
    assert_eq!(refused("02000000000000000000"), expected("one without inputs"));
    let nothing = format!("0200000001{}00ffffffff0000000000", "11".repeat(36));
    assert_eq!(refused(&nothing), expected("one without inputs or outputs"));
    let long_form = format!("02000000{}07000000", body("fd010051"));
    assert_eq!(refused(&long_form), expected("one with a number that isn't in its shortest form"));
}

#[test]
fn a_transaction_has_at_most_30_000_bytes() {
    let of = |script: usize| {
        let length: [u8; 2] = u16::try_from(script).unwrap().to_le_bytes();
        format!("02000000{}07000000", body(&format!("fd{}{}", hex::encode(length), "51".repeat(script))))
    };
    let rest = of(1_000).len() / 2 - 1_000;
    let most = RawTransaction::MAX_BYTES;
    assert_eq!(most, 30_000);
    assert!(id(&of(most - rest)).is_ok());
    let found = "found 60002 hex digits, where 60000 are allowed";
    assert_eq!(id(&of(most - rest + 1)), Err(format!("expected a raw transaction of Bitcoin, {found}")));
}
