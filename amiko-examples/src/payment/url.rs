//! What people send each other: invitations to a link, and requests for a payment.

use super::{Link, Payee};
use amiko_core::prelude::*;
use amiko_core::{ReadError, Reader, WriteError, Writer};
use std::fmt;
use std::str::FromStr;

/// The port of a URL that names none.
const DEFAULT_PORT: u16 = 4321;

/// Where a node can be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address; an IPv6 address without its brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// `amikolink://HOST[:PORT]/LINK_NAME`: an invitation to become neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkUrl {
    /// Who invites.
    pub address: Address,
    /// What the link is called there.
    pub link: Id<Link>,
}

/// `amikopay://HOST[:PORT]/PAYMENT_ID`: a request to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentUrl {
    /// Who wants to be paid.
    pub address: Address,
    /// What the payment is called there.
    pub payment: Id<Payee>,
}

/// A text that isn't such a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UrlError {
    /// What was expected.
    pub expected: &'static str,
    /// What was found.
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

/// `SCHEME://ADDRESS/NAME`, taken apart.
fn split(text: &str, scheme: &str, expected: &'static str) -> Result<(Address, String), UrlError> {
    let error = || UrlError { expected, found: text.into() };
    let rest = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")).ok_or_else(error)?;
    let (address, name) = rest.split_once('/').ok_or_else(error)?;
    if name.is_empty() || name.len() > 64 || !name.chars().all(|c| c.is_ascii_graphic() && c != '/') {
        return Err(error());
    }
    Ok((address.parse().map_err(|_| error())?, name.into()))
}

impl fmt::Display for LinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "amikolink://{}/{}", self.address, self.link.key())
    }
}

impl FromStr for LinkUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (address, name) = split(text, "amikolink", "a link's URL, amikolink://HOST:PORT/LINK")?;
        Ok(Self { address, link: Id::new(name) })
    }
}

impl fmt::Display for PaymentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "amikopay://{}/{}", self.address, self.payment.key())
    }
}

impl FromStr for PaymentUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (address, name) = split(text, "amikopay", "a payment's URL, amikopay://HOST:PORT/PAYMENT")?;
        Ok(Self { address, payment: Id::new(name) })
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
                input.text()?.parse().map_err(|error: UrlError| before.invalid(error.to_string()))
            }
        }
    )*};
}

as_text!(Address, LinkUrl, PaymentUrl);
