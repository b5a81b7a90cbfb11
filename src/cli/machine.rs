//! What the firmware and the kernel tell of this machine, for the profiles that describe the box.

use std::path::Path;

use crate::smis::Machine;

/// Where the kernel shows what firmware says of the machine (SMBIOS).
const DMI: &str = "/sys/class/dmi/id";
/// Longest text that is taken over, in characters: what a number of a product may have in CIM.
const LONGEST: usize = 64;
/// What firmware holds where nobody wrote anything, in lower case.
const BLANKS: [&str; 12] = [
    "none",
    "n/a",
    "unknown",
    "undefined",
    "not specified",
    "not applicable",
    "default string",
    "to be filled by o.e.m.",
    "system manufacturer",
    "system product name",
    "system serial number",
    "chassis serial number",
];

/// This machine, at the place that the administrator says.
pub(super) fn this(location: Option<String>) -> Machine {
    let kernel = rustix::system::uname();
    Machine {
        kernel: Some(kernel.release().to_string_lossy().into_owned()),
        location,
        ..described_in(Path::new(DMI))
    }
}

/// The simulated machine of a demo: nobody made it, and it stands nowhere.
pub(super) fn simulated() -> Machine {
    Machine {
        manufacturer: "Standpipe".into(),
        model: "Simulated array".into(),
        version: Some(env!("CARGO_PKG_VERSION").into()),
        ..Machine::default()
    }
}

/// The machine that firmware describes in that directory. Virtual and small machines often have
/// none; they are just machines with Linux.
fn described_in(directory: &Path) -> Machine {
    let told = |name: &str| {
        let text = std::fs::read_to_string(directory.join(name)).ok()?;
        let text: String = text.trim().chars().take(LONGEST).collect();
        let blank = text.chars().all(|c| c == '0') || text.contains(char::is_control);
        (!blank && !BLANKS.contains(&text.to_lowercase().as_str())).then_some(text)
    };
    let kind = told("chassis_type").and_then(|kind| kind.parse().ok());
    Machine {
        manufacturer: told("sys_vendor").unwrap_or_else(|| "Linux".into()),
        model: told("product_name").unwrap_or_else(|| "Linux machine".into()),
        version: told("product_version"),
        // The number that belongs to maker and model; only root may read it.
        serial: told("product_serial").or_else(|| told("chassis_serial")),
        chassis_type: kind,
        kernel: None,
        location: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firmware(files: &[(&str, &str)]) -> Machine {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).expect("written");
        }
        described_in(directory.path())
    }

    #[test]
    fn a_machine_is_what_its_firmware_says() {
        let machine = firmware(&[
            ("sys_vendor", "Dell Inc.\n"),
            ("product_name", "PowerEdge R640\n"),
            ("product_version", "\n"),
            ("product_serial", "7XK2J53\n"),
            ("chassis_serial", "other\n"),
            ("chassis_type", "23\n"),
        ]);
        assert_eq!(machine.manufacturer, "Dell Inc.");
        assert_eq!(machine.model, "PowerEdge R640");
        assert_eq!(machine.version, None);
        assert_eq!(machine.serial.as_deref(), Some("7XK2J53"));
        assert_eq!(machine.chassis_type, Some(23));
    }

    #[test]
    fn what_nobody_wrote_is_not_told() {
        let machine = firmware(&[
            ("sys_vendor", "To Be Filled By O.E.M.\n"),
            ("product_serial", "0000000\n"),
            ("chassis_serial", "Default string\n"),
            ("chassis_type", "many\n"),
        ]);
        assert_eq!(machine.manufacturer, "Linux");
        assert_eq!(machine.model, "Linux machine");
        assert_eq!((machine.serial, machine.chassis_type), (None, None));
        let nothing = firmware(&[]);
        assert_eq!(nothing.manufacturer, "Linux");
    }

    #[test]
    fn long_and_broken_texts_do_no_harm() {
        let machine = firmware(&[
            ("sys_vendor", &"ä".repeat(1000)),
            ("product_name", "a\u{7}b"),
        ]);
        assert_eq!(machine.manufacturer.chars().count(), LONGEST);
        assert_eq!(machine.model, "Linux machine");
    }

    #[test]
    fn this_machine_has_a_kernel_and_a_place() {
        let machine = this(Some("rack 7".into()));
        assert!(machine.kernel.is_some_and(|kernel| !kernel.is_empty()));
        assert_eq!(machine.location.as_deref(), Some("rack 7"));
        assert!(!machine.manufacturer.is_empty() && !machine.model.is_empty());
    }
}
