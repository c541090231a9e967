//! A message that did not arrive whole in one read: in fragments, or in one frame that is longer than the read.

use crate::error::Error;
use crate::event::Event;
use crate::frame::Opcode;
use crate::utf8::StreamedText;

/// Grows by what has arrived, never by what was announced, and lives until its message has been delivered.
pub(crate) struct Assembler {
    body: Body,
    /// Frames begun so far.
    pub(crate) fragments: usize,
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
        Assembler { body, fragments: 1 }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.len(),
            Body::Binary(data) => data.len(),
        }
    }

    /// Adds unmasked payload; `len_max` is what the message can come to. (A compressed message is to be inflated here: its
    /// pieces go through the inflater, and what that yields goes on.)
    pub(crate) fn push(&mut self, piece: &[u8], len_max: usize) -> Result<(), Error> {
        match &mut self.body {
            Body::Text(text) => {
                let more = room(text.text.len(), text.text.capacity(), piece.len() + 3, len_max);
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

    /// Refuses text that ends inside a character.
    pub(crate) fn finish(&self) -> Result<(), Error> {
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

/// What to reserve for `more` bytes: twice the capacity, so that copying stays linear, but not past the message's end.
fn room(len: usize, capacity: usize, more: usize, len_max: usize) -> usize {
    let needed = len + more;
    if needed <= capacity {
        return 0;
    }
    needed.max((capacity * 2).min(len_max)) - len
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
        assembler.push(&[0; 100], usize::MAX).unwrap();
        let Body::Binary(data) = &assembler.body else { panic!() };
        assert!(data.capacity() < 200);
    }
}
