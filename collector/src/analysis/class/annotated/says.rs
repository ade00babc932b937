//! What a loop does, in one sentence. It says only what the instructions and the samples show.

use crate::session::code::{Compared, LoopCode, RegisterValues, WordUse};
use crate::session::trace::{Loop, LoopRead, ReadHow, Traces};
use crate::text::message::{Say as _, Text, messages, say};

/// A register that counts is spoken of only with so many samples.
const LEAST_SAMPLES: u32 = 8;
/// Most words of a sentence.
const MOST_WORDS: usize = 3;

messages! {
    /// The sentence at the top of a loop, and its parts.
    pub(crate) LoopSays {
        Does { count: "instruction", what } => "{count}, {what}", "{count} 命令、{what}";
        DoesAround { count: "instruction", what } => "{count} around the samples, {what}",
            "サンプルの前後 {count} 命令、{what}";
        AndThen { what, values } => "{what}; {values}", "{what}。{values}";
        Walks { nodes: "block" } => "walks a list that is a ring of {nodes}", "{nodes} ブロックの輪になったリストをたどる";
        WalksLikely { nodes: "block" } => "walks a list that is likely a ring of {nodes}",
            "{nodes} ブロックの輪と思われるリストをたどる";
        WalksList {} => "walks a list, which ends", "終わりのあるリストをたどる";
        Compares { word, number } => "reads {word} and compares it with {number}", "{word} を読み、{number} と比較する";
        Tests { word, bits } => "reads {word} and tests its bits {bits}", "{word} を読み、ビット {bits} を調べる";
        Reads { words } => "reads {words}", "{words} を読む";
        AndReads { what, words } => "{what}, and reads {words}", "{what}。{words} も読む";
        Changes { word, instruction } => "tries to change {word} with `{instruction}`",
            "`{instruction}` で {word} の変更を試みる";
        ChangesIt { word, instruction } => "changes {word} with `{instruction}`",
            "`{instruction}` で {word} を変更する";
        Several { words } => "reads several words, among them {words}", "複数のワードを読む ({words} など)";
        NotKnown {} => "reads memory: which words is not known", "メモリを読むが、どのワードかは不明";
        TriesLock { word } => "tries to take the lock {word} with `pthread_mutex_trylock`",
            "`pthread_mutex_trylock` でロック {word} の取得を試みる";
        Rises { register, from, to, samples: "sample" } => "`{register}` counts up, from {from} to {to} in {samples}",
            "`{register}` は増え続ける ({samples} サンプルで {from} から {to})";
        Falls { register, from, to, samples: "sample" } => "`{register}` counts down, from {from} to {to} in {samples}",
            "`{register}` は減り続ける ({samples} サンプルで {from} から {to})";
        Endless {} => "no branch leads out of the loop", "そこから抜ける分岐はない";
        NoWord {} => "no word of memory was seen that it reads again and again",
            "繰り返し読まれるメモリのワードは見つからない";
        NotFollowed {} => "which could not be followed: what they read is not known",
            "追跡できず、何を読むかは不明";
        NeverChanged { samples: "sample" } => "the value never changed in {samples}", "値は {samples} サンプルの間、変化していない";
        BothReadings { value } => "the value was {value} in both readings", "値は 2 回の読み取りでどちらも {value}";
        ValueChanged {} => "the value changes", "値は変化している";
        LockBoth {} => "it was held in both readings", "2 回の読み取りのどちらでも取得済み";
    }
}

pub(super) fn summary(traces: &Traces, one: &Loop, code: &LoopCode) -> Text {
    let says = Says { traces, one, code };
    let (count, what) = (code.instructions.len() as u32 + code.more, says.what());
    match code.followed {
        true => say!(LoopSays::Does { count, what }).said(),
        false => say!(LoopSays::DoesAround { count, what }).said(),
    }
}

struct Says<'a> {
    traces: &'a Traces,
    one: &'a Loop,
    code: &'a LoopCode,
}

impl Says<'_> {
    fn what(&self) -> Text {
        if let Some(ring) = &self.one.ring {
            return match ring.again {
                true => say!(LoopSays::Walks { nodes: ring.nodes }).said(),
                false => say!(LoopSays::WalksLikely { nodes: ring.nodes }).said(),
            };
        }
        if self.code.endless {
            return LoopSays::Endless {}.said();
        }
        let tried = self.one.reads.iter().find(|read| read.how == ReadHow::TryLock);
        if let Some(read) = tried {
            let what = say!(LoopSays::TriesLock { word: self.word(read.address) }).said();
            let held = |reading| read.value(reading).is_some_and(|value| value != 0);
            return match held(0) && held(1) {
                true => say!(LoopSays::AndThen { what, values: LoopSays::LockBoth {} }).said(),
                false => what,
            };
        }
        // A word that is read again and again at one address.
        let steady = |used: &&WordUse| self.read(used.address).is_some();
        let used = || self.code.uses.iter().filter(steady);
        if let Some(used) = used().find(|used| used.atomic.is_some()) {
            let (word, instruction) = (self.word(used.address), used.atomic.as_deref().unwrap_or_default());
            // Only a compare-and-exchange may fail.
            let what = match instruction.contains("cmpxchg") {
                true => say!(LoopSays::Changes { word, instruction }).said(),
                false => say!(LoopSays::ChangesIt { word, instruction }).said(),
            };
            return self.with_values(what, used);
        }
        let words: Vec<&WordUse> = used().collect();
        let compared = words.iter().find(|used| used.compared.is_some());
        match (&words[..], compared.and_then(|used| Some((used, used.compared?)))) {
            (_, Some((used, Compared::Number(number)))) => {
                let (word, number) = (self.word(used.address), plain(number));
                self.and_others(say!(LoopSays::Compares { word, number }).said(), used, &words)
            }
            (_, Some((used, Compared::Bits(bits)))) => {
                let (word, bits) = (self.word(used.address), plain(bits));
                self.and_others(say!(LoopSays::Tests { word, bits }).said(), used, &words)
            }
            ([], None) if self.one.list_ends => LoopSays::WalksList {}.said(),
            ([], None) => self.counts().unwrap_or_else(|| match self.code.followed {
                false => LoopSays::NotFollowed {}.said(),
                true if !self.one.reads.is_empty() => {
                    let words = self.names(self.one.reads.iter().map(|read| read.address));
                    say!(LoopSays::Several { words }).said()
                }
                true if self.code.no_loads => LoopSays::NoWord {}.said(),
                true => LoopSays::NotKnown {}.said(),
            }),
            ([used], None) => {
                let words = self.word(used.address);
                self.with_values(say!(LoopSays::Reads { words }).said(), used)
            }
            (several, None) => say!(LoopSays::Reads { words: self.words(several.iter().copied()) }).said(),
        }
    }

    fn words<'w>(&self, words: impl Iterator<Item = &'w WordUse>) -> String {
        self.names(words.map(|used| used.address))
    }

    fn names(&self, words: impl Iterator<Item = u64>) -> String {
        let mut words = words;
        let mut names: Vec<String> = words.by_ref().take(MOST_WORDS).map(|at| self.word(at)).collect();
        if words.next().is_some() {
            names.push("...".to_owned());
        }
        names.join(", ")
    }

    /// The sentence with the other words that are read, else with what is known of the value over time.
    fn and_others(&self, what: Text, used: &WordUse, all: &[&WordUse]) -> Text {
        let others = all.iter().copied().filter(|other| other.address != used.address);
        match self.words(others) {
            words if words.is_empty() => self.with_values(what, used),
            words => say!(LoopSays::AndReads { what, words }).said(),
        }
    }

    fn read(&self, address: u64) -> Option<&LoopRead> {
        self.one.reads.iter().find(|read| read.address == address)
    }

    fn word(&self, address: u64) -> String {
        match self.traces.addresses.get(&address) {
            // Of a place without a symbol the address says more.
            Some(name) if !name.contains(' ') && name != "heap" => format!("`{name}`"),
            Some(place) => format!("{address:#x} ({place})"),
            None => format!("{address:#x}"),
        }
    }

    /// The sentence with what is known of the value over time.
    fn with_values(&self, what: Text, used: &WordUse) -> Text {
        let read = self.read(used.address);
        let readings = read.and_then(|read| Some([read.value(0)?, read.value(1)?]));
        let steady = readings.filter(|[first, second]| first == second).map(|[first, _]| first);
        let values = match (readings, steady, used.value) {
            (Some(_), None, _) => LoopSays::ValueChanged {},
            _ if used.varies => LoopSays::ValueChanged {},
            // What else the samples had may be of another way into the loop.
            _ if used.samples > 1 && used.value.is_none() => return what,
            // The words in memory are as the samples had them.
            (_, Some(now), Some(value)) if used.samples > 1 && value == now => {
                say!(LoopSays::NeverChanged { samples: used.samples })
            }
            (_, Some(now), None) => say!(LoopSays::BothReadings { value: plain(now) }),
            _ => return what,
        };
        say!(LoopSays::AndThen { what, values }).said()
    }

    fn counts(&self) -> Option<Text> {
        let enough = |register: &&RegisterValues| register.samples >= LEAST_SAMPLES;
        let counting = |register: &&RegisterValues| register.rises || register.falls;
        let counting = self.code.registers.iter().filter(enough).find(counting)?;
        let [from, to] = counting.values[..] else { return None };
        let (register, from, to, samples) = (&counting.name, plain(from), plain(to), counting.samples);
        Some(match counting.rises {
            true => say!(LoopSays::Rises { register, from, to, samples }).said(),
            false => say!(LoopSays::Falls { register, from, to, samples }).said(),
        })
    }
}

/// A small number as people write it, a large one in hex.
fn plain(number: u64) -> String {
    if number < 1_000_000 { number.to_string() } else { format!("{number:#x}") }
}
