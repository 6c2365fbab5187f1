//! An encrypted stream, after its handshake.
//!
//! Invariant: everything that is read was encrypted by the peer, for this stream and this direction, in this order and
//! without gaps; after the first frame that wasn't, nothing more is read. It keeps at most one frame and one read of
//! incoming data, and one frame of outgoing data.

use super::TAG;
use super::error::NoiseError;
use crate::transport::Stream;
use snow::TransportState;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of an encrypted length.
const HEAD: usize = 2 + TAG;

/// Bytes of the longest frame, encrypted; a frame carries 16 less.
pub(super) const FRAME: usize = 65_535;

/// The most bytes that one frame carries.
pub(super) const LONGEST: usize = FRAME - TAG;

/// Encryptions under one key. It is even, so that the length and the text of a frame have the same key.
pub(super) const REKEY: u64 = 1_000;

/// Bytes per read, if a frame doesn't need more: usually whole frames, with one call.
const READ: usize = 8 << 10;

/// The part of a frame that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    /// The text, of this many encrypted bytes.
    Body(usize),
    /// Nothing: the frame before wasn't right.
    Nothing(NoiseError),
}

/// A stream on which everything is encrypted; [`Noise`](super::Noise) makes them.
pub struct NoiseStream<S> {
    stream: S,
    keys: TransportState,
    part: Part,
    /// Bytes that were read and aren't decrypted yet: those between the two offsets.
    arriving: Vec<u8>,
    opened: usize,
    arrived: usize,
    /// Decrypted bytes, and how many of them were taken.
    text: Vec<u8>,
    taken: usize,
    /// The frame that is being sent, and how much of it was sent.
    leaving: Vec<u8>,
    left: usize,
}

impl<S> NoiseStream<S> {
    pub(super) fn new(stream: S, keys: TransportState) -> Self {
        Self {
            stream,
            keys,
            part: Part::Head,
            arriving: vec![0; READ],
            opened: 0,
            arrived: 0,
            text: Vec::new(),
            taken: 0,
            leaving: Vec::new(),
            left: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// The length of the part that comes next, in bytes.
    fn needed(&self) -> usize {
        match self.part {
            Part::Head => HEAD,
            Part::Body(length) => length,
            Part::Nothing(_) => 0,
        }
    }

    /// Takes the part of a frame that has arrived, and returns which comes next.
    fn open(&mut self) -> Result<Part, NoiseError> {
        let end = self.opened + self.needed();
        let part = self.arriving.get(self.opened..end).ok_or(NoiseError::Frame)?;
        let next = match self.part {
            Part::Head => {
                // With room for the tag, so that it can be decrypted in place.
                let mut head = [0; HEAD];
                self.keys.read_message(part, &mut head).map_err(|_| NoiseError::Frame)?;
                let [high, low, ..] = head;
                let found = usize::from(u16::from_be_bytes([high, low]));
                if !(1..=LONGEST).contains(&found) {
                    return Err(NoiseError::Length { found, limit: LONGEST });
                }
                Part::Body(found + TAG)
            }
            Part::Body(length) => {
                self.taken = 0;
                self.text.resize(length, 0);
                match self.keys.read_message(part, &mut self.text) {
                    Ok(read) => self.text.truncate(read),
                    Err(_) => {
                        self.text.clear();
                        return Err(NoiseError::Frame);
                    }
                }
                Part::Head
            }
            Part::Nothing(error) => return Err(error),
        };
        if self.keys.receiving_nonce().is_multiple_of(REKEY) {
            self.keys.rekey_incoming();
        }
        self.opened = end;
        Ok(next)
    }

    fn encrypt(&mut self, text: &[u8]) -> Result<(), NoiseError> {
        let length = u16::try_from(text.len()).map_err(|_| NoiseError::Unencrypted)?.to_be_bytes();
        self.leaving.resize(HEAD + text.len() + TAG, 0);
        let (head, body) = self.leaving.split_at_mut(HEAD);
        for (text, out) in [(&length[..], head), (text, body)] {
            self.keys.write_message(text, out).map_err(|_| NoiseError::Unencrypted)?;
        }
        if self.keys.sending_nonce().is_multiple_of(REKEY) {
            self.keys.rekey_outgoing();
        }
        self.left = 0;
        Ok(())
    }
}

impl<S: Stream> NoiseStream<S> {
    /// Reads the part of a frame that comes next. Returns whether there was one.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.arrived - self.opened < self.needed() {
            self.arriving.copy_within(self.opened..self.arrived, 0);
            (self.opened, self.arrived) = (0, self.arrived - self.opened);
            let room = self.needed().max(READ);
            self.arriving.resize(room, 0);
            let mut buffer = ReadBuf::new(&mut self.arriving[self.arrived..]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let read = buffer.filled().len();
            if read == 0 {
                // The stream may end between two frames; everything sent before is complete.
                let whole = self.part == Part::Head && self.arrived == 0;
                return Poll::Ready(if whole { Ok(false) } else { Err(NoiseError::FrameTruncated.into()) });
            }
            self.arrived += read;
        }
        match self.open() {
            Ok(part) => self.part = part,
            Err(error) => {
                self.part = Part::Nothing(error);
                return Poll::Ready(Err(error.into()));
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Sends the rest of the current frame.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.left < self.leaving.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.leaving[self.left..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.left += written,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncRead for NoiseStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.taken == self.text.len() {
            if !ready!(self.poll_part(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        let taken = (self.text.len() - self.taken).min(buffer.remaining());
        buffer.put_slice(&self.text[self.taken..self.taken + taken]);
        self.taken += taken;
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for NoiseStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, text: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_leave(cx))?;
        let taken = text.len().min(LONGEST);
        if taken > 0 {
            self.encrypt(&text[..taken])?;
            // What the socket doesn't take at once goes with the next write or flush.
            if let Poll::Ready(Err(error)) = self.poll_leave(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_leave(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_leave(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
