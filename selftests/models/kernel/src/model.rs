// SPDX-License-Identifier: GPL-2.0

//! One execution of a model, and what the kernel does in it: grace periods, work items.
//!
//! Loom runs all threads of a model as coroutines of one thread of the system, and switches between them
//! only at operations on its own objects. What is kept beside these is therefore changed in one step, but it
//! must follow an operation that loom sees, so that it tries the other orders, too.
//!
//! A grace period ends as early as it may: as soon as the last reader has left that had begun before it, and
//! the thread that notices it runs the callbacks, at once, unless it holds a lock or is a reader.

use core::{
    alloc::Layout,
    cell::{
        Cell,
        RefCell, //
    }, //
};
use loom::sync::atomic::{
    AtomicU64,
    Ordering, //
};
use std::{
    collections::{
        BTreeSet,
        HashMap, //
    },
    rc::Rc, //
};

pub use crate::workqueue::Works;

/// What freed memory is filled with.
pub(crate) const POISON: u8 = 0x6b;

/// What tells an object from freed memory.
const ALIVE: u32 = 0x600d_cafe;

/// How many atomics an execution may use.
const ATOMICS: usize = 1024;

/// How many threads switches are forced upon, by default: more take longer.
const PREEMPTIONS: usize = 2;

/// Is part of each object that freed memory must not be taken for.
pub struct Alive(Cell<u32>);

// SAFETY: A model runs in one thread of the system.
unsafe impl Sync for Alive {}

impl Alive {
    pub const fn new() -> Self {
        Self(Cell::new(ALIVE))
    }

    /// Fails if the object was freed.
    pub fn check(&self) {
        if !std::thread::panicking() {
            assert!(
                self.0.get() == ALIVE,
                "an object was used after it was freed"
            );
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(0);
    }
}

/// Says which of the execution's atomics an atomic is.
pub(crate) struct Place(Cell<(u64, usize)>);

impl Place {
    pub(crate) const fn new() -> Self {
        Self(Cell::new((0, 0)))
    }

    pub(crate) fn atomic(&self) -> Rc<AtomicU64> {
        let (execution, mut index) = self.0.get();
        STATE.with_borrow_mut(|state| {
            if execution != state.number {
                index = state.used;
                state.used += 1;
                self.0.set((state.number, index));
            }
            state.atomics.get(index).expect("enough atomics").clone()
        })
    }
}

struct Callback {
    waits_for: BTreeSet<u64>,
    call: Box<dyn FnOnce()>,
}

#[derive(Default)]
struct State {
    number: u64,
    atomics: Vec<Rc<AtomicU64>>,
    used: usize,
    boxes: isize,
    jiffies: u64,
    freed: Vec<(*mut u8, Layout)>,
    /// How many locks and guards each thread has.
    nesting: HashMap<loom::thread::ThreadId, isize>,
    /// Is changed whenever the following is.
    grace: Option<Rc<AtomicU64>>,
    last_reader: u64,
    readers: BTreeSet<u64>,
    callbacks: Vec<Callback>,
    cookies: Vec<BTreeSet<u64>>,
    works: Option<Rc<loom::sync::Mutex<Works>>>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
    static EXECUTIONS: Cell<u64> = const { Cell::new(0) };
}

/// The number of the last execution: no two have the same, and statics of the sources know it.
static LAST: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);

/// Is held by the model that runs, as the sources have statics.
static RUNNING: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn state<R>(f: impl FnOnce(&mut State) -> R) -> R {
    STATE.with_borrow_mut(f)
}

/// Runs `f` in all orders that its threads may run in, with as many forced switches as
/// `WG_MODELS_PREEMPTIONS` says.
pub fn check(f: impl Fn() + Send + Sync + 'static) {
    check_with(0, f);
}

/// Runs `f`, whose threads are few or short, with `more` forced switches than other models.
pub fn check_with(more: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    let bound = std::env::var("WG_MODELS_PREEMPTIONS").ok();
    let bound = bound.and_then(|bound| bound.parse().ok());
    builder.preemption_bound = Some(bound.unwrap_or(PREEMPTIONS) + more);
    builder.max_branches = 100_000;
    let _running = RUNNING
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    EXECUTIONS.set(0);
    builder.check(move || {
        begin();
        f();
        settle();
        end();
    });
    println!("# {} executions", EXECUTIONS.get());
}

fn begin() {
    EXECUTIONS.set(EXECUTIONS.get() + 1);
    let atomics = (0..ATOMICS).map(|_| Rc::new(AtomicU64::new(0))).collect();
    let new = State {
        number: 1 + LAST.fetch_add(1, core::sync::atomic::Ordering::Relaxed),
        atomics,
        grace: Some(Rc::new(AtomicU64::new(0))),
        works: Some(Rc::new(loom::sync::Mutex::new(Works::default()))),
        ..State::default()
    };
    drop(STATE.replace(new));
}

fn end() {
    let old = STATE.take();
    assert!(
        old.callbacks.is_empty(),
        "a callback waits for a reader that is gone"
    );
    assert_eq!(old.boxes, 0, "objects that were not freed");
    for (memory, layout) in &old.freed {
        // SAFETY: It was allocated with this layout, and given up.
        unsafe { std::alloc::dealloc(*memory, *layout) };
    }
}

/// Has all work done and all callbacks run. To be called when the other threads have ended.
pub fn settle() {
    loop {
        let done = crate::workqueue::run_one(|_, _| true);
        run_callbacks();
        if !done && state(|state| state.callbacks.is_empty()) {
            return;
        }
    }
}

/// Returns what holds the work items.
pub(crate) fn works() -> Rc<loom::sync::Mutex<Works>> {
    state(|state| state.works.clone()).expect("an execution")
}

pub(crate) fn count_box(change: isize) {
    state(|state| state.boxes += change);
}

pub(crate) fn bury(memory: *mut u8, layout: Layout) {
    state(|state| state.freed.push((memory, layout)));
}

/// Lets another thread run.
pub fn yield_now() {
    loom::thread::yield_now();
}

/// Returns the time, which stands still but for [`set_jiffies`].
pub fn jiffies() -> u64 {
    state(|state| state.jiffies)
}

/// Sets the time. To be called while there are no other threads.
pub fn set_jiffies(now: u64) {
    state(|state| state.jiffies = now);
}

/// Enters or leaves a context in which nothing may sleep.
pub fn nest(change: isize) {
    if std::thread::panicking() {
        return;
    }
    let thread = loom::thread::current().id();
    let left = state(|state| {
        let nesting = state.nesting.entry(thread).or_default();
        *nesting += change;
        *nesting
    });
    if left == 0 {
        run_callbacks();
    }
}

/// Returns whether nothing may sleep.
pub(crate) fn is_atomic() -> bool {
    let thread = loom::thread::current().id();
    state(|state| {
        state
            .nesting
            .get(&thread)
            .is_some_and(|nesting| *nesting > 0)
    })
}

/// Orders what follows with all other changes of RCU's state.
fn grace() {
    let grace = state(|state| state.grace.clone());
    grace.expect("an execution").fetch_add(1, Ordering::AcqRel);
}

pub(crate) fn begin_reader() -> u64 {
    grace();
    state(|state| {
        state.last_reader += 1;
        state.readers.insert(state.last_reader);
        state.last_reader
    })
}

pub(crate) fn end_reader(reader: u64) {
    if std::thread::panicking() {
        return;
    }
    grace();
    state(|state| {
        state.readers.remove(&reader);
        for callback in &mut state.callbacks {
            callback.waits_for.remove(&reader);
        }
        for cookie in &mut state.cookies {
            cookie.remove(&reader);
        }
    });
    if !is_atomic() {
        run_callbacks();
    }
}

/// Has `call` run after a grace period.
pub fn call_rcu(call: impl FnOnce() + 'static) {
    grace();
    state(|state| {
        let waits_for = state.readers.clone();
        let call = Box::new(call);
        state.callbacks.push(Callback { waits_for, call });
    });
    if !is_atomic() {
        run_callbacks();
    }
}

fn run_callbacks() {
    loop {
        let ready = state(|state| {
            let callbacks = &mut state.callbacks;
            let first = callbacks
                .iter()
                .position(|callback| callback.waits_for.is_empty())?;
            Some(callbacks.remove(first))
        });
        let Some(callback) = ready else {
            return;
        };
        grace();
        (callback.call)();
    }
}

/// Returns the state of RCU. That of 0 was long ago.
pub fn grace_cookie() -> usize {
    crate::sync::atomic::smp_mb();
    grace();
    state(|state| {
        state.cookies.push(state.readers.clone());
        state.cookies.len()
    })
}

/// Waits until a grace period has passed since.
pub fn wait_for_grace(cookie: usize) {
    crate::task::might_sleep();
    loop {
        grace();
        let index = cookie.checked_sub(1);
        if index.is_none_or(|index| state(|state| state.cookies[index].is_empty())) {
            break;
        }
        loom::thread::yield_now();
    }
    crate::sync::atomic::smp_mb();
}
