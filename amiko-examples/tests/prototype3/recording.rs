//! Conversations of prototype nodes: each line that one of them has received, in the order in which they were.

use serde_json::Value;
use std::collections::BTreeMap;

/// One end of a connection: the node, and what it calls the connection.
pub(crate) type End = (String, String);

pub(crate) struct Line {
    pub(crate) from: End,
    pub(crate) to: End,
    /// As it was on the wire, without its end.
    pub(crate) text: String,
}

impl Line {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The message, where it is one.
    pub(crate) fn message(&self) -> Value {
        self.json()["message"].clone()
    }

    pub(crate) fn class(&self) -> String {
        self.message()["_class"].as_str().unwrap_or_default().to_owned()
    }
}

/// A recording, of nodes that listened on these ports.
pub(crate) fn read(name: &str, ports: &[(&str, u16)]) -> Vec<Line> {
    let path = format!("{}/tests/prototype3/recordings/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let string = |value: &Value| value.as_str().unwrap().to_owned();
    // Who pays calls the connection so, and says it to nobody.
    let payer = lines.iter().find(|line| line["connection"] == "__payer__").map(|line| string(&line["receiver"]));
    let mut ends: BTreeMap<End, End> = BTreeMap::new();
    let mut read = Vec::new();
    for line in &lines {
        let (receiver, text) = (string(&line["receiver"]), string(&line["line"]));
        let to = match &line["connection"] {
            Value::Null => {
                let json: Value = serde_json::from_str(&text).unwrap();
                let hello = &json["message"];
                let to = (receiver, string(&hello["ID"]));
                let from = if hello["_class"] == "Pay" {
                    (payer.clone().unwrap(), "__payer__".to_owned())
                } else {
                    let dialler = ports.iter().find(|(_, port)| hello["callbackPort"] == *port).unwrap().0;
                    (dialler.to_owned(), string(&hello["callbackID"]))
                };
                ends.insert(to.clone(), from.clone());
                ends.insert(from, to.clone());
                to
            }
            connection => (receiver, string(connection)),
        };
        read.push(Line { from: ends[&to].clone(), to, text });
    }
    read
}
