//! How deep evaluation may go: by the memory of the stack that it takes, whatever the reason for its depth.

use crate::content::template::TemplateError;
use std::cell::Cell;

/// What evaluation may take of a thread that wasn't made for it; their stacks have 2 MiB.
const BORROWED: usize = 768 << 10;

/// The stack of a thread that is made for deep evaluation, and what may be used of it.
const OWN: usize = 64 << 20;
const OWN_USED: usize = 56 << 20;

thread_local! {
    /// Where evaluation began on this thread, and how much it may take; 0: it doesn't run.
    static BASE: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Ends the count when evaluation that began it ends.
pub struct Guard {
    began: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.began {
            BASE.set((0, 0));
        }
    }
}

/// Counts from here, unless evaluation runs on this thread already.
pub fn enter() -> Guard {
    let began = BASE.get().0 == 0;
    if began {
        BASE.set((here(), BORROWED));
    }
    Guard { began }
}

#[inline(never)]
fn here() -> usize {
    let marker = 0u8;
    std::ptr::from_ref(&marker) as usize
}

/// True when there is no room to go deeper on this thread.
pub fn is_full() -> bool {
    let (base, limit) = BASE.get();
    base != 0 && base.abs_diff(here()) > limit
}

/// Runs on; on a larger stack when this one is full, not at all when that one is full too.
pub fn deeper<T: Send>(
    run: impl FnOnce() -> Result<T, TemplateError> + Send,
) -> Result<T, TemplateError> {
    if !is_full() {
        return run();
    }
    let too_deep = || {
        TemplateError::new("recursive loop detected in template: it is nested too deeply")
            .hint("A macro, a loop or variables that use each other have no end.")
    };
    if BASE.get().1 == OWN_USED {
        return Err(too_deep());
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("templates".to_owned())
            .stack_size(OWN)
            .spawn_scoped(scope, || {
                BASE.set((here(), OWN_USED));
                run()
            });
        match thread {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err(too_deep())),
            Err(_) => Err(too_deep()),
        }
    })
}
