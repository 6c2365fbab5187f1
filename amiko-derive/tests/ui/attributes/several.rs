// All at once, so that nobody repairs one only to be told of the next.
use amiko_core::prelude::*;

#[derive(Serializable)]
#[amiko(colour = "red", kind = "account", class)]
struct Account<'a> {
    #[amiko(optional)]
    name: &'a str,
    #[amiko(secret)]
    pin: u64,
    #[amiko(rename = "pin")]
    other: u64,
}

#[derive(Serializable)]
enum Message {
    #[amiko(rename = "Same", old)]
    One,
    #[amiko(rename = "Same")]
    Two {
        #[amiko(skip, rename = "x")]
        field: u64,
    },
}

fn main() {}
