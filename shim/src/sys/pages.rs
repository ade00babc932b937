//! The memory of this process for a reader that reads many small pieces that are close together: the
//! constructor.

use core::cell::RefCell;

use super::memory::peek;
use super::raw::Errno;

/// Bytes that are read in one go: a page, or a part of a larger one.
const PAGE: usize = 4096;
/// Pages that are kept: headers, dynamic section and a table or two of an image.
const KEPT: usize = 4;

/// Reads whole pages, and keeps the last few. What it gives may be as old as the value itself.
pub(crate) struct Pages<'b>(RefCell<Kept<'b>>);

struct Kept<'b> {
    pages: &'b mut [[u8; PAGE]],
    /// Address of each page, and how many bytes of it are known.
    known: [(u64, usize); KEPT],
    /// The page that is given up next.
    next: usize,
}

impl<'b> Pages<'b> {
    /// Keeps pages in a buffer that is lent; without room for one it reads nothing.
    pub(crate) fn new(buffer: &'b mut [u8]) -> Pages<'b> {
        let (pages, _) = buffer.as_chunks_mut();
        Pages(RefCell::new(Kept { pages, known: [(0, 0); KEPT], next: 0 }))
    }
}

impl Kept<'_> {
    /// The page at `start`, as far as it can be read.
    fn page(&mut self, start: u64) -> Result<&[u8], Errno> {
        let kept = self.pages.len().min(KEPT);
        let known = self.known.iter().take(kept).position(|(at, len)| *at == start && *len > 0);
        let index = match known {
            Some(index) => index,
            None => {
                let index = self.next % kept.max(1);
                let page = self.pages.get_mut(index).ok_or(Errno::NOMEM)?;
                let known = self.known.get_mut(index).ok_or(Errno::NOMEM)?;
                // Nothing is known of it until it is read.
                *known = (0, 0);
                *known = (start, peek(start, page)?);
                self.next = index + 1;
                index
            }
        };
        let len = self.known.get(index).map_or(0, |(_, len)| *len);
        self.pages.get(index).and_then(|page| page.get(..len)).ok_or(Errno::FAULT)
    }
}

impl hangscope_reader::Memory for Pages<'_> {
    type Error = Errno;

    fn read(&self, at: u64, to: &mut [u8]) -> Result<usize, Errno> {
        let mut kept = self.0.try_borrow_mut().map_err(|_| Errno::BUSY)?;
        let mut done = 0;
        while done < to.len() {
            let from = at.checked_add(done as u64).ok_or(Errno::FAULT)?;
            let offset = (from % PAGE as u64) as usize;
            let page = kept.page(from - offset as u64);
            let bytes =
                page.and_then(|page| page.get(offset..).filter(|b| !b.is_empty()).ok_or(Errno::FAULT));
            let (bytes, room) = match (bytes, to.get_mut(done..)) {
                (Ok(bytes), Some(room)) => (bytes, room),
                (Err(e), _) if done == 0 => return Err(e),
                _ => break,
            };
            let n = bytes.len().min(room.len());
            if let (Some(room), Some(bytes)) = (room.get_mut(..n), bytes.get(..n)) {
                room.copy_from_slice(bytes);
            }
            done += n;
        }
        Ok(done)
    }
}
