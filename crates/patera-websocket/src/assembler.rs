//! A message that did not arrive whole in one read: in fragments, or in one frame that is longer than the read.

use crate::error::Error;
#[cfg(feature = "deflate")]
use crate::error::Limit;
use crate::event::Event;
use crate::frame::Opcode;
#[cfg(feature = "deflate")]
use crate::inflate::Inflation;
use crate::utf8::StreamedText;

/// Grows by what has arrived, never by what was announced, and lives until its message has been delivered.
pub(crate) struct Assembler {
    body: Body,
    /// Frames begun so far.
    pub(crate) fragments: usize,
    /// Of a compressed message.
    #[cfg(feature = "deflate")]
    inflation: Option<Inflation>,
}

enum Body {
    Text(StreamedText),
    Binary(Vec<u8>),
}

impl Assembler {
    /// For a message whose first frame has this opcode.
    pub(crate) fn new(opcode: Opcode) -> Self {
        let body = match opcode {
            Opcode::Text => Body::Text(StreamedText::default()),
            _ => Body::Binary(Vec::new()),
        };
        Assembler {
            body,
            fragments: 1,
            #[cfg(feature = "deflate")]
            inflation: None,
        }
    }

    /// The same for a message that is compressed.
    #[cfg(feature = "deflate")]
    pub(crate) fn inflating(opcode: Opcode) -> Self {
        Assembler { inflation: Some(Inflation::default()), ..Assembler::new(opcode) }
    }

    /// How much payload has come.
    pub(crate) fn received(&self) -> usize {
        #[cfg(feature = "deflate")]
        if let Some(inflation) = &self.inflation {
            return inflation.received;
        }
        self.body.len()
    }

    /// Adds unmasked payload; `missing` is how much is still to come, if that is known, and `len_max` is the message's limit.
    /// What the payload comes to has been checked against it; what it inflates to is checked here.
    pub(crate) fn push(&mut self, piece: &[u8], missing: Option<usize>, len_max: usize) -> Result<(), Error> {
        #[cfg(feature = "deflate")]
        if let Some(inflation) = &mut self.inflation {
            return inflation.push(piece, |piece| self.body.push_within(piece, len_max));
        }
        let end =
            missing.map_or(len_max, |missing| self.body.len().saturating_add(piece.len()).saturating_add(missing));
        self.body.push(piece, end)
    }

    /// Refuses text that ends inside a character, and a compressed message that ends too early.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        #[cfg(feature = "deflate")]
        if let Some(inflation) = &mut self.inflation {
            inflation.finish()?;
        }
        match &self.body {
            Body::Text(text) => text.finish(),
            Body::Binary(_) => Ok(()),
        }
    }

    /// The message, once `finish` has agreed.
    pub(crate) fn event(&self) -> Event<'_> {
        match &self.body {
            Body::Text(text) => Event::Text(&text.text),
            Body::Binary(data) => Event::Binary(data),
        }
    }
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Body::Text(text) => text.len(),
            Body::Binary(data) => data.len(),
        }
    }

    /// Adds a piece; the message will not be longer than `len_max`.
    fn push(&mut self, piece: &[u8], len_max: usize) -> Result<(), Error> {
        match self {
            Body::Text(text) => {
                let more = room(text.text.len(), text.text.capacity(), piece.len().saturating_add(3), len_max);
                text.text.reserve_exact(more);
                text.push(piece)
            }
            Body::Binary(data) => {
                data.reserve_exact(room(data.len(), data.capacity(), piece.len(), len_max));
                data.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// Adds what of a piece fits into a message of `len_max`.
    ///
    /// # Errors
    /// `Limit` if that is not all.
    #[cfg(feature = "deflate")]
    fn push_within(&mut self, piece: &[u8], len_max: usize) -> Result<(), Error> {
        let fits = piece.len().min(len_max.saturating_sub(self.len()));
        let (fitting, rest) = piece.split_at(fits);
        self.push(fitting, len_max)?;
        if !rest.is_empty() {
            return Err(Error::Limit {
                what: Limit::MessageBytes,
                max: len_max,
                got: (len_max as u64).saturating_add(1),
            });
        }
        Ok(())
    }
}

/// What to reserve for `more` bytes: twice the capacity, so that copying stays linear, but not past the message's end.
fn room(len: usize, capacity: usize, more: usize, len_max: usize) -> usize {
    let needed = len.saturating_add(more);
    if needed <= capacity {
        return 0;
    }
    needed.max(capacity.saturating_mul(2).min(len_max)).saturating_sub(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_doubles_up_to_the_end_of_the_message() {
        assert_eq!(room(0, 0, 10, 1000), 10);
        assert_eq!(room(10, 20, 10, 1000), 0);
        assert_eq!(room(20, 20, 1, 1000), 20);
        assert_eq!(room(20, 20, 30, 1000), 30);
        assert_eq!(room(600, 600, 1, 1000), 400);
    }

    #[test]
    fn capacity_follows_what_arrived() {
        let mut assembler = Assembler::new(Opcode::Binary);
        assembler.push(&[0; 100], None, usize::MAX).unwrap();
        let Body::Binary(data) = &assembler.body else { panic!() };
        assert!(data.capacity() < 200);
    }
}
