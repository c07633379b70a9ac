// SPDX-License-Identifier: GPL-2.0

//! The three messages as transitions.

/// Who began a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We did.
    Initiator,
    /// The peer did.
    Responder,
}
