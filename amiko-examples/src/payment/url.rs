//! What people send each other: invitations to a link, and requests for a payment.
//!
//! Invariant: a URL is ASCII without blanks, and the URL of any link is read back as the URL of that link.

use super::{Invitation, Link, Payee};
use amiko_core::prelude::*;
use amiko_core::serializable::Schema;
use amiko_core::{PeerAddress, PublicKey, ReadError, Reader, WriteError, Writer};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt;
use std::str::FromStr;

/// The default port of a URL.
const DEFAULT_PORT: u16 = 4321;

/// The address of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address; an IPv6 address without its brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// `amikolink://KEY@HOST[:PORT]/LINK_NAME?invitation=SECRET`: an invitation to become neighbours. On a network without
/// keys, `amikolink://HOST[:PORT]/LINK_NAME`. The name is percent-encoded (RFC 3986).
///
/// A prototype encodes nothing: there the name is all that follows the first slash. So a URL without a key whose name
/// isn't encoded exactly as it is here has the name as it stands.
///
/// ```
/// use amiko_examples::payment::LinkUrl;
///
/// let (ours, of_a_prototype) = ("amikolink://shop:4321/tea%20%26%20cake%3F", "amikolink://shop/tea & cake?");
/// assert_eq!(ours.parse::<LinkUrl>()?.link.key(), "tea & cake?");
/// assert_eq!(of_a_prototype.parse::<LinkUrl>()?.to_string(), ours);
/// # Ok::<(), amiko_examples::payment::UrlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkUrl {
    /// The key to expect there.
    pub key: Option<PublicKey>,
    /// The inviting node.
    pub address: Address,
    /// The name of the link there.
    pub link: Id<Link>,
    /// The secret that binds the link to the first peer that shows it; `None` in the URL of a link that has its neighbour.
    pub invitation: Option<Invitation>,
}

/// `amikopay://KEY@HOST[:PORT]/PAYMENT_ID`: a request to pay. On a network without keys, without `KEY@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentUrl {
    /// The key to expect there.
    pub key: Option<PublicKey>,
    /// The payee's node.
    pub address: Address,
    /// The name of the payment there.
    pub payment: Id<Payee>,
}

/// A text that isn't such a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UrlError {
    /// What was expected.
    pub expected: &'static str,
    /// What was found, up to where a secret may begin.
    pub found: String,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {:?}", self.expected, self.found)
    }
}

impl std::error::Error for UrlError {}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let error = || UrlError { expected: "HOST or HOST:PORT", found: text.into() };
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let good = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | ':' | '_');
        if host.is_empty() || host.len() > 255 || !host.chars().all(good) {
            return Err(error());
        }
        let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| error()))?;
        Ok(Self { host: host.into(), port })
    }
}

/// `SCHEME://[KEY@]ADDRESS/PATH`, taken apart.
fn split<'a>(
    text: &'a str,
    scheme: &str,
    error: impl Fn() -> UrlError,
) -> Result<(Option<PublicKey>, Address, &'a str), UrlError> {
    let rest = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")).ok_or_else(&error)?;
    let (place, path) = rest.split_once('/').filter(|(_, path)| !path.is_empty()).ok_or_else(&error)?;
    let (key, address) = place.split_once('@').map_or((None, place), |(key, address)| (Some(key), address));
    let key = key.map(str::parse).transpose().map_err(|_| error())?;
    Ok((key, address.parse().map_err(|_| error())?, path))
}

/// Whether a path has one segment, and nothing that a URL of ours encodes.
fn is_segment(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#'))
}

/// All but what RFC 3986 calls unreserved, which looks the same encoded and not.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn encoded(name: &str) -> String {
    utf8_percent_encode(name, ENCODED).to_string()
}

/// The name of a link in the path of its URL.
pub(super) fn decoded(path: &str) -> Option<String> {
    let digits = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    let name = percent_decode_str(path).decode_utf8().ok()?;
    path.split('%').skip(1).all(digits).then(|| name.into_owned())
}

/// `KEY@`, if there is one.
struct Owner<'a>(&'a Option<PublicKey>);

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |key| write!(f, "{key}@"))
    }
}

/// With the secret of the invitation, which `Debug` doesn't show: this text goes to the neighbour and nowhere else.
impl fmt::Display for LinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "amikolink://{}{}/{}", Owner(&self.key), self.address, encoded(self.link.key()))?;
        self.invitation.as_ref().map_or(Ok(()), |invitation| write!(f, "{SECRET}{}", invitation.expose()))
    }
}

/// The marker before the secret of an invitation.
const SECRET: &str = "?invitation=";

impl FromStr for LinkUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (url, secret) = text.rsplit_once(SECRET).map_or((text, None), |(url, secret)| (url, Some(secret)));
        let error = || UrlError {
            expected: "a link's URL, amikolink://KEY@HOST:PORT/LINK?invitation=SECRET",
            found: text.split('?').next().unwrap_or_default().into(),
        };
        let (key, address, path) = split(url, "amikolink", error)?;
        let name = match key {
            Some(_) if is_segment(path) => decoded(path).ok_or_else(error)?,
            Some(_) => return Err(error()),
            None => decoded(path).filter(|name| encoded(name) == path).unwrap_or_else(|| path.into()),
        };
        let invitation = secret.map(str::parse).transpose().map_err(|_| error())?;
        Ok(Self { key, address, link: Id::new(name), invitation })
    }
}

impl fmt::Display for PaymentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "amikopay://{}{}/{}", Owner(&self.key), self.address, self.payment.key())
    }
}

impl PaymentUrl {
    /// The address at which the runtime dials the payee, with the expected key. A payer stays anonymous.
    pub(super) fn dial(&self) -> String {
        let place = self.address.to_string();
        self.key.map_or(place.clone(), |key| PeerAddress::Anonymous { key, place }.to_string())
    }
}

impl FromStr for PaymentUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let found = text.split('?').next().unwrap_or_default();
        let error = || UrlError { expected: "a payment's URL, amikopay://KEY@HOST:PORT/PAYMENT", found: found.into() };
        let (key, address, name) = split(text, "amikopay", error)?;
        if name.len() > 64 || !is_segment(name) {
            return Err(error());
        }
        Ok(Self { key, address, payment: Id::new(name) })
    }
}

/// In JSON it is its text, and secret as a whole: it ends in the secret of the invitation.
impl Serializable for LinkUrl {
    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        Secret::new(self.to_string()).write(out)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        let before = input.clone();
        input.text()?.parse::<Self>().map_err(|error| before.invalid(error.to_string()))
    }

    // It contains no reference to an object.
    fn schema(schema: &mut Schema) -> String {
        schema.secret("custom".into())
    }
}

/// In JSON each of them is its text.
macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl Serializable for $type {
            fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
                out.text(&self.to_string());
                Ok(())
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
                let before = input.clone();
                input.text()?.parse::<Self>().map_err(|error| before.invalid(error.to_string()))
            }

            // It contains no reference to an object.
            fn schema(_: &mut Schema) -> String {
                "custom".into()
            }
        }
    )*};
}

pub(super) use as_text;

as_text!(Address, PaymentUrl);
