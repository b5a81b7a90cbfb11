//! CIM datetime: timestamps and intervals in 25 characters (DSP0004 §5.2.4).

use std::fmt;
use std::str::FromStr;

/// A point in time `yyyymmddHHMMSS.mmmmmm±UUU` or a length of time `ddddddddHHMMSS.mmmmmm:000`.
///
/// A tail of fields may be unknown (written `*`); the whole text is kept as it was given, so that
/// every value round-trips.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime([u8; 25]);

/// Why a text is not a CIM datetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateTimeError(&'static str);

impl fmt::Display for DateTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for DateTimeError {}

/// Fields of a timestamp or interval: first byte, length, smallest and largest value.
type Field = (usize, usize, u32, u32);

const TIMESTAMP: [Field; 6] = [
    (0, 4, 0, 9999),
    (4, 2, 1, 12),
    (6, 2, 1, 31),
    (8, 2, 0, 23),
    (10, 2, 0, 59),
    (12, 2, 0, 60),
];
const INTERVAL: [Field; 4] = [
    (0, 8, 0, 99_999_999),
    (8, 2, 0, 23),
    (10, 2, 0, 59),
    (12, 2, 0, 59),
];
/// The longest interval: 99,999,999 days, 23:59:59.999999.
const LONGEST_SECONDS: u64 = 99_999_999 * 86_400 + 86_399;

impl DateTime {
    /// The interval of that length; longer than 99,999,999 days becomes the longest possible.
    pub fn interval(length: std::time::Duration) -> Self {
        let seconds = length.as_secs().min(LONGEST_SECONDS);
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        Self::from_ascii(&format!(
            "{days:08}{:02}{:02}{:02}.{:06}:000",
            rest / 3600,
            rest / 60 % 60,
            rest % 60,
            length.subsec_micros()
        ))
    }

    /// How long an interval is; `None` for a timestamp, or where a part of it is not said.
    pub fn length(&self) -> Option<std::time::Duration> {
        let number = |start: usize, length: usize| {
            let digits = self.as_str().get(start..start + length)?;
            digits.parse::<u64>().ok()
        };
        if !self.is_interval() {
            return None;
        }
        let hours = number(0, 8)? * 24 + number(8, 2)?;
        let seconds = (hours * 60 + number(10, 2)?) * 60 + number(12, 2)?;
        Some(std::time::Duration::new(
            seconds,
            u32::try_from(number(15, 6)?).ok()? * 1000,
        ))
    }

    /// The timestamp, in UTC, of a count of microseconds since 1970; years beyond 9999 become 9999.
    pub fn utc(unix_micros: u64) -> Self {
        let seconds = unix_micros / 1_000_000;
        let (year, month, day) = civil_from_days(seconds / 86_400);
        let rest = seconds % 86_400;
        Self::from_ascii(&format!(
            "{:04}{month:02}{day:02}{:02}{:02}{:02}.{:06}+000",
            year.min(9999),
            rest / 3600,
            rest / 60 % 60,
            rest % 60,
            unix_micros % 1_000_000
        ))
    }

    /// Whether this is a length of time, not a point in time.
    pub fn is_interval(&self) -> bool {
        self.0[21] == b':'
    }

    /// The 25 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("00000000000000.000000:000")
    }

    fn from_ascii(text: &str) -> Self {
        let mut bytes = *b"00000000000000.000000:000";
        if text.len() == bytes.len() {
            bytes.copy_from_slice(text.as_bytes());
        }
        Self(bytes)
    }
}

/// Year, month and day of a count of days since 1970-01-01 (proleptic Gregorian calendar).
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

impl FromStr for DateTime {
    type Err = DateTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes: [u8; 25] = text
            .as_bytes()
            .try_into()
            .map_err(|_| DateTimeError("a datetime has 25 characters"))?;
        if bytes[14] != b'.' {
            return Err(DateTimeError("the 15th character of a datetime is a point"));
        }
        let fields: &[Field] = match bytes[21] {
            b':' if &bytes[22..] == b"000" => &INTERVAL,
            b'+' | b'-' if bytes[22..].iter().all(u8::is_ascii_digit) => &TIMESTAMP,
            _ => return Err(DateTimeError("a datetime ends in a UTC offset or in :000")),
        };
        let mut unknown = false;
        for &(start, length, least, most) in fields {
            unknown = check_field(&bytes[start..start + length], least, most, unknown)?;
        }
        check_micros(&bytes[15..21], unknown)?;
        Ok(Self(bytes))
    }
}

/// Checks one field; tells whether it, and so everything after it, is unknown.
fn check_field(field: &[u8], least: u32, most: u32, unknown: bool) -> Result<bool, DateTimeError> {
    if field.iter().all(|&b| b == b'*') {
        return Ok(true);
    }
    if unknown {
        return Err(DateTimeError("a known field follows an unknown one"));
    }
    let mut number = 0u32;
    for &byte in field {
        if !byte.is_ascii_digit() {
            return Err(DateTimeError(
                "a datetime field holds digits or asterisks only",
            ));
        }
        number = number * 10 + u32::from(byte - b'0');
    }
    if (least..=most).contains(&number) {
        Ok(false)
    } else {
        Err(DateTimeError("a datetime field is out of range"))
    }
}

/// Microseconds may be unknown digit by digit, from the right (DSP0004 §5.2.4).
fn check_micros(micros: &[u8], unknown: bool) -> Result<(), DateTimeError> {
    let digits = micros.iter().take_while(|b| b.is_ascii_digit()).count();
    if micros[digits..].iter().any(|&b| b != b'*') || (unknown && digits > 0) {
        return Err(DateTimeError(
            "the microseconds of a datetime are digits, then asterisks",
        ));
    }
    Ok(())
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn points_in_time() {
        assert_eq!(DateTime::utc(0).as_str(), "19700101000000.000000+000");
        assert_eq!(
            DateTime::utc(951_782_400_000_001).as_str(),
            "20000229000000.000001+000"
        );
        assert_eq!(
            DateTime::utc(1_795_132_799_999_999).as_str(),
            "20261119235959.999999+000"
        );
        assert!("20261120123456.123456-060".parse::<DateTime>().is_ok());
    }

    #[test]
    fn lengths_of_time() {
        let five = DateTime::interval(Duration::from_secs(300));
        assert_eq!(five.as_str(), "00000000000500.000000:000");
        assert!(five.is_interval());
        assert_eq!(
            DateTime::interval(Duration::MAX).as_str(),
            "99999999235959.999999:000"
        );
    }

    #[test]
    fn unknown_tails() {
        for good in [
            "2026112012****.******+000",
            "00000001******.******:000",
            "20261120123456.123***+000",
        ] {
            assert_eq!(
                good.parse::<DateTime>().map(|d| d.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "2026****1200**.******+000",
            "20261320000000.000000+000",
            "20261120000000,000000+000",
            "20261120000000.000000*000",
            "20261120000000.000000:001",
            "2026112000000*.000000+000",
            "20261120 00000.000000+000",
            "x",
            "",
            "2026112000000é.000000+00",
        ] {
            assert!(bad.parse::<DateTime>().is_err(), "{bad}");
        }
    }
}
