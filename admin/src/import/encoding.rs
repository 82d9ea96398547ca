//! Binary data as text.

/// Reads base64 with the usual alphabet; white space may stand anywhere. `None` when it is not valid.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
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
pub(super) fn hexadecimal(text: &str) -> Option<Vec<u8>> {
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
        }
        assert_eq!(base64("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
        for bad in ["Zg=", "Zg", "Z===", "====", "Zg=a", "Zm9*"] {
            assert_eq!(base64(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn hexadecimal_is_read_and_checked() {
        assert_eq!(hexadecimal("00fFa0"), Some(vec![0, 255, 160]));
        assert_eq!(hexadecimal(""), Some(vec![]));
        for bad in ["0", "0g", "+1", "ü"] {
            assert_eq!(hexadecimal(bad), None, "{bad:?}");
        }
    }
}
