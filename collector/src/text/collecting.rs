//! What a standing collector says about itself: what it could not do, and what it did about that.

use crate::text::message::messages;

messages! {
    /// A line of a standing collector about its socket, its disk and its memory.
    pub(crate) CollectLine {
        ListensAgain { path } => "the socket {path} was gone; it is made again", "ソケット {path} が消えていたため作り直した";
        SocketLost { error } => "no process can connect now: {error}", "現在どのプロセスも接続できない: {error}";
        NoConnection { error, open } => "a connection has to wait ({open} are open): {error}; raise the limit (ulimit -n)",
            "接続を待たせている (接続中 {open} 件): {error}。上限を上げること (ulimit -n)";
    }
}
