//! What is said of a carrier (`hangscope wrap`).

use crate::text::message::messages;

messages! {
    /// A line about a carrier.
    pub(crate) CarrierLine {
        // Where a command is given a carrier for an allocator.
        Given { carrier, allocator } => "{carrier} is a carrier: its allocator is {allocator}",
            "{carrier} はキャリアで、中のアロケータは {allocator}";
        // The text beside a carrier.
        Title { file, version } => "{file}: a carrier, made by hangscope {version}", "{file}: hangscope {version} が作成したキャリア";
        Stands {} => "Give it to a program in the place of the allocator: ld.so loads the allocator and, in front of it, the shim of hangscope.",
            "アロケータの代わりにプログラムに渡す。ld.so がアロケータと、その前に hangscope のシムを読み込む。";
        Carrier {} => "carrier", "キャリア";
        Allocator {} => "allocator", "アロケータ";
        CopyOf { source } => "copy of {source}", "{source} のコピー";
        Shim {} => "shim", "シム";
        NoBuildId {} => "none", "なし";
        Settings {} => "Settings of the shim. A variable of the environment counts instead, also an empty one:",
            "シムの設定。同じ名前の環境変数があればそちらが優先される (空の値でも):";
        Example {} => "Example:", "例:";
        AllocatorMissing {} => "Without the file of the allocator a program does not start (exit status 127). Without the file of the shim \
            it runs, and is not watched.",
            "アロケータのファイルがなければ、プログラムは起動しない (終了ステータス 127)。シムのファイルがなければ、起動するが監視されない。";
        Moves { folder } => "It finds both in {folder}, beside itself. Move it together with that folder, and do not link to it: ld.so \
            looks in the folder of the link.",
            "どちらも隣の {folder} から読み込まれる。移動するときはこのフォルダも一緒に移すこと。リンクは不可 (ld.so はリンクのあるフォルダを探す)。";
        Stays {} => "It may be moved. The files that it names must stay where they are.",
            "キャリア自体は移動してもよい。中に書かれたファイルは今の場所に置いておくこと。";
    }
}
