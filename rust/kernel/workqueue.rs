// SPDX-License-Identifier: GPL-2.0

//! Workqueues of the module's own, and work on a chosen CPU.
//!
//! Work items are those of [`kernel::workqueue`]; this module has the queues. Items may also be in an
//! [`RcuArc`].
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use crate::{
    module::Live,
    sync::rcu::{
        Object,
        RcuArc, //
    }, //
};
use core::ptr::NonNull;
use kernel::{
    ffi::c_int,
    impl_flags,
    prelude::*,
    sync::Arc,
    task::might_sleep,
    workqueue::{
        HasWork,
        RawWorkItem,
        Work,
        WorkItem,
        WorkItemPointer, //
    }, //
};
use wg_bindings as bindings;

impl_flags!(
    /// How the items of a queue are run.
    #[derive(Clone, Copy)]
    pub struct Flags(u32);

    /// One of the [`Flags`].
    #[derive(Clone, Copy)]
    pub enum Flag {
        /// Not bound to the CPU that enqueued the item.
        Unbound = bindings::wq_flags_WQ_UNBOUND,
        /// Frozen during suspend.
        Freezable = bindings::wq_flags_WQ_FREEZABLE,
        /// Has a rescuer: may be needed to reclaim memory.
        MemReclaim = bindings::wq_flags_WQ_MEM_RECLAIM,
        /// Items use much CPU and do not hold up others of the same CPU.
        CpuIntensive = bindings::wq_flags_WQ_CPU_INTENSIVE,
        /// Items run on the CPU they were enqueued on.
        PerCpu = bindings::wq_flags_WQ_PERCPU,
    }
);

/// An owned workqueue.
///
/// Dropping it runs all enqueued items, waits for them, and frees the queue; it must happen in
/// process context.
///
/// # Invariants
///
/// The pointer is that of a valid workqueue, which is ours.
pub struct OwnedQueue(NonNull<bindings::workqueue_struct>, Live);

// SAFETY: Workqueues may be used and destroyed from any thread.
unsafe impl Send for OwnedQueue {}
// SAFETY: Workqueues lock by themselves.
unsafe impl Sync for OwnedQueue {}

impl OwnedQueue {
    /// Creates a queue named `prefix-name`.
    ///
    /// At most `max_active` items run at once, on each CPU if the queue is per CPU; 0 stands for
    /// the kernel's default.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it, [`ENODEV`] if there is no [`End`](crate::module::End)
    /// of the module.
    pub fn new(prefix: &CStr, name: &CStr, flags: Flags, max_active: i32) -> Result<Self> {
        let live = Live::new()?;
        // SAFETY: Both strings are NUL-terminated and copied.
        let queue = unsafe {
            bindings::wg_alloc_workqueue(
                prefix.as_char_ptr(),
                name.as_char_ptr(),
                flags.0,
                max_active,
            )
        };
        // INVARIANT: A pointer that is not null is that of a new queue.
        Ok(Self(NonNull::new(queue).ok_or(ENOMEM)?, live))
    }

    /// Enqueues `work`, on the current CPU if the queue is per CPU.
    #[inline]
    pub fn enqueue<W, const ID: u64>(&self, work: W) -> W::EnqueueOutput
    where
        W: RawWorkItem<ID> + Send + 'static,
    {
        let any = kernel::bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int;
        self.enqueue_raw(any, work)
    }

    /// Enqueues `work` on `cpu`; if this queue is running it on another CPU, on that.
    #[inline]
    pub fn enqueue_on<W, const ID: u64>(&self, cpu: crate::cpu::Active, work: W) -> W::EnqueueOutput
    where
        W: RawWorkItem<ID> + Send + 'static,
    {
        self.enqueue_raw(cpu.as_raw() as c_int, work)
    }

    #[inline]
    fn enqueue_raw<W, const ID: u64>(&self, cpu: c_int, work: W) -> W::EnqueueOutput
    where
        W: RawWorkItem<ID> + Send + 'static,
    {
        let enqueue = |item: *mut kernel::bindings::work_struct| {
            // SAFETY: By the type invariants the queue is valid, and `__enqueue` gives a valid
            // item that stays so until it is run. CAST: Both are `struct work_struct`.
            unsafe { bindings::queue_work_on(cpu, self.0.as_ptr(), item.cast()) }
        };
        // SAFETY: The closure returns `false` only if the item is enqueued already. `W` is `Send`
        // and static.
        unsafe { work.__enqueue(enqueue) }
    }

    /// Waits until all items that are enqueued now have run. Process context only.
    pub fn flush(&self) {
        might_sleep();
        // SAFETY: By the type invariants, the queue is valid.
        unsafe { bindings::wg_flush_workqueue(self.0.as_ptr()) };
    }
}

/// Removes an item from the queue that it waits in, and returns whether it was waiting in one. If so, it
/// is not run; otherwise it may be running.
///
/// The item must not be a delayed one. May be called from any context. While this looks, enqueueing the item
/// fails, as if it were enqueued already.
pub fn cancel<T, const ID: u64>(item: &Arc<T>) -> bool
where
    T: WorkItem<ID, Pointer = Arc<T>> + HasWork<T, ID>,
{
    let data = Arc::as_ptr(item);
    // SAFETY: `data` points at a valid object.
    let cancelled = unsafe { cancel_raw::<T, ID>(data) };
    if cancelled {
        // SAFETY: Items of `T` are enqueued by `__enqueue` of an `Arc` only, which gave a reference up
        // that `run`, which is not called now, would have taken back.
        drop(unsafe { Arc::from_raw(data) });
    }
    cancelled
}

/// As [`cancel`], for what is in an [`RcuArc`].
pub fn cancel_rcu<T, const ID: u64>(item: &RcuArc<T>) -> bool
where
    T: Object + WorkItem<ID, Pointer = RcuArc<T>> + HasWork<T, ID>,
{
    let data = RcuArc::into_raw(item.clone());
    // SAFETY: `data` points at a valid object.
    let cancelled = unsafe { cancel_raw::<T, ID>(data) };
    if cancelled {
        // SAFETY: Items of `T` are enqueued by `__enqueue` of an `RcuArc` only, which gave a reference up
        // that `run`, which is not called now, would have taken back.
        drop(unsafe { RcuArc::from_raw(data) });
    }
    // SAFETY: The reference was given up above.
    drop(unsafe { RcuArc::from_raw(data) });
    cancelled
}

/// Removes the item of an object from its queue, and returns whether it was waiting in one.
///
/// # Safety
///
/// `data` must point at a valid object.
unsafe fn cancel_raw<T, const ID: u64>(data: *const T) -> bool
where
    T: WorkItem<ID> + HasWork<T, ID>,
{
    // SAFETY: By the safety requirements of this function.
    let work = unsafe { T::raw_get_work(data.cast_mut()) };
    // SAFETY: `work` points at a valid item.
    let raw = unsafe { Work::raw_get(work) };
    // SAFETY: The item is valid and was set up by `Work::new`. CAST: Both are `struct work_struct`.
    unsafe { bindings::cancel_work(raw.cast()) }
}

impl Drop for OwnedQueue {
    fn drop(&mut self) {
        might_sleep();
        // SAFETY: By the type invariants, the queue is valid and ours.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}

// SAFETY: `__enqueue` uses the `work_struct` of the `Work` field, which `Work::new` has set up
// with `T::Pointer::run`, that is, with the function below.
unsafe impl<T, const ID: u64> WorkItemPointer<ID> for RcuArc<T>
where
    T: Object + WorkItem<ID, Pointer = Self> + HasWork<T, ID>,
{
    unsafe extern "C" fn run(ptr: *mut kernel::bindings::work_struct) {
        // CAST: `__enqueue` uses a `work_struct` that is a `Work<T, ID>`.
        let work = ptr.cast::<Work<T, ID>>();
        // SAFETY: The item lies in a `T`.
        let data = unsafe { T::work_container_of(work) };
        // SAFETY: `__enqueue` got the pointer from `into_raw` and gave the reference up.
        T::run(unsafe { RcuArc::from_raw(data) })
    }
}

// SAFETY: The pointer is that of an item in an object with a reference that is given up only if
// the item was enqueued, and is taken back in `run`.
unsafe impl<T, const ID: u64> RawWorkItem<ID> for RcuArc<T>
where
    T: Object + WorkItem<ID, Pointer = Self> + HasWork<T, ID>,
{
    type EnqueueOutput = Result<(), Self>;

    #[inline]
    unsafe fn __enqueue<F>(self, queue_work_on: F) -> Self::EnqueueOutput
    where
        F: FnOnce(*mut kernel::bindings::work_struct) -> bool,
    {
        let data = RcuArc::into_raw(self);
        // SAFETY: `data` points at a valid object.
        let work = unsafe { T::raw_get_work(data.cast_mut()) };
        // SAFETY: `work` points at a valid item.
        let item = unsafe { Work::raw_get(work) };

        if queue_work_on(item) {
            Ok(())
        } else {
            // SAFETY: The queue did not take the reference.
            Err(unsafe { RcuArc::from_raw(data) })
        }
    }
}
