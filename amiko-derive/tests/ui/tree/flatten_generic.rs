use amiko_core::prelude::*;

#[derive(Serializable)]
struct Inner {
    value: u64,
}

#[derive(Serializable)]
struct Outer<T> {
    #[amiko(flatten)]
    inner: T,
    value: u64,
}

fn main() {
    let _ = to_json(&Outer { inner: Inner { value: 1 }, value: 2 });
    let _ = from_json::<Outer<Inner>>("{}");
}
