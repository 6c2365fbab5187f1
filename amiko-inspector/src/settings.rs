//! The settings of an inspector, and every limit.
//!
//! Invariant: whoever doesn't know the token sees nothing of the node.

use std::fmt;
use std::path::PathBuf;
use subtle::ConstantTimeEq;

/// What a browser has to know: it is a part of the address behind `#`, which browsers keep to themselves.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Hides it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// A new one, of 128 random bits.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self(hex::encode(bytes)))
    }

    /// Its text.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares without telling by the time that it takes how much is right.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

/// The settings of an inspector.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// What a browser has to know.
    pub token: Token,
    /// The state directory of the node, if it has one: then its past is shown too, as far back as it is kept.
    pub directory: Option<PathBuf>,
    /// Where the router is nested, as `/inspector`; empty at the root.
    pub base: String,
    /// Names, besides those of the loopback, by which a browser may ask for it: `Host` and `Origin` have to be one of them.
    /// Default: none.
    pub hosts: Vec<String>,
    /// Memory for events and for what they changed, in bytes, after compression; older ones aren't shown. Default 64 MiB.
    pub history: usize,
    /// Pages that are made at the same time; a browser that asks for more waits. Default 4.
    pub pages: usize,
    /// Browsers that follow the node at the same time; another is told to come back later. Default 16.
    pub followers: usize,
}

impl Settings {
    /// The defaults, with a new token.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            token: Token::random()?,
            directory: None,
            base: String::new(),
            hosts: Vec::new(),
            history: 64 << 20,
            pages: 4,
            followers: 16,
        })
    }

    /// The address for a browser, of an inspector that is served at this origin, as `http://127.0.0.1:8080`.
    pub fn url(&self, origin: &str) -> String {
        format!("{}{}/#{}", origin.trim_end_matches('/'), self.base, self.token.expose())
    }
}
