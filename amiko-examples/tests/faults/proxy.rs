//! A proxy that does to the bytes between two nodes whatever a network can do, and more.
//!
//! Invariant: what happens to which piece of which socket follows from the seed.

use amiko_core::sim::Random;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// What can happen to a piece.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Delay,
    Duplicate,
    Reorder,
    Drop,
    Corrupt,
    /// The first part, and then the end.
    Truncate,
    /// This direction ends, the other one goes on.
    HalfClose,
    Cut,
}

/// Bytes that are read at once.
const READ: usize = 16 << 10;

pub(crate) const FAULTS: [Fault; 8] = [
    Fault::Delay,
    Fault::Duplicate,
    Fault::Reorder,
    Fault::Drop,
    Fault::Corrupt,
    Fault::Truncate,
    Fault::HalfClose,
    Fault::Cut,
];

/// What a piece is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pieces {
    /// Whole lines, and a corrupt one isn't text any more: all that a transport without authentication can notice.
    Lines,
    /// Bytes, however they come: for a transport that notices every change.
    Bytes,
}

/// What the proxies of a test have in common.
pub(crate) struct Faults {
    pub(crate) seed: u64,
    pub(crate) percent: u64,
    pub(crate) pieces: Pieces,
    /// From now on everything passes.
    pub(crate) calm: AtomicBool,
    /// How often each was done.
    pub(crate) done: [AtomicU64; FAULTS.len()],
    pub(crate) sockets: AtomicU64,
}

impl Faults {
    pub(crate) fn new(seed: u64, percent: u64, pieces: Pieces) -> Arc<Self> {
        let (calm, done, sockets) = (AtomicBool::new(false), Default::default(), AtomicU64::new(0));
        Arc::new(Self { seed, percent, pieces, calm, done, sockets })
    }

    fn next(&self, random: &mut Random) -> Option<Fault> {
        let (chosen, which) = (random.below(100) < self.percent, random.below(FAULTS.len() as u64) as usize);
        if !chosen || self.calm.load(Ordering::Relaxed) {
            return None;
        }
        self.done[which].fetch_add(1, Ordering::Relaxed);
        Some(FAULTS[which])
    }
}

/// Begins to forward to a node, and gives the address to dial instead of the node's.
pub(crate) async fn start(to: SocketAddr, faults: Arc<Faults>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let number = faults.sockets.fetch_add(1, Ordering::Relaxed);
            let faults = Arc::clone(&faults);
            tokio::spawn(async move {
                if let Ok(far) = TcpStream::connect(to).await {
                    carry(near, far, &faults, number).await;
                }
            });
        }
    });
    address
}

/// Forwards in both directions until both have ended, or one cuts the socket.
async fn carry(near: TcpStream, far: TcpStream, faults: &Faults, number: u64) {
    drop((near.set_nodelay(true), far.set_nodelay(true)));
    let (near, far) = (near.into_split(), far.into_split());
    let random = |side| Random::new(faults.seed.wrapping_add(number * 2 + side).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let there = forward(near.0, far.1, faults, random(0));
    let back = forward(far.0, near.1, faults, random(1));
    // One that is cut ends at once, and takes the other one with it.
    drop(tokio::try_join!(there, back));
}

/// The socket is over, in both directions.
struct Cut;

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    faults: &Faults,
    mut random: Random,
) -> Result<(), Cut> {
    // A piece is what was sent at once, mostly.
    let (mut bytes, mut held) = (Vec::with_capacity(READ), Vec::new());
    while from.read_buf(&mut bytes).await.map_err(|_| Cut)? > 0 {
        let end = match faults.pieces {
            Pieces::Lines => bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1),
            Pieces::Bytes => bytes.len(),
        };
        let rest = bytes.split_off(end);
        let mut piece = std::mem::replace(&mut bytes, rest);
        bytes.reserve(READ);
        if piece.is_empty() {
            continue;
        }
        let mut last = std::mem::take(&mut held);
        match faults.next(&mut random) {
            None => {}
            Some(Fault::Delay) => sleep(Duration::from_millis(random.below(30))).await,
            Some(Fault::Duplicate) => piece.extend_from_within(part(&piece, faults.pieces, &mut random)),
            Some(Fault::Reorder) => {
                let part = part(&piece, faults.pieces, &mut random);
                held = piece.drain(part).collect();
            }
            Some(Fault::Drop) => drop(piece.drain(part(&piece, faults.pieces, &mut random))),
            Some(Fault::Corrupt) => {
                let at = random.below(piece.len() as u64) as usize;
                piece[at] = match faults.pieces {
                    Pieces::Lines => 0xFF,
                    Pieces::Bytes => piece[at] ^ (1 << random.below(8)),
                };
            }
            Some(Fault::Truncate) => {
                piece.truncate(random.below(piece.len() as u64) as usize);
                drop(to.write_all(&piece).await);
                return Err(Cut);
            }
            Some(Fault::HalfClose) => return to.shutdown().await.map_err(|_| Cut),
            Some(Fault::Cut) => return Err(Cut),
        }
        piece.append(&mut last);
        to.write_all(&piece).await.map_err(|_| Cut)?;
    }
    to.shutdown().await.map_err(|_| Cut)
}

/// A part of a piece: one of its lines, or any bytes.
fn part(piece: &[u8], pieces: Pieces, random: &mut Random) -> std::ops::Range<usize> {
    let mut pick = |limit: usize| random.below(limit as u64) as usize;
    match pieces {
        Pieces::Lines => {
            let ends: Vec<usize> =
                piece.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
            let line = pick(ends.len());
            let start = if line == 0 { 0 } else { ends[line - 1] };
            start..ends[line]
        }
        Pieces::Bytes => {
            let start = pick(piece.len());
            start..start + 1 + pick(piece.len() - start)
        }
    }
}
