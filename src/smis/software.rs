//! Software: what makes the machine an array (SMI-S 1.6.1 common profiles book).

use crate::cim::Keys;
use crate::schema::{Builder, PathBuilder, class};

use super::element::{Element, Program};
use super::view::View;

const SOFTWARE: &str = "Standpipe:SoftwareIdentity:";

/// A program and its version.
struct Version<'a> {
    id: &'static str,
    label: &'static str,
    manufacturer: &'static str,
    version: &'a str,
    /// 5 Instrumentation, 8 Operating System.
    classification: u16,
}

/// The program that an element stands for, if it is there.
fn version<'a>(view: &'a View, element: &Element) -> Option<Version<'a>> {
    match element {
        Element::Software | Element::InstalledSoftware(Program::Gateway) => Some(Version {
            id: "gateway",
            label: "Standpipe gateway",
            manufacturer: "Standpipe",
            version: env!("CARGO_PKG_VERSION"),
            classification: 5,
        }),
        Element::InstalledSoftware(Program::Kernel) => Some(Version {
            id: "kernel",
            label: "Linux kernel",
            manufacturer: "Linux",
            version: view.server.machine.kernel.as_deref()?,
            classification: 8,
        }),
        _ => None,
    }
}

/// The gateway comes first: clients take the first one for the software of the array.
pub(super) fn list(view: &View) -> Vec<Element> {
    let all = [Program::Gateway, Program::Kernel].map(Element::InstalledSoftware);
    let there = all.into_iter().filter(|one| version(view, one).is_some());
    there.collect()
}

pub(super) fn find(view: &View, keys: &Keys) -> Option<Element> {
    let wanted = keys.text("InstanceID")?.strip_prefix(SOFTWARE)?;
    let named = |one: &Element| version(view, one).is_some_and(|known| known.id == wanted);
    list(view).into_iter().find(named)
}

pub(super) fn path_keys(
    view: &View,
    element: &Element,
    path: PathBuilder<class::Standpipe_SoftwareIdentity>,
) -> PathBuilder<class::Standpipe_SoftwareIdentity> {
    use class::Standpipe_SoftwareIdentity as P;
    let Some(known) = version(view, element) else {
        return path;
    };
    path.key(P::InstanceID, format!("{SOFTWARE}{}", known.id))
}

/// The first three numbers of a version, as far as it has any.
fn numbers(version: &str) -> [Option<u16>; 3] {
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    [(); 3].map(|()| parts.next()?.parse().ok())
}

pub(super) fn fill(
    view: &View,
    element: &Element,
    out: Builder<class::Standpipe_SoftwareIdentity>,
) -> Builder<class::Standpipe_SoftwareIdentity> {
    use class::Standpipe_SoftwareIdentity as P;
    let Some(known) = version(view, element) else {
        return out;
    };
    let [major, minor, revision] = numbers(known.version);
    out.set(P::Name, known.label)
        .set(P::ElementName, known.label)
        .set(P::VersionString, known.version)
        .set_some(P::MajorVersion, major)
        .set_some(P::MinorVersion, minor)
        .set_some(P::RevisionNumber, revision)
        .set(P::Manufacturer, known.manufacturer)
        .set(P::Classifications, [known.classification])
        .set(P::IsEntity, true)
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn the_numbers_of_a_version_end_where_it_has_none() {
        assert_eq!(numbers("0.1.0"), [Some(0), Some(1), Some(0)]);
        assert_eq!(numbers("6.1.0-18-amd64"), [Some(6), Some(1), Some(0)]);
        assert_eq!(numbers("7.2"), [Some(7), Some(2), None]);
        assert_eq!(numbers("6.12-rc3"), [Some(6), Some(12), None]);
        assert_eq!(numbers("99999.1"), [None, Some(1), None]);
        assert_eq!(numbers(""), [None, None, None]);
    }
}
