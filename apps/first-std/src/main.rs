//! Says hello.
#![forbid(unsafe_code)]
use std::{collections::HashMap, thread, time::Duration};

fn main() {
    println!("hello from first-std");
    thread::sleep(Duration::from_millis(10));
    let lengths: HashMap<&str, usize> = ["one", "three"].map(|word| (word, word.len())).into();
    println!("three has {} letters", lengths["three"]);
}
