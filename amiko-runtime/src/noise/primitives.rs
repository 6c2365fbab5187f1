//! What a handshake and a stream compute with.
//!
//! Invariant: the wire is the same whatever computes it, and no secret key stays in memory after its handshake.

use super::SecretKey;
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use zeroize::Zeroizing;

/// Bytes of a secret key, of a public one, and of what two of them agree on.
const KEY: usize = 32;

/// Where there is no key yet; nobody asks for that one.
const NONE: [u8; KEY] = [0; KEY];

/// For one handshake of the node that has this key.
pub(super) struct Primitives {
    own: SecretKey,
}

impl Primitives {
    pub(super) fn of(own: &SecretKey) -> Box<Self> {
        Box::new(Self { own: own.clone() })
    }
}

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        DefaultResolver.resolve_rng()
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        match choice {
            DHChoice::Curve25519 => Some(Box::new(X25519 { own: self.own.clone(), key: None })),
            _ => None,
        }
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        #[cfg(feature = "ring")]
        let resolver = snow::resolvers::RingResolver;
        #[cfg(not(feature = "ring"))]
        let resolver = DefaultResolver;
        resolver.resolve_cipher(choice)
    }
}

/// One key of a handshake. That of the node isn't derived anew: it takes as long as an agreement.
struct X25519 {
    own: SecretKey,
    key: Option<SecretKey>,
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        KEY
    }

    fn priv_len(&self) -> usize {
        KEY
    }

    fn set(&mut self, secret: &[u8]) {
        self.key = if secret == self.own.expose() {
            Some(self.own.clone())
        } else {
            secret.try_into().ok().map(SecretKey::new)
        };
    }

    fn generate(&mut self, random: &mut dyn Random) -> Result<(), Error> {
        let mut secret = Zeroizing::new([0; KEY]);
        random.try_fill_bytes(&mut *secret)?;
        self.key = Some(SecretKey::new(*secret));
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.key.as_ref().map_or(&NONE, |key| key.public_bytes())
    }

    fn privkey(&self) -> &[u8] {
        self.key.as_ref().map_or(&NONE, |key| key.expose())
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let key = self.key.as_ref().ok_or(Error::Dh)?;
        let public = public.first_chunk().ok_or(Error::Dh)?;
        *out.first_chunk_mut().ok_or(Error::Dh)? = *key.agree(public);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Box<Primitives> {
        Primitives::of(&SecretKey::new([1; KEY]))
    }

    fn pair(resolver: &dyn CryptoResolver, secret: Option<[u8; KEY]>) -> Box<dyn Dh> {
        let mut pair = resolver.resolve_dh(&DHChoice::Curve25519).unwrap();
        match secret {
            Some(secret) => pair.set(&secret),
            None => pair.generate(&mut *resolver.resolve_rng().unwrap()).unwrap(),
        }
        pair
    }

    #[test]
    fn keys_and_what_they_agree_on_are_those_of_the_reference() {
        let other = pair(&DefaultResolver, Some([9; KEY]));
        // The node's own, and another one.
        for secret in [[1; KEY], [2; KEY]] {
            let (ours, theirs) = (pair(&*ours(), Some(secret)), pair(&DefaultResolver, Some(secret)));
            assert_eq!((ours.pubkey(), ours.privkey()), (theirs.pubkey(), theirs.privkey()));
            let (mut found, mut expected) = ([0; KEY], [0; KEY]);
            ours.dh(other.pubkey(), &mut found).unwrap();
            theirs.dh(other.pubkey(), &mut expected).unwrap();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_key_of_a_handshake_is_a_new_one() {
        let (one, two) = (pair(&*ours(), None), pair(&*ours(), None));
        assert_ne!(one.pubkey(), two.pubkey());
        let (mut found, mut expected) = ([0; KEY], [0; KEY]);
        one.dh(two.pubkey(), &mut found).unwrap();
        two.dh(one.pubkey(), &mut expected).unwrap();
        assert_eq!(found, expected);
    }

    #[test]
    fn without_a_key_or_with_half_a_one_nothing_is_agreed_on() {
        let none = ours().resolve_dh(&DHChoice::Curve25519).unwrap();
        assert_eq!(none.dh(&[9; KEY], &mut [0; KEY]), Err(Error::Dh));
        let own = pair(&*ours(), Some([1; KEY]));
        assert_eq!(own.dh(&[9; KEY - 1], &mut [0; KEY]), Err(Error::Dh));
    }

    #[test]
    fn texts_of_any_length_are_encrypted_as_by_the_reference() {
        let [mut ours, mut theirs]: [Box<dyn Cipher>; 2] =
            [&*ours() as &dyn CryptoResolver, &DefaultResolver].map(|resolver| {
                let mut cipher = resolver.resolve_cipher(&CipherChoice::ChaChaPoly).unwrap();
                cipher.set(&[3; KEY]);
                cipher
            });
        for length in (0..300).chain([4096, 65_519]) {
            let text = vec![b'x'; length];
            let (mut sealed, mut expected) = (vec![0; length + 16], vec![0; length + 16]);
            assert_eq!(ours.encrypt(length as u64, b"with", &text, &mut sealed), length + 16);
            theirs.encrypt(length as u64, b"with", &text, &mut expected);
            assert_eq!(sealed, expected, "{length} bytes");
            // With and without room for the tag.
            for room in [length, length + 16] {
                let mut opened = vec![0; room];
                assert_eq!(ours.decrypt(length as u64, b"with", &sealed, &mut opened), Ok(length));
                assert_eq!(&opened[..length], text);
            }
            sealed[length] ^= 1;
            assert_eq!(ours.decrypt(length as u64, b"with", &sealed, &mut vec![0; length + 16]), Err(Error::Decrypt));
            ours.rekey();
            theirs.rekey();
        }
    }
}
