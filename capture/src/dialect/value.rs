//! What the dialects' decoders of values share.

use crate::decode::ValueError;

/// Hexadecimal digits as the bytes that they mean.
pub(crate) fn hex(digits: &str) -> Result<Vec<u8>, ValueError> {
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .ok_or(ValueError("no hexadecimal digits"))
    };
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(ValueError("an odd number of hexadecimal digits"));
    }
    pairs
        .iter()
        .map(|[high, low]| Ok(u8::try_from(nibble(*high)? * 16 + nibble(*low)?).unwrap_or_default()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_bytes() {
        assert_eq!(hex("").expect("hex"), Vec::<u8>::new());
        assert_eq!(hex("00fF7a").expect("hex"), vec![0, 255, 122]);
        assert!(hex("0").is_err());
        assert!(hex("0g").is_err());
    }
}
