//! Options that can be told apart, and those that a codec of one's own writes.

use amiko_core::prelude::*;
use amiko_core::serializable::Codec;
use amiko_core::{ReadError, Reader, WriteError, Writer};

struct Twice;

impl Codec<Option<Option<u64>>> for Twice {
    fn write(&self, value: &Option<Option<u64>>, out: &mut Writer) -> Result<(), WriteError> {
        out.text(&format!("{value:?}"));
        Ok(())
    }

    fn read(&self, input: &mut Reader<'_>) -> Result<Option<Option<u64>>, ReadError> {
        Ok(match &*input.text()? {
            "None" => None,
            _ => Some(None),
        })
    }
}

#[derive(Serializable)]
struct Account {
    lists: Option<Vec<Option<u64>>>,
    pair: Option<(Option<u64>, ())>,
    #[amiko(with = Twice)]
    limit: Option<Option<u64>>,
    #[amiko(skip)]
    seen: Option<()>,
}

fn main() {
    let account = Account { lists: Some(vec![None]), pair: Some((None, ())), limit: Some(None), seen: Some(()) };
    let text = to_json(&account).unwrap();
    assert_eq!(text, r#"{"_class":"Account","lists":[null],"pair":[null,null],"limit":"Some(None)"}"#);
    let read: Account = from_json(&text).unwrap();
    assert_eq!((read.lists, read.pair, read.limit, read.seen), (Some(vec![None]), Some((None, ())), Some(None), None));
}
