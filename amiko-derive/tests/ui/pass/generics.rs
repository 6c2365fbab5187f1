//! Classes with parameters: what the fields need is asked for, and nothing else.

use amiko_core::prelude::*;
use std::collections::BTreeMap;
use std::marker::PhantomData;

#[derive(Debug, Clone, PartialEq, Serializable)]
struct Pair<A, B = u8>
where
    B: Clone,
{
    a: A,
    b: Vec<BTreeMap<String, Option<B>>>,
}

#[derive(Debug, Clone, PartialEq, Serializable)]
enum Either<A, const N: usize> {
    Left { value: A },
    Right([u8; N]),
}

// Not serializable itself: only a name for one kind of things.
#[derive(Debug, Clone, PartialEq)]
struct Marker;

#[derive(Debug, Clone, PartialEq, Serializable)]
struct Marked<T> {
    value: u64,
    #[amiko(skip)]
    marker: PhantomData<T>,
}

fn main() {
    let pair = Pair { a: Either::<u8, 2>::Right([1, 2]), b: vec![BTreeMap::from([("k".to_owned(), Some(7u8))])] };
    let text = to_json(&pair).unwrap();
    assert_eq!(text, r#"{"_class":"Pair","a":{"_class":"Right","0":"!x0102"},"b":[{"k":7}]}"#);
    assert_eq!(from_json::<Pair<Either<u8, 2>>>(&text).unwrap(), pair);
    let left: Either<Secret<String>, 0> = Either::Left { value: Secret::new("s".into()) };
    assert_eq!(to_json(&left).unwrap(), r#"{"_class":"Left","value":"s"}"#);
    let marked = Marked::<Marker> { value: 1, marker: PhantomData };
    assert_eq!(from_json::<Marked<Marker>>(&to_json(&marked).unwrap()).unwrap(), marked);
}
