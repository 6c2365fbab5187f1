//! Finds the end of a run of bytes, many bytes at a time.
//!
//! Invariant: the result is the same as that of a byte-by-byte scan.

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHEST_BITS: u64 = ONES * 0x80;

// Branchless, so that the compiler can vectorize it to sixteen bytes at once.
#[inline(always)]
fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

/// How many bytes at the beginning of a text need no escape in a JSON string.
// A call would take half of the time of a short string.
#[inline(always)]
pub(crate) fn plain(bytes: &[u8]) -> usize {
    let mut at = 0;
    // No early exit inside a chunk, so that it is vectorized.
    let special = |chunk: &[u8; 16]| chunk.iter().fold(false, |any, &byte| any | is_special(byte));
    while let Some(chunk) = bytes[at..].first_chunk()
        && !special(chunk)
    {
        at += 16;
    }
    while let Some(word) = bytes[at..].first_chunk() {
        match plain_in_word(*word) {
            8 => at += 8,
            length => return at + length,
        }
    }
    at + bytes[at..].iter().take_while(|&&byte| !is_special(byte)).count()
}

/// Whether any byte is below `limit`, or one of `others`.
#[inline]
pub(crate) fn contains<const N: usize>(bytes: &[u8], limit: u8, others: [u8; N]) -> bool {
    // The last chunk may overlap the previous one: scanning some bytes twice is cheaper than a loop.
    if let Some(last) = bytes.last_chunk::<16>() {
        let special = |byte: u8| others.iter().fold(byte < limit, |any, other| any | (byte == *other));
        let any = |chunk: &[u8; 16]| chunk.iter().fold(false, |any, &byte| any | special(byte));
        return bytes.as_chunks().0.iter().any(any) || any(last);
    }
    let any = |word: u64| {
        let special = |any, other| any | below(word ^ (ONES * u64::from(other)), 1);
        others.into_iter().fold(below(word, limit), special) & HIGHEST_BITS != 0
    };
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return any(u64::from_le_bytes(*first)) || any(u64::from_le_bytes(*last));
    }
    let word = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)),
        _ => match bytes {
            [] => return false,
            // At most three bytes: the first, the last, and the one in between.
            [first, ..] => {
                let (middle, last) = (bytes[bytes.len() / 2], bytes[bytes.len() - 1]);
                (ONES * u64::from(*first)) ^ (u64::from(first ^ middle) << 8) ^ (u64::from(first ^ last) << 16)
            }
        },
    };
    any(word)
}

/// Whether any byte is a newline: for texts of hundreds of bytes.
pub(crate) fn has_newline(bytes: &[u8]) -> bool {
    // Long chunks without an early exit, so that most of the work is comparing.
    let (chunks, rest) = bytes.as_chunks::<64>();
    let any = |bytes: &[u8]| bytes.iter().fold(false, |any, &byte| any | (byte == b'\n'));
    chunks.iter().any(|chunk| any(chunk)) || contains(rest, 0, [b'\n'])
}

/// Whether a text needs no escapes in a JSON string.
#[inline]
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    !contains(bytes, 0x20, [b'"', b'\\'])
}

/// The highest bit of each byte that is below `n`, correct at least up to the first such byte.
#[inline]
fn below(word: u64, n: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(n)) & !word
}

/// A byte below `n` borrows from its own highest bit when `n` is subtracted; a byte equal to a character is below 1
/// after `^`. A borrow can spoil only the bytes above it, and only the lowest one counts.
#[inline]
fn plain_in_word(word: [u8; 8]) -> usize {
    let word = u64::from_le_bytes(word);
    let quote = below(word ^ (ONES * u64::from(b'"')), 1);
    let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
    let special = (quote | backslash | below(word, 0x20)) & HIGHEST_BITS;
    special.trailing_zeros() as usize / 8
}

/// How many leading bytes are digits.
#[inline]
pub(crate) fn digits(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = bytes[at..].first_chunk() {
        match digits_in_word(*word) {
            8 => at += 8,
            length => return at + length,
        }
    }
    at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// A digit is below ten after `^`: adding 0x76 to the lower seven bits of any other byte sets its highest bit, and
/// never carries into the next byte.
#[inline]
fn digits_in_word(word: [u8; 8]) -> usize {
    let word = u64::from_le_bytes(word) ^ (ONES * u64::from(b'0'));
    let other = (((word & !HIGHEST_BITS) + ONES * 0x76) | word) & HIGHEST_BITS;
    other.trailing_zeros() as usize / 8
}

/// Whether a short text needs no escapes in a JSON string, at compile time.
pub(crate) const fn is_plain_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if bytes[index] == b'"' || bytes[index] == b'\\' || bytes[index] < 0x20 {
            return false;
        }
        index += 1;
    }
    bytes.len() < 1 << 10
}

/// The number that eight digits stand for; none if any of the bytes is something else.
#[inline]
pub(crate) fn eight_digits(bytes: [u8; 8]) -> Option<u64> {
    if digits_in_word(bytes) < 8 {
        return None;
    }
    // Neighbours are put together: digits to pairs, pairs to fours, fours to the number.
    let digits = u64::from_le_bytes(bytes) - ONES * u64::from(b'0');
    let pairs = (digits * 10 + (digits >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    Some((fours * 10_000 + (fours >> 32)) & 0xFFFF_FFFF)
}

/// Whether two texts differ, at compile time.
pub const fn differ(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return true;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return true;
        }
        index += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn many_bytes_at_a_time_are_as_good_as_one(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(plain(&bytes), bytes.iter().take_while(|&&byte| !is_special(byte)).count());
        }

        #[test]
        fn a_special_byte_is_found_wherever_it_is(bytes in prop::collection::vec(any::<u8>(), 0..40), at in any::<prop::sample::Index>()) {
            let plain: Vec<u8> = bytes.into_iter().map(|byte| if byte == b'/' { b'x' } else { byte }).collect();
            prop_assert_eq!(contains(&plain, 0x20, [b'/']), plain.iter().any(|&byte| byte < 0x20));
            prop_assert!(!contains(&plain, 0, [b'/']));
            if !plain.is_empty() {
                let mut special = plain.clone();
                special[at.index(plain.len())] = b'/';
                prop_assert!(contains(&special, 0, [b'~', b'/']));
            }
        }

        #[test]
        fn eight_digits_are_their_number(number in 0..100_000_000_u64, other in any::<[u8; 8]>(), at in 0..8usize) {
            let mut bytes: [u8; 8] = format!("{number:08}").into_bytes().try_into().unwrap();
            prop_assert_eq!(eight_digits(bytes), Some(number));
            bytes[at] = other[at];
            prop_assert_eq!(eight_digits(bytes).is_some(), bytes.iter().all(u8::is_ascii_digit));
            prop_assert_eq!(eight_digits(other), std::str::from_utf8(&other).ok().filter(|_| other.iter().all(u8::is_ascii_digit)).and_then(|text| text.parse().ok()));
        }

        #[test]
        fn a_newline_is_found_wherever_it_is(length in 0..300usize, at in prop::option::of(any::<prop::sample::Index>())) {
            let mut bytes = vec![b'x'; length];
            if let Some(at) = at.filter(|_| length > 0) {
                bytes[at.index(length)] = b'\n';
            }
            prop_assert_eq!(has_newline(&bytes), bytes.contains(&b'\n'));
        }

        #[test]
        fn a_long_run_ends_where_it_should(length in 0..80usize, end in any::<u8>(), more in any::<[u8; 9]>()) {
            for (inside, run) in [(b'x', plain as fn(&[u8]) -> usize), (0xC3, plain), (b'0', digits), (b'9', digits)] {
                let mut bytes = vec![inside; length];
                bytes.push(end);
                bytes.extend(more);
                let one_at_a_time = |byte: u8| if inside.is_ascii_digit() { byte.is_ascii_digit() } else { !is_special(byte) };
                prop_assert_eq!(run(&bytes), bytes.iter().take_while(|&&byte| one_at_a_time(byte)).count());
            }
        }
    }
}
