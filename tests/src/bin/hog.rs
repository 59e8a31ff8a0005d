//! `hog`: a program that has nearly all memory of a heap, as a camera's or a codec's driver may.

use std::{
    error::Error,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    thread,
};

use clap::Parser;
use heapwright_alloc::heaps::{Allocation, DmaHeap, Heap as _, Request, Root};

/// Bytes of each buffer: small, so that memory which is not in one piece is taken too.
const PIECE: u64 = 256 << 10;

/// Takes memory of a heap until there is no more, gives a part of it back, says `holds BYTES`, and keeps the rest until it is
/// killed.
#[derive(Debug, Parser)]
#[command(name = "hog")]
struct Cli {
    /// The heap's node, for instance /dev/dma_heap/system.
    heap: PathBuf,
    /// KiB that are given back, at least.
    #[arg(long, default_value_t = 0)]
    leave: u64,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to hear that stderr is closed.
            let _ = writeln!(io::stderr().lock(), "hog: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let heap = DmaHeap::open(&cli.heap, &Root::default())?;
    let mut held: Vec<Allocation> = Vec::new();
    loop {
        match heap.allocate(&Request::bytes(PIECE, "hog")) {
            Ok(piece) => held.push(piece),
            Err(error) if error.is_out_of_memory() => break,
            Err(error) => return Err(error.into()),
        }
    }
    let given_back = usize::try_from(cli.leave.saturating_mul(1 << 10).div_ceil(PIECE))?;
    held.truncate(held.len().saturating_sub(given_back));
    writeln!(io::stdout().lock(), "holds {}", held.iter().map(|piece| piece.bytes).sum::<u64>())?;
    loop {
        thread::park();
    }
}
