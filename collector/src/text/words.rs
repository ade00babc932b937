//! The words of `verdict.json` that stand in sentences: in Japanese text they are Japanese.

use crate::text::message::messages;

messages! {
    /// A word of `verdict.json`.
    pub(crate) Word {
        // How sure a finding is.
        Proven {} => "proven", "確定";
        Likely {} => "likely", "推定";
        // Whether a DSO is still the file that was loaded.
        Intact {} => "intact", "改変なし";
        Unknown {} => "unknown", "不明";
        Deleted {} => "deleted", "削除";
        Replaced {} => "replaced", "置き換え";
        Overwritten {} => "overwritten", "書き換え";
        // Which bounds an interval has.
        ClopperPearson {} => "clopper-pearson", "Clopper-Pearson、両側";
        ClopperPearsonOneSided {} => "clopper-pearson, one-sided", "Clopper-Pearson、片側";
        Garwood {} => "garwood", "Garwood、両側";
        GarwoodOneSided {} => "garwood, one-sided", "Garwood、片側";
    }
}
