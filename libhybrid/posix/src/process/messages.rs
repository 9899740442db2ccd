//! What surrounds the bytes of a message: whom it is for, who sent it, its flags; never the bytes.
//!
//! `struct msghdr`: name, its length, list of pieces, its length, control data, its length, flags.
use super::address::{self, Encoded, Family, Name};
use super::io::Call;
use crate::number::{self, Errno, low};
use crate::world::{self, World};

const NAME_LENGTH: u64 = 8;
const CONTROL: u64 = 32;
const FLAGS: u64 = 48;
/// In the flags that a message is told with: its end was cut off.
pub(super) const MSG_TRUNC: u32 = 0x20;

/// Whom a message is for, if the call says so.
///
/// # Errors
/// Those of [`address::read`].
pub(super) fn receiver(world: &impl World, call: &Call, family: Family) -> Result<Option<Name>, Errno> {
    let (name, length) = match call.number {
        number::SENDTO => (call.args[4], low(call.args[5])),
        number::SENDMSG => {
            let head = call.args[1];
            let [name] = world::read_words(world, head)?;
            (name, world::read_u32(world, head.wrapping_add(NAME_LENGTH))?)
        }
        _ => return Ok(None),
    };
    if name == 0 || length == 0 {
        return Ok(None);
    }
    address::read(world, name, length.into(), family).map(Some)
}

/// Tells the receiver who sent a message, if it asks, and with which flags.
///
/// # Errors
/// `EFAULT`, `EINVAL` for a negative length.
pub(super) fn tell_sender(world: &mut impl World, call: &Call, sender: Encoded, flags: u32) -> Result<(), Errno> {
    match call.number {
        number::RECVMSG => {
            let head = call.args[1];
            let [name] = world::read_words(world, head)?;
            let length = head.wrapping_add(NAME_LENGTH);
            if name == 0 {
                world.write(length, &[0; 4])?;
            } else {
                sender.put(world, name, length)?;
            }
            // No control data.
            world.write(head.wrapping_add(CONTROL + 8), &[0; 8])?;
            world.write(head.wrapping_add(FLAGS), &flags.to_le_bytes())
        }
        number::RECVFROM if call.args[4] != 0 => sender.put(world, call.args[4], call.args[5]),
        _ => Ok(()),
    }
}

/// A stream has no sender to tell.
///
/// # Errors
/// `EFAULT`.
pub(super) fn tell_nobody(world: &mut impl World, call: &Call) -> Result<(), Errno> {
    match call.number {
        number::RECVMSG => {
            world.write(call.args[1].wrapping_add(NAME_LENGTH), &[0; 4])?;
            world.write(call.args[1].wrapping_add(CONTROL + 8), &[0; 12])
        }
        number::RECVFROM if call.args[5] != 0 => world.write(call.args[5], &[0; 4]),
        _ => Ok(()),
    }
}
