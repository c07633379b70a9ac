// SPDX-License-Identifier: GPL-2.0
//
// A family's functions say of what type its routes are: nobody else may.
//
// refused: E0277
// says: `Family` is a "sealed trait"

#![forbid(unsafe_code)]

use wg_kernel::net::family::Family;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mine {}

impl Family for Mine {}
