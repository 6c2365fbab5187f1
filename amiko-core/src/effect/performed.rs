//! What the owner of an effect hears when it is over.

use super::Effect;
use crate::Serializable;

/// An effect is over. It is a message to its owner, which has a variant for it: `From<Performed<Charge>>`.
#[derive(Debug, Clone, Serializable)]
pub struct Performed<E: Effect> {
    /// The name under which the owner asked for it.
    pub name: String,
    /// How many attempts there were, as far as they are known: one that was under way when the process was killed isn't
    /// counted.
    pub attempts: u32,
    /// What came of it.
    pub outcome: Outcome<E::Outcome>,
}

/// What came of an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serializable)]
pub enum Outcome<T: Serializable> {
    /// It happened.
    Done {
        /// What the outside answered.
        value: T,
    },
    /// It was given up. It may have happened nevertheless, if an answer was lost.
    GivenUp {
        /// By which rule.
        why: WhyGivenUp,
        /// Why the last attempt failed.
        error: String,
    },
}

/// By which rule an effect was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serializable)]
#[amiko(rename_all = "camelCase")]
pub enum WhyGivenUp {
    /// The failure was final.
    Fatal,
    /// There were as many attempts as its policy allows.
    Attempts,
    /// Its time was over.
    Time,
    /// It happened, but its answer can't be kept: it is too long for a record, or has no exact text.
    Answer,
}

impl<E: Effect> Performed<E> {
    /// The answer, or why there is none.
    ///
    /// # Errors
    /// The effect was given up.
    pub fn into_result(self) -> Result<E::Outcome, String> {
        self.outcome.into_result()
    }
}

impl<T: Serializable> Outcome<T> {
    /// The answer, or why there is none.
    ///
    /// # Errors
    /// The effect was given up.
    pub fn into_result(self) -> Result<T, String> {
        match self {
            Self::Done { value } => Ok(value),
            Self::GivenUp { error, .. } => Err(error),
        }
    }
}
