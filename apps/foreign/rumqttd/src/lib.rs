//! Pins rumqttd, whose program is the component; nothing of it is here, and nothing of ours is in it.
#![forbid(unsafe_code)]
