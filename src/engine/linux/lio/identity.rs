//! What a host sees of a volume: unit serial number and NAA identifier.
//!
//! Both follow from the volume's LVM UUID, so they are known before the first export and are the
//! same on every node and after every re-export. Pure.

use crate::engine::linux::lvm::names::LvmUuid;
use uuid::{Uuid, uuid};

/// The fixed namespace of the serials. Changing it changes every volume's identity.
const NAMESPACE: Uuid = uuid!("5d1c8f27-64ba-4c0e-9d0b-7a1f0e6b9c43");

/// The IEEE company identifier that LIO uses unless told otherwise (`wwn/company_id`).
pub const COMPANY: u32 = 0x00_1405;

/// The unit serial of a volume: UUIDv5 of its LVM UUID, lower case with dashes.
pub fn serial(volume: &LvmUuid) -> String {
    Uuid::new_v5(&NAMESPACE, volume.as_str().as_bytes()).to_string()
}

/// The NAA 6 identifier that the kernel derives from company and serial, as 32 upper-case
/// hexadecimal digits (`spc_gen_naa_6h_vendor_specific`): `6`, the company, then the first 25
/// hexadecimal digits of the serial, zeros where it has fewer.
pub fn naa(company: u32, serial: &str) -> String {
    let digits: String = serial.chars().filter(char::is_ascii_hexdigit).take(25).collect();
    format!("6{:06X}{digits:0<25}", company & 0xFF_FFFF).to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identifier_equals_what_an_initiator_was_seen_to_read() {
        // `naa.6001405…` as tcm_loop and iSCSI initiators showed it for this serial.
        assert_eq!(
            naa(COMPANY, "11111111222233334444555566667777"),
            "60014051111111122223333444455556"
        );
    }

    #[test]
    fn other_characters_are_skipped_and_missing_digits_are_zero() {
        assert_eq!(naa(COMPANY, "a-z-b"), format!("6001405AB{}", "0".repeat(23)));
        assert_eq!(naa(COMPANY, "").len(), 32);
    }

    #[test]
    fn a_serial_never_changes() {
        let volume = LvmUuid::new("KROYpN-ydMD-shhk-LeZE-RBId-r0qq-h2oGSA").expect("a UUID");
        assert_eq!(serial(&volume), "f053e45b-632c-5db4-8616-c2dbe8fcd65c");
    }
}
