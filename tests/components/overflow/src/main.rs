//! A thread that recurses without end on a stack of std's choice, and looks whether the heap beside it is whole.
#![forbid(unsafe_code)]
use std::hint::black_box;

/// What nobody may change, as it was made.
const WHOLE: u8 = 0xa5;

fn main() {
    println!("std is told of {:?} bytes", std::env::var("RUST_MIN_STACK"));
    let neighbour = vec![WHOLE; 256 * 1024];
    let deepest = std::thread::spawn(move || step(&neighbour, 0)).join();
    println!("it came back from {deepest:?}");
}

/// One more kilobyte of stack in each step.
fn step(neighbour: &[u8], depth: u64) -> u64 {
    let frame = black_box([depth; 128]);
    if black_box(neighbour).iter().any(|byte| *byte != WHOLE) {
        println!("the heap is overwritten at step {depth}");
        std::process::exit(0);
    }
    if depth == 16 {
        println!("at step 16 all is well");
    }
    let deeper = if black_box(true) { step(neighbour, depth + 1) } else { 0 };
    deeper + black_box(frame)[0]
}
