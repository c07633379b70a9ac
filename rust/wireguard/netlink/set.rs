// SPDX-License-Identifier: GPL-2.0

//! Changing the configuration of an interface.
//!
//! A request is carried out in order, and stops at the first error; what was done before it stays.

use super::{
    array,
    interface,
    with_config,
    SET_POLICY, //
};
use crate::{
    config::Config,
    device::Device,
    endpoint::Source,
    peer::Peer, //
};
use wg_kernel::{
    net::{
        genetlink::{
            Do,
            Request, //
        },
        netlink::Policy, //
    },
    prelude::*, //
};
use wg_proto::{
    secret,
    uapi::{
        self,
        AllowedIpRequest,
        EndpointRequest,
        PeerRequest, //
    }, //
};

/// The operation.
pub(super) struct Set;

impl Do for Set {
    const COMMAND: u8 = uapi::WG_CMD_SET_DEVICE;
    const POLICY: &'static [Policy] = &SET_POLICY;

    fn doit(request: &mut Request<'_>) -> Result {
        let result = set(request);
        secret::wipe_stack();
        request.wipe(uapi::WGDEVICE_A_PRIVATE_KEY);
        request.wipe_nested(uapi::WGDEVICE_A_PEERS, uapi::WGPEER_A_PRESHARED_KEY);
        result
    }
}

/// Carries out a request.
///
/// Not inlined, so that everything it leaves on the stack lies below the frame of the caller that wipes it.
#[inline(never)]
fn set(request: &Request<'_>) -> Result {
    let interface = interface(request)?;
    let device = interface.data();
    let (result, grave) = with_config(&interface, |config| {
        let result = change(device, config, request);
        // Changes before an error take effect, all together.
        let published = device.publish_allowed_ips(config);
        (result.and(published), device.bury_dead(config))
    });
    grave.clear();
    result
}

fn change(device: &Arc<Device>, config: &mut Config, request: &Request<'_>) -> Result {
    let u32_attr = |kind| array(request, kind).map(|bytes| u32::from_ne_bytes(*bytes));
    let port = array(request, uapi::WGDEVICE_A_LISTEN_PORT).map(|port| u16::from_ne_bytes(*port));
    let fwmark = u32_attr(uapi::WGDEVICE_A_FWMARK);
    let flags = u32_attr(uapi::WGDEVICE_A_FLAGS).unwrap_or(0);

    let about_sockets = port.is_some() || fwmark.is_some();
    if about_sockets && !device.transport_net.ns_capable_net_admin() {
        return Err(EPERM);
    }
    config.begin_change();

    if let Some(mark) = fwmark {
        device.set_fwmark(mark);
        config
            .peers()
            .for_each(|peer| peer.clear_source(GFP_KERNEL));
    }
    if let Some(port) = port {
        device.change_port(config, port)?;
    }
    if flags & uapi::WGDEVICE_F_REPLACE_PEERS != 0 {
        device.remove_all_peers(config);
    }
    if let Some(private_key) = array(request, uapi::WGDEVICE_A_PRIVATE_KEY) {
        device.change_private_key(config, private_key)?;
    }
    if let Some(peers) = request.attr(uapi::WGDEVICE_A_PEERS) {
        for peer in uapi::peers(peers) {
            let peer = peer.and_then(PeerRequest::parse).map_err(errno)?;
            change_peer(device, config, &peer)?;
        }
    }
    Ok(())
}

fn change_peer(device: &Arc<Device>, config: &mut Config, request: &PeerRequest<'_>) -> Result {
    let mut flags = request.flags;
    let peer = match device.find_peer(request.public_key) {
        Some(peer) => peer,
        None => {
            let absent_is_fine = uapi::WGPEER_F_REMOVE_ME | uapi::WGPEER_F_UPDATE_ONLY;
            let ourselves = device
                .identity()
                .is_some_and(|identity| identity.public() == request.public_key);
            if flags & absent_is_fine != 0 || ourselves {
                return Ok(());
            }
            flags &= !uapi::WGPEER_F_REPLACE_ALLOWEDIPS;
            device.create_peer(config, request.public_key, request.preshared_key)?
        }
    };
    if flags & uapi::WGPEER_F_REMOVE_ME != 0 {
        device.remove_peer(config, &peer);
        return Ok(());
    }

    if let Some(key) = request.preshared_key {
        peer.keying.lock().set_preshared_key(key);
    }
    if let Some(endpoint) = request.endpoint {
        peer.try_set_endpoint(address(endpoint), Source::None, GFP_KERNEL)?;
    }
    if flags & uapi::WGPEER_F_REPLACE_ALLOWEDIPS != 0 {
        device.clear_allowed_ips(config, &peer)?;
    }
    if let Some(allowed_ips) = request.allowed_ips {
        change_allowed_ips(device, config, &peer, allowed_ips)?;
    }
    if let Some(interval) = request.persistent_keepalive {
        let state = &peer.timer_state.persistent_keepalive;
        let old = state.xchg(u32::from(interval), Relaxed);
        if old == 0 && interval != 0 && device.is_running() {
            Peer::send_keepalive(peer.borrow());
        }
    }
    if device.is_running() {
        Peer::send_staged(peer.borrow());
    }
    Ok(())
}

fn change_allowed_ips(
    device: &Device,
    config: &mut Config,
    peer: &RcuArc<Peer>,
    allowed_ips: &[u8],
) -> Result {
    for allowed_ip in uapi::allowed_ips(allowed_ips) {
        let AllowedIpRequest { prefix, remove } = allowed_ip
            .and_then(AllowedIpRequest::parse)
            .map_err(errno)?;
        device.change_allowed_ip(config, peer, prefix, remove)?;
    }
    Ok(())
}

/// Returns the address that a request names.
fn address(endpoint: EndpointRequest) -> SocketAddr {
    match endpoint {
        EndpointRequest::V4 { addr, port } => SocketAddr::V4 { addr, port },
        EndpointRequest::V6 {
            addr,
            port,
            flowinfo,
            scope_id,
        } => SocketAddr::V6 {
            addr,
            port,
            flowinfo,
            scope_id,
        },
    }
}

/// Returns the error number that stands for an error in a request.
fn errno(error: uapi::Error) -> Error {
    match error {
        uapi::Error::Invalid => EINVAL,
        uapi::Error::ProtocolVersion => EPFNOSUPPORT,
    }
}
