//! The IDL compiler; never runs on the device.

