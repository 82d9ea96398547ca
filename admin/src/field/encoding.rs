//! Binary data as text.

/// Reads base64 with the usual alphabet; white space may stand anywhere. `None` when it is not valid.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(4) {
        return None;
    }
    let padding = digits.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    for group in digits[..digits.len() - padding].chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | sextet(*digit)?;
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

/// Writes base64 with the usual alphabet and padding, in one line.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = ALPHABET[bits >> (18 - 6 * place) & 63];
            text.push(if place > group.len() {
                '='
            } else {
                char::from(digit)
            });
        }
    }
    text
}

fn sextet(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// Reads hexadecimal digits in either case. `None` when they are not valid.
pub(crate) fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()
        })
        .collect()
}

/// Writes hexadecimal digits.
pub(crate) fn to_hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_and_checked() {
        let examples = [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            (" Zm9v\nYmFy ", "foobar"),
        ];
        for (text, bytes) in examples {
            assert_eq!(base64(text).as_deref(), Some(bytes.as_bytes()), "{text:?}");
            if !text.contains(' ') {
                assert_eq!(to_base64(bytes.as_bytes()), text);
            }
        }
        assert_eq!(base64("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
        assert_eq!(to_base64(&[0xfb, 0xff, 0xbf]), "+/+/");
        for bad in ["Zg=", "Zg", "Z===", "====", "Zg=a", "Zm9*"] {
            assert_eq!(base64(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn hexadecimal_is_read_and_checked() {
        assert_eq!(hexadecimal("00fFa0"), Some(vec![0, 255, 160]));
        assert_eq!(to_hexadecimal(&[0, 255, 160]), "00ffa0");
        assert_eq!(hexadecimal(""), Some(vec![]));
        for bad in ["0", "0g", "+1", "ü"] {
            assert_eq!(hexadecimal(bad), None, "{bad:?}");
        }
    }
}
