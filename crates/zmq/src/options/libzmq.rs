//! What became of libzmq's options: which exist here by the same name, what takes the place of
//! others, and why some are missing.
//!
//! The names are those of `zmq.h` of libzmq 4.3.5, drafts and deprecated ones included, without
//! `ZMQ_` and in lower case.

use super::{OptionError, TABLE};

/// The longest unknown name that an error shows.
const NAME_CHARS_MAX: usize = 64;

const GSSAPI: &str = "there is no GSSAPI; curve_server and curve_serverkey secure a connection";
const WSS: &str = "there is no ws or wss transport";
const MULTICAST: &str = "there is no pgm, epgm, norm or udp transport; RADIO goes by tcp";
const VMCI: &str = "there is no vmci transport";
const FILTER: &str = "libzmq has deprecated it; an Authenticator sees addresses";
const METHOD: &str = "it is a method: subscribe, unsubscribe";
const BATCH: &str = "reads follow page_size, and writes the traffic";

/// Those that are none here, and what there is instead.
pub(super) const FOREIGN: &[(&str, &str)] = &[
    ("affinity", "there are no I/O threads to choose among; who calls does the work"),
    ("blocky", "a context has no end that waits; a socket has linger and close"),
    ("busy_poll", "spin looks for messages before it sleeps, without the kernel's help"),
    ("connect_rid", "its name is connect_routing_id"),
    ("delay_attach_on_connect", "its name is immediate"),
    ("disconnect_msg", "a Monitor tells of peers that go, and a STREAM's user receives it"),
    ("events", "it is a method: poll, or poll_async, tell what a socket is ready for"),
    ("fail_unroutable", "its name is router_mandatory"),
    ("fd", "it is AsFd of a socket; poll waits for several"),
    ("gssapi_plaintext", GSSAPI),
    ("gssapi_principal", GSSAPI),
    ("gssapi_principal_nametype", GSSAPI),
    ("gssapi_server", GSSAPI),
    ("gssapi_service_principal", GSSAPI),
    ("gssapi_service_principal_nametype", GSSAPI),
    ("hello_msg", "probe_router greets a ROUTER; a Monitor says when to send what else there is"),
    ("hiccup_msg", "a Monitor tells of connections that are lost and made again"),
    ("hwm", "there are two: sndhwm and rcvhwm"),
    ("identity", "its name is routing_id"),
    ("in_batch_size", BATCH),
    ("io_threads", "there are no I/O threads; who calls does the work"),
    ("ipc_filter_gid", FILTER),
    ("ipc_filter_pid", FILTER),
    ("ipc_filter_uid", FILTER),
    ("ipv4only", "it is the opposite of ipv6"),
    ("last_endpoint", "it is what bind returns"),
    ("loopback_fastpath", "it is Windows', and there is none here"),
    ("mechanism", "it follows from plain_server, plain_username, curve_server, curve_serverkey"),
    ("multicast_hops", MULTICAST),
    ("multicast_loop", MULTICAST),
    ("multicast_maxtpdu", MULTICAST),
    ("norm_block_size", MULTICAST),
    ("norm_buffer_size", MULTICAST),
    ("norm_mode", MULTICAST),
    ("norm_num_autoparity", MULTICAST),
    ("norm_num_parity", MULTICAST),
    ("norm_push", MULTICAST),
    ("norm_segment_size", MULTICAST),
    ("norm_unicast_nack", MULTICAST),
    ("out_batch_size", BATCH),
    ("rate", MULTICAST),
    ("rcvmore", "a message comes whole, with all its frames"),
    ("recovery_ivl", MULTICAST),
    ("router_behavior", "its name is router_mandatory"),
    ("router_notify", "a Monitor tells of peers that come and go"),
    ("router_raw", "a STREAM has peers that do not speak ZMTP"),
    ("subscribe", METHOD),
    ("tcp_accept_filter", FILTER),
    ("thread_safe", "every socket is; share it in an Arc"),
    ("topics_count", "it is a method: topics_count"),
    ("type", "it is a method: kind"),
    ("unsubscribe", METHOD),
    ("use_fd", "descriptors that were made elsewhere are not taken over"),
    ("vmci_buffer_max_size", VMCI),
    ("vmci_buffer_min_size", VMCI),
    ("vmci_buffer_size", VMCI),
    ("vmci_connect_timeout", VMCI),
    ("wss_cert_pem", WSS),
    ("wss_hostname", WSS),
    ("wss_key_pem", WSS),
    ("wss_trust_pem", WSS),
    ("wss_trust_system", WSS),
];

/// Those here that libzmq does not have.
#[cfg(test)]
pub(super) const OWN: &[&str] = &["handshakes_max", "page_size", "spin", "spin_tasks"];

/// Says of a name that is no option here what it may be.
pub(super) fn unknown(name: &str) -> OptionError {
    let plain = name.to_ascii_lowercase();
    let plain = plain.strip_prefix("zmq_").unwrap_or(&plain);
    if let Some((name, why)) = FOREIGN.iter().find(|(foreign, _)| *foreign == plain) {
        return OptionError::Foreign { name, why };
    }
    let near = nearest(plain);
    OptionError::Unknown { name: name.chars().take(NAME_CHARS_MAX).collect(), near }
}

/// The option whose name takes the fewest typing errors to become this one, if that are few.
fn nearest(name: &str) -> Option<&'static str> {
    if name.chars().count() > NAME_CHARS_MAX {
        return None;
    }
    let distances = TABLE.iter().map(|row| (distance(row.name, name), row.name));
    let (errors, near) = distances.min()?;
    (errors <= 1 + name.len() / 4).then_some(near)
}

/// How many bytes to insert, remove or replace make one text the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (row, left) in one.bytes().enumerate() {
        let mut below = vec![row + 1];
        for (column, right) in other.bytes().enumerate() {
            let replaced = above[column] + usize::from(left != right);
            below.push(replaced.min(above[column + 1] + 1).min(below[column] + 1));
        }
        above = below;
    }
    above[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The options of a socket in `zmq.h`, in its order, for which there is a name here.
    const SAME: &str = "routing_id sndbuf rcvbuf linger reconnect_ivl backlog reconnect_ivl_max \
        maxmsgsize sndhwm rcvhwm rcvtimeo sndtimeo router_mandatory tcp_keepalive \
        tcp_keepalive_cnt tcp_keepalive_idle tcp_keepalive_intvl immediate xpub_verbose ipv6 \
        plain_server plain_username plain_password curve_server curve_publickey curve_secretkey \
        curve_serverkey probe_router req_correlate req_relaxed conflate zap_domain \
        router_handover tos connect_routing_id handshake_ivl socks_proxy xpub_nodrop xpub_manual \
        xpub_welcome_msg stream_notify invert_matching heartbeat_ivl heartbeat_ttl \
        heartbeat_timeout xpub_verboser connect_timeout tcp_maxrt bindtodevice \
        zap_enforce_domain metadata xpub_manual_last_value socks_username socks_password \
        only_first_subscribe reconnect_stop priority xsub_verbose_unsubscribe";

    #[test]
    fn each_option_is_libzmqs_or_our_own_and_none_is_both_here_and_missing() {
        for row in TABLE {
            let same = SAME.split_whitespace().any(|name| name == row.name);
            assert_ne!(same, OWN.contains(&row.name), "{}", row.name);
            assert!(FOREIGN.iter().all(|(name, _)| *name != row.name), "{}", row.name);
        }
        for name in SAME.split_whitespace().chain(OWN.iter().copied()) {
            assert!(TABLE.iter().any(|row| row.name == name), "{name}");
        }
        assert!(FOREIGN.is_sorted());
    }

    #[test]
    fn a_name_that_is_nearly_one_is_recognised() {
        let near = |name: &str| match unknown(name) {
            OptionError::Unknown { near, .. } => near,
            _ => None,
        };
        assert_eq!(near("sndhwn"), Some("sndhwm"));
        assert_eq!(near("ZMQ_SNDHWM"), Some("sndhwm"));
        assert_eq!(near("warp_speed"), None);
        assert_eq!(near(&"x".repeat(10_000)), None);
        assert_eq!((distance("", "ab"), distance("kitten", "sitting")), (2, 3));
    }

    #[test]
    fn what_libzmq_has_and_we_do_not_is_told() {
        let error = unknown("ZMQ_IDENTITY").to_string();
        assert_eq!(error, "libzmq's option identity is none here: its name is routing_id");
        assert!(matches!(unknown("use_fd"), OptionError::Foreign { name: "use_fd", .. }));
    }
}
