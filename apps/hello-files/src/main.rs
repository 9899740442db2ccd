//! Says what a program with `std` can do with the directory that it was granted, checks it, counts its lives.
#![forbid(unsafe_code)]

mod keep;
mod whole;

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() {
    let outcome = match std::env::args().nth(1).as_deref() {
        Some("read") => read_only(),
        Some("fill") => fill(),
        Some("watch") => watch(),
        Some("rounds") => keep::rounds(),
        Some("still") => keep::still(),
        _ => whole::run(),
    };
    if let Err(error) = outcome {
        println!("WENT WRONG: {error}");
        std::process::exit(1);
    }
}

/// What an operation that must fail says.
fn refusal<T>(result: std::io::Result<T>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "WENT WRONG: it was done".into())
}

/// The directory is another component's, to look at only.
fn read_only() -> Outcome {
    while !fs::exists("/kept")? {
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("a reader reads: {}", fs::read_to_string("/kept")?.trim());
    println!("a new file: {}", refusal(File::create("/mine")));
    println!("an old file: {}", refusal(OpenOptions::new().append(true).open("/kept")));
    println!("a directory: {}", refusal(fs::create_dir("/mine")));
    println!("a removal: {}", refusal(fs::remove_file("/kept")));
    println!("another name: {}", refusal(fs::rename("/kept", "/mine")));
    println!("it may be written: {}", !fs::metadata("/kept")?.permissions().readonly());
    println!("outside: {}", refusal(fs::read("/../../hello-stdio/kept")));
    Ok(())
}

/// Writes until its quota is full, and leaves it so.
fn fill() -> Outcome {
    for left in ["/filling", "/other"].into_iter().filter(|path| Path::new(path).exists()) {
        fs::remove_file(left)?;
    }
    let mut file = File::create("/filling")?;
    let block = vec![0x5a; 60_000];
    let error = loop {
        if let Err(error) = file.write_all(&block) {
            break error;
        }
    };
    let length = file.metadata()?.len();
    println!("full: {error}; nearly a mebibyte: {}", (900_000..1_048_576).contains(&length));
    fs::remove_file("/filling")?;
    println!(
        "the file is gone, and still counts while it is open: {}",
        refusal(File::create("/other").and_then(|mut file| file.write_all(&block)))
    );
    drop(file);
    File::create("/other")?.write_all(&block)?;
    println!("there is room again");
    let mut file = File::create("/filling")?;
    while file.write_all(&block).is_ok() {}
    println!("full for ever");
    Ok(())
}

/// Writes and reads one open file again and again: what becomes of it when the file server dies, and whether it can be opened again then.
fn watch() -> Outcome {
    let path = Path::new("/watched");
    fs::write(path, "still here")?;
    File::open("/")?.sync_all()?;
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut rounds = 0;
    let error = loop {
        if let Err(error) = once_more(&mut file) {
            break error;
        }
        rounds += 1;
        if rounds % 20 == 0 {
            println!("wrote {rounds} times");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    println!("the open file: {error}");
    let text = loop {
        match fs::read_to_string(path) {
            Ok(text) => break text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(error.into()),
            // The server's next life is not there yet.
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    println!("opened again: {text}; the old one: {}", refusal(file.read(&mut [0; 4])));
    Ok(())
}

fn once_more(file: &mut File) -> std::io::Result<()> {
    let mut text = String::new();
    file.write_all_at(b"still here", 0)?;
    file.rewind()?;
    file.read_to_string(&mut text)?;
    if text == "still here" { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
}
