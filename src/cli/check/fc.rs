//! Whether the machine has the Fibre Channel ports that the configuration names, and can show volumes
//! through them. A port that has no adapter is only worth knowing: it must not keep the other ports from
//! their hosts.

use std::path::Path;

use super::Finding;
use crate::array::Wwn;
use crate::engine::linux::blockdev::Places;
use crate::engine::linux::fc;

/// What to do where the kernel has no target of Fibre Channel.
const REMEDY: &str = "load it: modprobe tcm_qla2xxx, and have that done at each boot; the adapters show \
                      volumes when qla2xxx is loaded with qlini_mode=disabled (or dual)";

pub(super) fn findings(
    root: &Path,
    places: &Places,
    ports: &[Wwn],
    configfs: &Path,
) -> Vec<Finding> {
    if ports.is_empty() {
        return Vec::new();
    }
    let is_loaded =
        root.join("sys/module/tcm_qla2xxx").exists() || configfs.join("target/qla2xxx").exists();
    let mut findings = vec![Finding::new("module tcm_qla2xxx", is_loaded, REMEDY)];
    let known = fc::ports(places);
    findings.extend(ports.iter().map(|port| {
        let name = format!("Fibre Channel port {}", port.in_pairs());
        match known.contains(port) {
            true => Finding::new(name, true, ""),
            false => Finding::note(format!(
                "{name} is of no adapter of this machine; connect it, or correct fc_port.wwpn (see \
                 /sys/class/fc_host/*/port_name)"
            )),
        }
    }));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_port_without_adapter_is_told_and_a_missing_module_is_missing() {
        let machine = tempfile::tempdir().expect("a temporary folder");
        let root = machine.path();
        let host = root.join("sys/class/fc_host/host3");
        fs::create_dir_all(&host).expect("set up");
        fs::write(host.join("port_name"), "0x21000024ff123456\n").expect("set up");
        let places = Places {
            sys: root.join("sys"),
            ..Places::default()
        };
        let wwn = |text: &str| Wwn::parse(text).expect("a name");
        let ports = [wwn("21000024ff123456"), wwn("21000024ff123457")];
        let configfs = root.join("configfs");
        let look = |ports: &[Wwn]| findings(root, &places, ports, &configfs);
        assert_eq!(look(&[]), []);
        let found = look(&ports);
        assert!(
            found[0]
                .remedy
                .as_deref()
                .is_some_and(|r| r.contains("qlini_mode"))
        );
        assert!(found[1].remedy.is_none() && !found[1].is_note);
        assert!(found[2].remedy.is_none() && found[2].is_note);
        assert!(found[2].what.contains("21:00:00:24:ff:12:34:57"));
        fs::create_dir_all(root.join("sys/module/tcm_qla2xxx")).expect("set up");
        assert!(look(&ports)[0].remedy.is_none());
    }
}
