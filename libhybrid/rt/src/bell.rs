//! Ringing a peer's bell; being rung is a bit that `Component::on_bell` gets.
use hybrid_start::peers::SUPERVISION_BIT;
use hybrid_sys::Notification;

/// The bit in the badge of every bell capability. Badges of calls never have it, so the two can be told apart.
pub(crate) const BELL_MARK: u64 = 1 << 63;
/// The bit with which securityd rings: look at the page of the peers. Components do not see it.
pub(crate) const SUPERVISION: u64 = 1 << SUPERVISION_BIT;

/// The peer's bell. Ringing it never waits and carries nothing: the peer looks at its rings and events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bell(Option<Notification>);

impl Bell {
    pub(crate) fn at(slot: Option<u32>) -> Self {
        Self(slot.map(|slot| Notification::at(slot.into())))
    }

    /// Rings. Without effect if the interface has no bell in this direction.
    pub fn ring(&self) {
        if let Some(notification) = self.0 {
            notification.signal();
        }
    }

    /// Rings if `is_wanted`: takes what `publish` and `release` of rings return.
    #[inline]
    pub fn ring_if(&self, is_wanted: bool) {
        if is_wanted {
            self.ring();
        }
    }
}
