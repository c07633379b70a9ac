// SPDX-License-Identifier: GPL-2.0

//! Errors.

use core::convert::Infallible;

/// The number of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error(pub i32);

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A result.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

pub mod code {
    //! The errors.

    use super::Error;

    pub const EEXIST: Error = Error(17);
    pub const EINVAL: Error = Error(22);
    pub const ENODEV: Error = Error(19);
    pub const ENOMEM: Error = Error(12);
}
