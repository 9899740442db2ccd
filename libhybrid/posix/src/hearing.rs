//! Whether the host stack can have a datagram for the program: a ring in which nothing can be is not looked at.
//!
//! Most programs that may use UDP ask for a name now and then, and have no port in between.

/// What is known of the ports and of the ring.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hearing {
    /// Ports that are bound in this life of the stack.
    bound: u16,
    /// The ring was found empty when none was: what came for the last one is not left for the next, which may get its number.
    is_over: bool,
}

impl Hearing {
    /// Whether something may be in the ring.
    #[must_use]
    pub const fn is_due(self) -> bool {
        !self.is_over
    }

    /// A port was bound.
    pub const fn bound(&mut self) {
        (self.bound, self.is_over) = (self.bound.saturating_add(1), false);
    }

    /// A port is bound no more.
    pub const fn unbound(&mut self) {
        self.bound = self.bound.saturating_sub(1);
    }

    /// The stack died, and its ports with it.
    pub const fn gone(&mut self) {
        self.bound = 0;
    }

    /// The ring was looked at, and there was nothing.
    pub const fn found_empty(&mut self) {
        self.is_over = self.bound == 0;
    }
}

#[cfg(test)]
mod tests {
    use super::Hearing;

    #[test]
    fn ring_is_looked_at_until_it_was_empty_without_a_port() {
        let mut hearing = Hearing::default();
        assert!(hearing.is_due());
        hearing.found_empty();
        assert!(!hearing.is_due());
        hearing.bound();
        hearing.bound();
        hearing.unbound();
        hearing.found_empty();
        assert!(hearing.is_due(), "one is bound");
        hearing.unbound();
        assert!(hearing.is_due(), "something may be left of it");
        hearing.found_empty();
        assert!(!hearing.is_due());
    }

    #[test]
    fn ports_of_a_stack_that_died_are_bound_no_more() {
        let mut hearing = Hearing::default();
        hearing.bound();
        hearing.gone();
        // Its socket closes before the next life is there.
        hearing.unbound();
        hearing.found_empty();
        assert!(!hearing.is_due());
        hearing.bound();
        hearing.found_empty();
        assert!(hearing.is_due());
    }
}
