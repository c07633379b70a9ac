// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family: `wg show` and `wg set`.

mod get;
mod set;

use crate::{
    config::Config,
    device::WireGuard, //
};
use wg_kernel::{
    net::{
        genetlink::{
            Descriptor,
            Family,
            Operation,
            Request, //
        },
        netdevice::DeviceRef,
        netlink::Policy, //
    },
    prelude::*, //
};
use wg_proto::uapi;

/// An interface that a request is about.
type Interface = DeviceRef<WireGuard>;

/// The family.
pub(crate) struct Genl;

/// The registration of the family.
static DESCRIPTOR: Descriptor<Genl> = Descriptor::new();

/// A key.
const KEY: Policy = Policy::exact_len(uapi::WG_KEY_LEN);

/// Attributes of an allowed IP.
static ALLOWED_IP_POLICY: [Policy; uapi::WGALLOWEDIP_A_MAX as usize + 1] = Policy::table([
    (uapi::WGALLOWEDIP_A_FAMILY, Policy::U16),
    (uapi::WGALLOWEDIP_A_IPADDR, Policy::min_len(4)),
    (uapi::WGALLOWEDIP_A_CIDR_MASK, Policy::U8),
    (
        uapi::WGALLOWEDIP_A_FLAGS,
        Policy::mask_u32(uapi::WGALLOWEDIP_F_ALL),
    ),
]);

/// Attributes of a peer.
static PEER_POLICY: [Policy; uapi::WGPEER_A_MAX as usize + 1] = Policy::table([
    (uapi::WGPEER_A_PUBLIC_KEY, KEY),
    (uapi::WGPEER_A_PRESHARED_KEY, KEY),
    (uapi::WGPEER_A_FLAGS, Policy::mask_u32(uapi::WGPEER_F_ALL)),
    (uapi::WGPEER_A_ENDPOINT, Policy::min_len(16)),
    (uapi::WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, Policy::U16),
    (uapi::WGPEER_A_LAST_HANDSHAKE_TIME, Policy::exact_len(16)),
    (uapi::WGPEER_A_RX_BYTES, Policy::U64),
    (uapi::WGPEER_A_TX_BYTES, Policy::U64),
    (
        uapi::WGPEER_A_ALLOWEDIPS,
        Policy::nested_array(&ALLOWED_IP_POLICY),
    ),
    (uapi::WGPEER_A_PROTOCOL_VERSION, Policy::U32),
]);

/// Attributes of a request to get.
static GET_POLICY: [Policy; uapi::WGDEVICE_A_IFNAME as usize + 1] = Policy::table([
    (uapi::WGDEVICE_A_IFINDEX, Policy::U32),
    (uapi::WGDEVICE_A_IFNAME, Policy::nul_string(15)),
]);

/// Attributes of a request to set.
static SET_POLICY: [Policy; uapi::WGDEVICE_A_MAX as usize + 1] = Policy::table([
    (uapi::WGDEVICE_A_IFINDEX, Policy::U32),
    (uapi::WGDEVICE_A_IFNAME, Policy::nul_string(15)),
    (uapi::WGDEVICE_A_PRIVATE_KEY, KEY),
    (uapi::WGDEVICE_A_PUBLIC_KEY, KEY),
    (
        uapi::WGDEVICE_A_FLAGS,
        Policy::mask_u32(uapi::WGDEVICE_F_ALL),
    ),
    (uapi::WGDEVICE_A_LISTEN_PORT, Policy::U16),
    (uapi::WGDEVICE_A_FWMARK, Policy::U32),
    (uapi::WGDEVICE_A_PEERS, Policy::nested_array(&PEER_POLICY)),
]);

impl Family for Genl {
    const NAME: &'static CStr = uapi::WG_GENL_NAME;
    const VERSION: u8 = uapi::WG_GENL_VERSION;
    const OPERATIONS: &'static [Operation] = &[
        Operation::dump::<get::Dump>(),
        Operation::doit::<set::Set>(),
    ];

    fn descriptor() -> &'static Descriptor<Self> {
        &DESCRIPTOR
    }
}

/// Returns the interface that a request is about.
///
/// # Errors
///
/// [`EBADR`] unless it is named in exactly one way, [`ENODEV`] if there is none, [`EOPNOTSUPP`] if it is not
/// a WireGuard interface.
fn interface(request: &Request<'_>) -> Result<Interface> {
    let index = array(request, uapi::WGDEVICE_A_IFINDEX).map(|index| u32::from_ne_bytes(*index));
    let name = request.attr(uapi::WGDEVICE_A_IFNAME);
    if index.is_some() == name.is_some() {
        return Err(EBADR);
    }
    request.device(index, name)
}

/// Calls `f` with the configuration of an interface, with RTNL held.
fn with_config<R>(interface: &Interface, f: impl FnOnce(&mut Config) -> R) -> R {
    let rtnl = rtnetlink::lock();
    let result = f(&mut interface.data().config.lock());
    drop(rtnl);
    result
}

/// Returns an attribute of `N` bytes.
fn array<'a, const N: usize>(request: &'a Request<'_>, kind: u16) -> Option<&'a [u8; N]> {
    request.attr(kind)?.first_chunk()
}
