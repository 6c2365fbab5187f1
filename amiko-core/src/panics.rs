//! Panics of application code: caught, turned into text, and dropped.
//!
//! Invariant: what was caught is over, even if what was thrown panics when it is dropped.

use std::any::Any;
use std::borrow::Cow;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code of the application; gives the text of its panic, if it panics.
///
/// The caller must restore, or discard, whatever may be half done then.
#[inline]
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Cow<'static, str>> {
    catch_unwind(AssertUnwindSafe(run)).map_err(text)
}

#[cold]
fn text(thrown: Box<dyn Any + Send>) -> Cow<'static, str> {
    let thrown = match thrown.downcast::<&'static str>() {
        Ok(text) => return Cow::Borrowed(*text),
        Err(thrown) => thrown,
    };
    match thrown.downcast::<String>() {
        Ok(text) => Cow::Owned(*text),
        Err(thrown) => {
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(thrown))) {
                // Dropping this one could go on for ever.
                mem::forget(again);
            }
            Cow::Borrowed("without a message")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;

    struct Trap(u8);

    impl Drop for Trap {
        fn drop(&mut self) {
            panic_any(Self(self.0 + 1));
        }
    }

    #[test]
    fn a_panic_is_its_text_and_what_it_threw_is_gone() {
        let tell = |run: fn()| catch(run).unwrap_err().into_owned();
        assert_eq!(catch(|| 7), Ok(7));
        assert_eq!(tell(|| panic!("plain")), "plain");
        assert_eq!(tell(|| panic!("number {}", 7)), "number 7");
        assert_eq!(tell(|| panic_any(7)), "without a message");
        assert_eq!(tell(|| panic_any(Trap(0))), "without a message");
    }
}
