// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family: `wg show` and `wg set`.

mod get;
mod set;

use crate::{
    config::Config,
    device::WireGuard, //
};
use kernel::prelude::*;
use wg_kernel::net::{
    genetlink::{
        Descriptor,
        DumpMessage,
        Family,
        Progress,
        Request, //
    },
    netdevice::DeviceRef,
    netlink::Policy,
    rtnetlink, //
};
use wg_proto::{
    secret,
    uapi, //
};

/// An interface that a request is about.
type Interface = DeviceRef<WireGuard>;

/// The family.
pub(crate) struct Genl;

/// What is registered for the family.
static DESCRIPTOR: Descriptor<Genl> = Descriptor::new();

/// Attributes of an allowed IP.
static ALLOWED_IP_POLICY: [Policy; uapi::WGALLOWEDIP_A_MAX as usize + 1] = [
    Policy::UNSPEC,
    Policy::U16,
    Policy::min_len(4),
    Policy::U8,
    Policy::mask_u32(uapi::WGALLOWEDIP_F_ALL),
];

/// Attributes of a peer.
static PEER_POLICY: [Policy; uapi::WGPEER_A_MAX as usize + 1] = [
    Policy::UNSPEC,
    Policy::exact_len(uapi::WG_KEY_LEN as i16),
    Policy::exact_len(uapi::WG_KEY_LEN as i16),
    Policy::mask_u32(uapi::WGPEER_F_ALL),
    Policy::min_len(16),
    Policy::U16,
    Policy::exact_len(16),
    Policy::U64,
    Policy::U64,
    Policy::nested_array(&ALLOWED_IP_POLICY),
    Policy::U32,
];

/// Attributes of a request to get.
static GET_POLICY: [Policy; uapi::WGDEVICE_A_IFNAME as usize + 1] =
    [Policy::UNSPEC, Policy::U32, Policy::nul_string(15)];

/// Attributes of a request to set.
static SET_POLICY: [Policy; uapi::WGDEVICE_A_MAX as usize + 1] = [
    Policy::UNSPEC,
    Policy::U32,
    Policy::nul_string(15),
    Policy::exact_len(uapi::WG_KEY_LEN as i16),
    Policy::exact_len(uapi::WG_KEY_LEN as i16),
    Policy::mask_u32(uapi::WGDEVICE_F_ALL),
    Policy::U16,
    Policy::U32,
    Policy::nested_array(&PEER_POLICY),
];

#[vtable]
impl Family for Genl {
    const NAME: &'static CStr = c"wireguard";
    const VERSION: u8 = uapi::WG_GENL_VERSION;
    const GET_COMMAND: u8 = uapi::WG_CMD_GET_DEVICE;
    const GET_POLICY: &'static [Policy] = &GET_POLICY;
    const SET_COMMAND: u8 = uapi::WG_CMD_SET_DEVICE;
    const SET_POLICY: &'static [Policy] = &SET_POLICY;

    type Dump = get::Dump;

    fn descriptor() -> &'static Descriptor<Self> {
        &DESCRIPTOR
    }

    fn start(request: &Request<'_>) -> Result<get::Dump> {
        Ok(get::Dump::new(interface(request)?))
    }

    fn dump(state: &mut get::Dump, message: &mut DumpMessage<'_>) -> Result<Progress> {
        state.fill(message)
    }

    fn set(request: &mut Request<'_>) -> Result {
        let result = set::set(request);
        secret::wipe_stack();
        request.wipe(uapi::WGDEVICE_A_PRIVATE_KEY);
        request.wipe_nested(uapi::WGDEVICE_A_PEERS, uapi::WGPEER_A_PRESHARED_KEY);
        result
    }
}

/// Returns the interface that a request is about.
///
/// # Errors
///
/// [`EBADR`] unless it is named in one way, [`ENODEV`] if there is none, [`EOPNOTSUPP`] if it is
/// none of ours.
fn interface(request: &Request<'_>) -> Result<Interface> {
    let index = u32_attr(request, uapi::WGDEVICE_A_IFINDEX);
    let name = request.attr(uapi::WGDEVICE_A_IFNAME);
    if index.is_some() == name.is_some() {
        return Err(wg_kernel::error::bad_request());
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

/// Returns an attribute that is an integer of 32 bits.
fn u32_attr(request: &Request<'_>, kind: u16) -> Option<u32> {
    let bytes = request.attr(kind)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

/// Returns an attribute that is an integer of 16 bits.
fn u16_attr(request: &Request<'_>, kind: u16) -> Option<u16> {
    let bytes = request.attr(kind)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}
