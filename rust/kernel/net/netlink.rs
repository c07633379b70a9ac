// SPDX-License-Identifier: GPL-2.0

//! Netlink attributes: policies, and iteration.
//!
//! C header: [`include/net/netlink.h`](srctree/include/net/netlink.h)

use wg_bindings as bindings;

/// The policy of an attribute: which payloads are accepted.
///
/// Attributes are looked up by their type in a table of policies, which [`Policy::table`] makes.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Policy(bindings::nla_policy);

// SAFETY: Plain data, and the tables that it points to are static and shareable.
unsafe impl Sync for Policy {}

// SAFETY: Plain data, and the tables that it points to are static and shareable.
unsafe impl Send for Policy {}

/// The part of a policy that depends on the sort of validation.
type Validation = bindings::nla_policy__bindgen_ty_1;

impl Policy {
    /// Nothing is accepted.
    pub const UNSPEC: Self = Self::new(bindings::NLA_UNSPEC, NONE, 0, Validation { mask: 0 });

    /// An integer of 8 bits.
    pub const U8: Self = Self::new(bindings::NLA_U8, NONE, 0, Validation { mask: 0 });

    /// An integer of 16 bits.
    pub const U16: Self = Self::new(bindings::NLA_U16, NONE, 0, Validation { mask: 0 });

    /// An integer of 32 bits.
    pub const U32: Self = Self::new(bindings::NLA_U32, NONE, 0, Validation { mask: 0 });

    /// An integer of 64 bits.
    pub const U64: Self = Self::new(bindings::NLA_U64, NONE, 0, Validation { mask: 0 });

    /// An integer of 32 bits, without bits outside of `mask`.
    pub const fn mask_u32(mask: u32) -> Self {
        Self::new(bindings::NLA_U32, MASK, 0, Validation { mask })
    }

    /// As many bytes as given.
    #[inline]
    pub const fn exact_len(len: usize) -> Self {
        let len = Self::len(len);
        let range = Range { min: len, max: len };
        let range = Validation {
            __bindgen_anon_1: range,
        };
        Self::new(bindings::NLA_BINARY, RANGE, 0, range)
    }

    /// As many bytes as given, or more.
    #[inline]
    pub const fn min_len(len: usize) -> Self {
        let range = Range {
            min: Self::len(len),
            max: 0,
        };
        let range = Validation {
            __bindgen_anon_1: range,
        };
        Self::new(bindings::NLA_BINARY, MIN, 0, range)
    }

    /// A string of that length at most, followed by a null byte.
    pub const fn nul_string(max: u16) -> Self {
        Self::new(bindings::NLA_NUL_STRING, NONE, max, Validation { mask: 0 })
    }

    /// Any number of nests, each of which contains attributes by the policies of the table. Panics without
    /// any, as [`Policy::table`] does.
    #[inline]
    pub const fn nested_array(table: &'static [Policy]) -> Self {
        let (nested_policy, max) = Self::as_raw(table);
        Self::new(
            bindings::NLA_NESTED_ARRAY,
            NONE,
            max,
            Validation { nested_policy },
        )
    }

    /// Makes a table of rows, each of which is an attribute type and its policy. Attributes without a
    /// row are rejected.
    ///
    /// The size of the table, at most 128, determines the greatest type, which is one less than its length.
    ///
    /// # Panics
    ///
    /// If there is no room for a row, or there are two for one type. This function is for initialising
    /// statics, so that it panics at compile time.
    pub const fn table<const N: usize, const ROWS: usize>(rows: [(u16, Self); ROWS]) -> [Self; N] {
        const { assert!(N <= 128 && ROWS <= N) };
        let mut table = [Self::UNSPEC; N];
        let mut at = 0;
        while at < ROWS {
            let (type_, policy) = rows[at];
            let place = &mut table[type_ as usize];
            assert!(place.is_unspec(), "an attribute has two policies");
            *place = policy;
            at += 1;
        }
        table
    }

    /// Returns whether nothing is accepted.
    const fn is_unspec(&self) -> bool {
        self.0.type_ as u32 == bindings::NLA_UNSPEC
    }

    /// Returns a length in the type that policies have for it, or panics, as [`Policy::table`] does.
    #[inline]
    const fn len(len: usize) -> i16 {
        assert!(len <= i16::MAX as usize, "the length is too large");
        // CAST: This was just asserted.
        len as i16
    }

    /// Returns a table in the form that C expects, with the greatest attribute type. Panics, as
    /// [`Policy::table`] does, if there are no rows: C would take attributes as they are.
    #[inline]
    pub(super) const fn as_raw(table: &'static [Policy]) -> (*const bindings::nla_policy, u16) {
        // CAST: `Policy` is transparent. The length was checked.
        match table.len() {
            0 => panic!("there is no policy"),
            n if n <= 1 << 16 => (table.as_ptr().cast(), n.wrapping_sub(1) as u16),
            _ => (table.as_ptr().cast(), u16::MAX),
        }
    }

    /// Makes a policy.
    const fn new(
        type_: u32,
        validation: bindings::nla_policy_validation,
        len: u16,
        details: Validation,
    ) -> Self {
        Self(bindings::nla_policy {
            // CAST: The enumerations have few items.
            type_: type_ as u8,
            validation_type: validation as u8,
            len,
            __bindgen_anon_1: details,
        })
    }
}

/// The range of a length.
type Range = bindings::nla_policy__bindgen_ty_1__bindgen_ty_1;

/// Validation of the type only.
const NONE: bindings::nla_policy_validation = bindings::nla_policy_validation_NLA_VALIDATE_NONE;

/// Validation by a mask.
const MASK: bindings::nla_policy_validation = bindings::nla_policy_validation_NLA_VALIDATE_MASK;

/// Validation by a range.
const RANGE: bindings::nla_policy_validation = bindings::nla_policy_validation_NLA_VALIDATE_RANGE;

/// Validation by a minimum.
const MIN: bindings::nla_policy_validation = bindings::nla_policy_validation_NLA_VALIDATE_MIN;

/// Calls `f` with the type and payload of each attribute in `bytes`, up to the first bad one.
pub(super) fn for_each_mut(mut bytes: &mut [u8], mut f: impl FnMut(u16, &mut [u8])) {
    /// Length of the header of an attribute.
    const HEADER_LEN: usize = 4;

    while let Some((&mut [l0, l1, t0, t1], rest)) = bytes.split_first_chunk_mut::<HEADER_LEN>() {
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        // CAST: Cuts off a sign.
        let type_ = u16::from_ne_bytes([t0, t1]) & bindings::NLA_TYPE_MASK as u16;
        let Some(len) = len.checked_sub(HEADER_LEN) else {
            return;
        };
        let Some((payload, rest)) = rest.split_at_mut_checked(len) else {
            return;
        };
        f(type_, payload);
        let padding = len.wrapping_neg() % bindings::NLA_ALIGNTO as usize;
        bytes = rest.get_mut(padding..).unwrap_or_default();
    }
}

/// Zeroes bytes, and is not optimised away.
pub(super) fn wipe(bytes: &mut [u8]) {
    // SAFETY: The bytes are borrowed mutably.
    unsafe { bindings::memzero_explicit(bytes.as_mut_ptr().cast(), bytes.len()) };
}
