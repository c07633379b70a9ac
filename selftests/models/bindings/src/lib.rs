// SPDX-License-Identifier: GPL-2.0

//! The functions of the kernel that the modelled sources of `wg_kernel` call.

#![allow(non_camel_case_types, clippy::missing_safety_doc)]

mod timer;

pub use timer::*;

use kernel::model;

/// What RCU keeps of an object that is to be freed.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct callback_head(usize);

pub unsafe fn call_rcu(
    head: *mut callback_head,
    callback: Option<unsafe extern "C" fn(*mut callback_head)>,
) {
    // SAFETY: The head is the caller's for as long.
    model::call_rcu(move || unsafe { callback.expect("a callback")(head) });
}

pub unsafe fn get_state_synchronize_rcu() -> usize {
    model::grace_cookie()
}

pub unsafe fn cond_synchronize_rcu(cookie: usize) {
    model::wait_for_grace(cookie);
}

pub unsafe fn synchronize_net() {
    model::wait_for_grace(model::grace_cookie());
}
