//! One-time secrets. Only their hashes are stored.

use secrecy::SecretString;
use sha2::{Digest, Sha256};

/// The digits of a secret: 160 bits.
const DIGITS: usize = 40;

/// A new random secret of hexadecimal digits.
pub fn new_secret() -> SecretString {
    // Each of these has 122 bits from the system's generator; the hash spreads them evenly.
    let random = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
    let mut hash = Sha256::new();
    random.iter().for_each(|part| hash.update(part.as_bytes()));
    hex(&hash.finalize())[..DIGITS].to_owned().into()
}

/// What is stored of a secret: its SHA-256 in hexadecimal digits. It is too long to be guessed, so it needs no salt.
pub fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// Whether two secrets are the same, in a time that does not tell where they differ: their hashes are compared.
pub fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (Sha256::digest(one.as_bytes()), Sha256::digest(other.as_bytes()));
    let differences = one.iter().zip(other.iter()).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(differences) == 0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn secrets_are_long_printable_and_different() {
        let (one, other) = (new_secret(), new_secret());
        assert_eq!(one.expose_secret().len(), DIGITS);
        assert!(one.expose_secret().bytes().all(|digit| digit.is_ascii_hexdigit()));
        assert_ne!(one.expose_secret(), other.expose_secret());
    }

    #[test]
    fn a_hash_is_the_sha_256() {
        assert_eq!(
            hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(is_same("abc", "abc") && !is_same("abc", "abd") && !is_same("abc", ""));
    }
}
