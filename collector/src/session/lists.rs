//! Where an allocator keeps the heads of its lists, as a profile says.

/// An array of heads, or one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListHeads {
    /// Name of the variable.
    pub(crate) head: String,
    /// From one head to the next, bytes; 0: the variable has one head.
    pub(crate) stride: u64,
    /// Number of heads; 0: as many as the variable has room for.
    pub(crate) count: u64,
    /// Of a head in its element, bytes.
    pub(crate) offset: u64,
    /// Of the next pointer in a block, bytes.
    pub(crate) next: i64,
    /// Size of the blocks of each head, bytes. The last one stands for those after it; empty: not known.
    pub(crate) sizes: Vec<u64>,
}

impl ListHeads {
    /// The addresses of the heads, with their names and the sizes of their blocks: at most `most`.
    /// `variable`: address and size of the variable.
    pub(crate) fn heads(&self, variable: (u64, u64), most: usize) -> Vec<(u64, String, Option<u64>)> {
        let (address, size) = variable;
        let room = |i: u64| {
            let end = i.checked_mul(self.stride)?.checked_add(self.offset)?.checked_add(8)?;
            (end <= size).then_some(())
        };
        let count = match (self.stride, self.count) {
            (0, _) => 1,
            (_, 0) => u64::MAX,
            (_, count) => count,
        };
        let head = |i: u64| {
            room(i)?;
            let at = address.checked_add(i * self.stride + self.offset)?;
            let size = self.sizes.get(i as usize).or_else(|| self.sizes.last()).copied();
            let index = if self.stride == 0 { String::new() } else { format!("[{i}]") };
            let offset = if self.offset == 0 { String::new() } else { format!("+{}", self.offset) };
            Some((at, format!("{}{index}{offset}", self.head), size))
        };
        (0..count).map_while(head).take(most).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_those_that_the_variable_has_room_for() {
        let heads = |stride, count, offset, size| {
            let list = ListHeads { head: "g".into(), stride, count, offset, next: 0, sizes: vec![16, 32] };
            list.heads((0x1000, size), 3)
        };
        let one = |at, name: &str, size| (at, name.to_owned(), Some(size));
        assert_eq!(heads(64, 0, 8, 128), [one(0x1008, "g[0]+8", 16), one(0x1048, "g[1]+8", 32)]);
        assert_eq!(heads(8, 0, 0, 800).len(), 3);
        assert_eq!(heads(8, 2, 0, 800).len(), 2);
        assert_eq!(heads(0, 9, 0, 8), [one(0x1000, "g", 16)]);
        assert_eq!(heads(u64::MAX, 0, 0, 8).len(), 1);
        assert_eq!(heads(0, 0, u64::MAX, 8), []);
        assert_eq!(heads(0, 0, 0, 4), []);
    }
}
