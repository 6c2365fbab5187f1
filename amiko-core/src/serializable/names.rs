//! `Serializable` and `Key` for types that are names in practice: characters, non-zero numbers, network addresses,
//! shared text, UUIDs.
//!
//! Invariant: a value and a key have the same text, the one that serde gives the type in JSON, except that a leading
//! `!` is doubled; none has a second form.

use super::key::{exact, readable_key};
use super::{Key, Patch, ReadError, Reader, Schema, Serializable, Summary, WriteError, Writer};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// The methods of a type that is compared and replaced as a whole.
macro_rules! whole {
    () => {
        fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
            if self == old { Ok(()) } else { patch.replace(self) }
        }

        #[inline]
        fn same(&self, old: &Self) -> bool {
            self == old
        }
    };
}

/// The methods of a type that is the same string in JSON and as a key.
macro_rules! as_its_key {
    () => {
        fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
            self.with_text(|text| out.encoded(text));
            Ok(())
        }

        fn summarize(&self, out: &mut Summary) {
            out.text(&self.to_string());
        }

        fn schema(_: &mut Schema) -> String {
            Self::schema_name()
        }

        whole!();
    };
}

fn read_as_its_key<K: Key>(input: &mut Reader<'_>) -> Result<K, ReadError> {
    let before = input.clone();
    let text = input.string()?;
    K::decode(&text).map_err(|expected| before.expected(expected))
}

impl Serializable for char {
    const EXACT: bool = true;

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        let before = input.clone();
        match &*input.string()? {
            // For files from older versions, which wrote it through serde.
            "!" => Ok('!'),
            text => Self::decode(text).map_err(|expected| before.expected(expected)),
        }
    }

    as_its_key!();
}

impl Key for char {
    const EXACT: bool = true;

    fn schema_name() -> String {
        "character".into()
    }

    fn encode(&self) -> Cow<'_, str> {
        if *self == '!' { Cow::Borrowed("!!") } else { Cow::Owned(self.to_string()) }
    }

    fn with_text<R>(&self, lend: impl FnOnce(&str) -> R) -> R {
        if *self == '!' { lend("!!") } else { lend(self.encode_utf8(&mut [0; 4])) }
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        readable_key(text)?.parse().map_err(|_| "one character")
    }
}

impl Key for bool {
    const EXACT: bool = true;

    fn schema_name() -> String {
        "true or false".into()
    }

    fn encode(&self) -> Cow<'_, str> {
        Cow::Borrowed(if *self { "true" } else { "false" })
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        text.parse().map_err(|_| "true or false")
    }
}

macro_rules! never_zero {
    ($($type:ident $plain:ident $called:literal;)*) => {$(
        impl Serializable for std::num::$type {
            const EXACT: bool = true;

            fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
                out.integer(self.get());
                Ok(())
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
                let before = input.clone();
                let number: $plain = input.integer(concat!("an ", $called, " other than 0"))?;
                Self::new(number).ok_or_else(|| before.expected(concat!("an ", $called, " other than 0")))
            }

            fn schema(_: &mut Schema) -> String {
                concat!($called, " other than 0").into()
            }

            whole!();
        }

        impl Key for std::num::$type {
            const EXACT: bool = true;

            fn schema_name() -> String {
                "integer other than 0".into()
            }

            fn encode(&self) -> Cow<'_, str> {
                Cow::Owned(self.with_text(str::to_owned))
            }

            fn with_text<R>(&self, lend: impl FnOnce(&str) -> R) -> R {
                self.get().with_text(lend)
            }

            fn decode(text: &str) -> Result<Self, &'static str> {
                Self::new($plain::decode(text)?).ok_or("an integer other than 0")
            }
        }
    )*};
}

never_zero! {
    NonZeroI8 i8 "integer of 8 bits";
    NonZeroI16 i16 "integer of 16 bits";
    NonZeroI32 i32 "integer of 32 bits";
    NonZeroI64 i64 "integer of 64 bits";
    NonZeroI128 i128 "integer of 128 bits";
    NonZeroIsize isize "integer";
    NonZeroU8 u8 "unsigned integer of 8 bits";
    NonZeroU16 u16 "unsigned integer of 16 bits";
    NonZeroU32 u32 "unsigned integer of 32 bits";
    NonZeroU64 u64 "unsigned integer of 64 bits";
    NonZeroU128 u128 "unsigned integer of 128 bits";
    NonZeroUsize usize "unsigned integer";
}

macro_rules! addresses {
    ($($type:ident $called:literal $expected:literal;)*) => {$(
        impl Serializable for $type {
            const EXACT: bool = true;

            fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
                read_as_its_key(input)
            }

            as_its_key!();
        }

        impl Key for $type {
            const EXACT: bool = true;

            fn schema_name() -> String {
                $called.into()
            }

            fn encode(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }

            fn decode(text: &str) -> Result<Self, &'static str> {
                exact(text.parse().map_err(|_| $expected)?, text, $expected)
            }
        }
    )*};
}

addresses! {
    Ipv4Addr "IPv4 address" "an IPv4 address like 127.0.0.1";
    Ipv6Addr "IPv6 address" "an IPv6 address in its shortest form, like ::1";
    IpAddr "IP address" "an IP address in its shortest form, like 127.0.0.1 or ::1";
}

impl Serializable for SocketAddr {
    const EXACT: bool = true;

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        read_as_its_key(input)
    }

    as_its_key!();
}

/// Precedes the flow label of an IPv6 address. The usual text lacks it, which would make two addresses equal.
const FLOW: &str = ";flow=";

impl Key for SocketAddr {
    const EXACT: bool = true;

    fn schema_name() -> String {
        "socket address".into()
    }

    fn encode(&self) -> Cow<'_, str> {
        Cow::Owned(match self {
            Self::V6(address) if address.flowinfo() != 0 => format!("{address}{FLOW}{}", address.flowinfo()),
            address => address.to_string(),
        })
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "a socket address in its shortest form, like 127.0.0.1:80 or [::1]:80";
        let (usual, flow) = text.split_once(FLOW).map_or((text, None), |(usual, flow)| (usual, Some(flow)));
        let mut address: Self = usual.parse().map_err(|_| EXPECTED)?;
        if let (Self::V6(address), Some(flow)) = (&mut address, flow) {
            address.set_flowinfo(u32::decode(flow)?);
        }
        exact(address, text, EXPECTED)
    }
}

macro_rules! texts {
    ($($pointer:ident)*) => {$(
        impl Serializable for $pointer<str> {
            const EXACT: bool = true;

            fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
                out.text(self);
                Ok(())
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
                input.text().map(Self::from)
            }

            fn summarize(&self, out: &mut Summary) {
                out.text(self);
            }

            fn schema(_: &mut Schema) -> String {
                "text".into()
            }

            whole!();
        }

        /// The same form as `String`, so that each can replace the other.
        impl Key for $pointer<str> {
            const EXACT: bool = true;

            fn schema_name() -> String {
                String::schema_name()
            }

            fn encode(&self) -> Cow<'_, str> {
                if self.starts_with('!') { Cow::Owned(format!("!{self}")) } else { Cow::Borrowed(self) }
            }

            fn decode(text: &str) -> Result<Self, &'static str> {
                String::decode(text).map(Self::from)
            }
        }
    )*};
}

texts!(Box Arc);

#[cfg(feature = "uuid")]
impl Serializable for uuid::Uuid {
    const EXACT: bool = true;

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        read_as_its_key(input)
    }

    as_its_key!();
}

#[cfg(feature = "uuid")]
impl Key for uuid::Uuid {
    const EXACT: bool = true;

    fn schema_name() -> String {
        "UUID".into()
    }

    fn encode(&self) -> Cow<'_, str> {
        Cow::Owned(self.with_text(str::to_owned))
    }

    fn with_text<R>(&self, lend: impl FnOnce(&str) -> R) -> R {
        lend(self.hyphenated().encode_lower(&mut [0; uuid::fmt::Hyphenated::LENGTH]))
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "a UUID in lower case, with hyphens";
        exact(Self::try_parse(text).map_err(|_| EXPECTED)?, text, EXPECTED)
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::{comes_back, comes_back_from_json, refuses};
    use super::super::{from_json, to_json};
    use super::*;
    use proptest::prelude::*;
    use serde_core::Serialize;
    use std::net::SocketAddrV6;
    use std::num::{NonZeroI64, NonZeroU8, NonZeroU128};

    /// The value is read back as a value and as a key; both are the text that serde gives it.
    fn is_a_name<T: Key + Serializable + Serialize>(value: T) {
        let serde = serde_json::to_string(&value).unwrap();
        let doubled = if serde.starts_with("\"!") { serde.replacen('!', "!!", 1) } else { serde };
        assert_eq!(to_json(&value).unwrap(), doubled);
        comes_back_from_json(&value);
        comes_back(value);
    }

    #[test]
    fn a_second_form_is_refused() {
        refuses::<char>(&["", "ab", "!", "!a", "!x61", "!xC3A4", "!xc3a4c3a4"]);
        refuses::<bool>(&["", "True", "1", "!!true"]);
        refuses::<NonZeroU8>(&["0", "07", "+7", "256", "-1", ""]);
        refuses::<Ipv4Addr>(&["127.0.0.01", "127.1", "::1", "127.0.0.1 "]);
        refuses::<Ipv6Addr>(&["0:0:0:0:0:0:0:1", "::A", "::ffff:7f00:1", "::01", "127.0.0.1"]);
        refuses::<IpAddr>(&["0::1", "localhost", ""]);
        refuses::<SocketAddr>(&["127.0.0.1", "127.0.0.1:080", "[::1%0]:80", "[0::1]:80", "::1:80"]);
        refuses::<SocketAddr>(&["[::1]:80;flow=0", "[::1]:80;flow=07", "[::1]:80;flow=", "127.0.0.1:80;flow=7"]);
        refuses::<Vec<u8>>(&["", "ab", "!x0", "!xAB", "!!x00", "!xzz"]);
        refuses::<crate::Time>(&["", "07", "-1", "now"]);
        let upper = format!("!x{}", "AB".repeat(32));
        refuses::<crate::PublicKey>(&["", "!xab", &"ab".repeat(32), &upper]);
    }

    #[test]
    fn what_is_wrong_with_a_value_is_said() {
        let error = |read: Option<ReadError>| read.map(|error| error.to_string()).unwrap_or_default();
        let zero = error(from_json::<NonZeroU8>("0").err());
        assert_eq!(zero, "expected an unsigned integer of 8 bits other than 0, found 0 (line 1, column 1)");
        let address = error(from_json::<Ipv6Addr>("\"::A\"").err());
        assert_eq!(
            address,
            "expected an IPv6 address in its shortest form, like ::1, found \"::A\" (line 1, column 1)"
        );
        assert!(error(from_json::<char>("\"ab\"").err()).starts_with("expected one character, found \"ab\""));
    }

    #[test]
    fn characters_of_older_files_are_read() {
        assert_eq!(to_json(&'!').unwrap(), r#""!!""#);
        assert_eq!((from_json("\"!!\""), from_json("\"!\"")), (Ok('!'), Ok('!')));
    }

    #[test]
    fn the_flow_of_an_address_isnt_lost() {
        let address = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 7, 3));
        assert_eq!(address.encode(), "[::1%3]:80;flow=7");
        comes_back(address);
    }

    #[cfg(feature = "uuid")]
    #[test]
    fn a_uuid_has_one_text() {
        let text = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let uuid = uuid::Uuid::decode(text).unwrap();
        assert_eq!(to_json(&uuid).unwrap(), format!("\"{text}\""));
        comes_back_from_json(&uuid);
        comes_back(uuid);
        let (plain, urn) = (text.replace('-', ""), format!("urn:uuid:{text}"));
        refuses::<uuid::Uuid>(&[&text.to_uppercase(), &plain, &urn, &format!("{{{text}}}"), ""]);
    }

    proptest! {
        #[test]
        fn names_are_read_back(
            letter in any::<char>(), number in any::<i64>(), wide in any::<u128>(), text in any::<String>(),
            bytes in any::<Vec<u8>>(), key in any::<[u8; 32]>(), four in any::<u32>(), port in any::<u16>(),
        ) {
            is_a_name(letter);
            is_a_name(number % 2 == 0);
            is_a_name(NonZeroI64::new(number).unwrap_or(NonZeroI64::MIN));
            is_a_name(NonZeroU128::new(wide).unwrap_or(NonZeroU128::MAX));
            let (four, six) = (Ipv4Addr::from_bits(four), Ipv6Addr::from_bits(wide));
            for six in [six, four.to_ipv6_mapped(), four.to_ipv6_compatible(), Ipv6Addr::from_bits(wide >> 64)] {
                is_a_name(six);
                is_a_name(IpAddr::from(six));
                is_a_name(SocketAddr::from((six, port)));
                comes_back(SocketAddr::V6(SocketAddrV6::new(six, port, number as u32, (number >> 32) as u32)));
            }
            is_a_name(four);
            is_a_name(IpAddr::from(four));
            is_a_name(SocketAddr::from((four, port)));
            is_a_name(Box::<str>::from(format!("!{text}")));
            is_a_name(Box::<str>::from(text.as_str()));
            comes_back_from_json(&Arc::<str>::from(text.as_str()));
            comes_back(Arc::<str>::from(text));
            comes_back(bytes);
            comes_back(crate::PublicKey::new(key));
            comes_back(crate::Time::from_millis(number as u64));
        }
    }
}
