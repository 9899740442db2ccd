//! Every build, run and check command of the project; host only.
fn main() {}
