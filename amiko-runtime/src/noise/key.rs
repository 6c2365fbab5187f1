//! The key that a node proves itself with.
//!
//! Invariant: only [`SecretKey::expose`] shows it, and it is wiped from memory on drop. Its public half is derived once.

use amiko_core::PublicKey;
use curve25519_dalek::MontgomeryPoint;
use std::fmt;
use std::io;
use zeroize::Zeroizing;

/// The secret half of a node's key: anyone who has it can act as this node.
///
/// ```
/// use amiko_runtime::SecretKey;
/// let key = SecretKey::generate()?;
/// assert_eq!(SecretKey::new(*key.expose()).public(), key.public());
/// assert_eq!(format!("{key:?}"), "SecretKey(…)");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct SecretKey {
    secret: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

impl SecretKey {
    /// The key with these bytes; any 32 bytes are one.
    pub fn new(bytes: [u8; 32]) -> Self {
        let public = PublicKey::new(MontgomeryPoint::mul_base_clamped(bytes).to_bytes());
        Self { secret: Zeroizing::new(bytes), public }
    }

    /// A new key.
    ///
    /// # Errors
    /// The operating system provides no random numbers.
    pub fn generate() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(io::Error::other)?;
        Ok(Self::new(*bytes))
    }

    /// The public half.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    pub(super) const fn public_bytes(&self) -> &[u8; 32] {
        self.public.bytes()
    }

    /// What only the owners of both keys can compute.
    pub(super) fn agree(&self, public: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(MontgomeryPoint(*public).mul_clamped(*self.secret).to_bytes())
    }

    /// The bytes. The caller is responsible for where they go.
    pub fn expose(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}
