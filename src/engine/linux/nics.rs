//! The network interfaces through which portals are reached, out of `/sys/class/net` and
//! `/proc/net`.

use crate::array::Nic;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::blockdev::Places;

/// Every interface with its addresses, by name. What cannot be read is left out of it.
pub fn list(places: &Places) -> Vec<Nic> {
    let read =
        |file: &str| fs::read_to_string(places.proc.join("net").join(file)).unwrap_or_default();
    let (locals, routes, inet6) = (read("fib_trie"), read("route"), read("if_inet6"));
    let routes = routes_of(&routes);
    let mut addresses: Vec<(String, IpAddr, u8)> = local_addresses(&locals)
        .into_iter()
        .filter_map(|address| {
            let (name, prefix) = interface_of(address, &routes)?;
            Some((name, IpAddr::V4(address), prefix))
        })
        .collect();
    addresses.extend(inet6.lines().filter_map(inet6_line));
    let mut nics: Vec<Nic> = fs::read_dir(places.sys.join("class/net"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .map(|(name, folder)| nic(name, &folder, &addresses))
        .collect();
    nics.sort_by(|a, b| a.name.cmp(&b.name));
    nics
}

fn nic(name: String, folder: &Path, addresses: &[(String, IpAddr, u8)]) -> Nic {
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
    let mac = read("address").trim().replace(':', "").to_ascii_uppercase();
    let has_mac = mac.len() == 12 && mac != "000000000000";
    Nic {
        mac: if has_mac { mac } else { String::new() },
        // In Mbit/s; -1 where the driver does not know.
        speed: read("speed")
            .trim()
            .parse::<u64>()
            .ok()
            .map(|mbit| mbit.saturating_mul(1_000_000)),
        // The loopback interface says "unknown" but has a carrier.
        up: read("carrier").trim() == "1",
        addresses: addresses
            .iter()
            .filter(|(of, _, _)| *of == name)
            .map(|(_, address, prefix)| (*address, *prefix))
            .collect(),
        name,
    }
}

/// The machine's own IPv4 addresses: the leaves of `fib_trie` marked `/32 host LOCAL`.
fn local_addresses(trie: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in trie.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.contains("/32 host LOCAL")
            && let Some(address) = last
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// A directly connected IPv4 network: interface, network and mask.
type Route = (String, u32, u32);

/// Reads `/proc/net/route`, whose numbers are in the machine's byte order.
fn routes_of(table: &str) -> Vec<Route> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let hex = |at: usize| {
                u32::from_str_radix(words.get(at)?, 16)
                    .ok()
                    .map(u32::from_be)
            };
            let (network, gateway, mask) = (hex(1)?, hex(2)?, hex(7)?);
            (gateway == 0 && mask != 0).then(|| (words[0].to_owned(), network, mask))
        })
        .collect()
}

/// The interface whose network holds the address, the narrowest network first.
fn interface_of(address: Ipv4Addr, routes: &[Route]) -> Option<(String, u8)> {
    if address.is_loopback() {
        return Some(("lo".to_owned(), 8));
    }
    routes
        .iter()
        .filter(|(_, network, mask)| u32::from(address) & mask == *network)
        .max_by_key(|(_, _, mask)| mask.count_ones())
        .map(|(name, _, mask)| (name.clone(), u8::try_from(mask.count_ones()).unwrap_or(32)))
}

/// A line of `/proc/net/if_inet6`: address, index, prefix length, scope, flags, name.
fn inet6_line(line: &str) -> Option<(String, IpAddr, u8)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let address = u128::from_str_radix(words.first()?, 16).ok()?;
    let prefix = u8::from_str_radix(words.get(2)?, 16).ok()?;
    Some((
        (*words.get(5)?).to_owned(),
        IpAddr::V6(Ipv6Addr::from(address)),
        prefix,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_find_their_interfaces() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let places = Places {
            proc: folder.path().join("proc"),
            sys: folder.path().join("sys"),
            dev: folder.path().join("dev"),
        };
        fs::create_dir_all(places.proc.join("net")).expect("set up");
        for (name, address) in [("eth0", "52:54:00:12:34:56"), ("lo", "00:00:00:00:00:00")] {
            let nic = places.sys.join("class/net").join(name);
            fs::create_dir_all(&nic).expect("set up");
            fs::write(nic.join("address"), address).expect("set up");
            fs::write(nic.join("carrier"), "1\n").expect("set up");
            fs::write(
                nic.join("speed"),
                if name == "lo" { "-1\n" } else { "1000\n" },
            )
            .expect("set up");
        }
        for (file, text) in [
            (
                "fib_trie",
                "Main:\n  |-- 10.0.2.0\n     /24 link UNICAST\n  |-- 10.0.2.15\n     /32 host LOCAL\n\
                 Local:\n  |-- 10.0.2.15\n     /32 host LOCAL\n  |-- 127.0.0.1\n     /32 host LOCAL\n",
            ),
            (
                "route",
                "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                 eth0 00000000 0202000A 0003 0 0 0 00000000 0 0 0\n\
                 eth0 0002000A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n",
            ),
            (
                "if_inet6",
                "00000000000000000000000000000001 01 80 10 80       lo\nnonsense\n",
            ),
        ] {
            fs::write(places.proc.join("net").join(file), text).expect("set up");
        }
        let nics = list(&places);
        assert_eq!(nics.len(), 2);
        assert_eq!(nics[0].name, "eth0");
        assert_eq!(nics[0].mac, "525400123456");
        assert_eq!(nics[0].speed, Some(1_000_000_000));
        assert_eq!(nics[0].addresses, [(IpAddr::from([10, 0, 2, 15]), 24)]);
        assert_eq!(nics[1].mac, "");
        assert_eq!(nics[1].speed, None);
        assert_eq!(
            nics[1].addresses,
            [
                (IpAddr::from([127, 0, 0, 1]), 8),
                (IpAddr::V6(Ipv6Addr::LOCALHOST), 128)
            ]
        );
    }
}
