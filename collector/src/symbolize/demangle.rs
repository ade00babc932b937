//! Makes mangled names readable. Other names stay as they are: `rd` is a C function, not `double
//! restrict`.

use cpp_demangle::{DemangleOptions, Symbol};

/// The name as its author wrote it, in the form of gdb's backtraces: Rust names (`_R`, and legacy
/// `_ZN...17h<hash>E`) without the hash, C++ names (`_Z`) without parameters.
pub(super) fn demangle(name: &str) -> String {
    if (name.starts_with("_R") || is_legacy_rust(name))
        && let Ok(rust) = rustc_demangle::try_demangle(name)
    {
        return format!("{rust:#}");
    }
    if name.starts_with("_Z")
        && let Ok(symbol) = Symbol::new(name)
        && let Ok(cpp) = symbol.demangle_with_options(&DemangleOptions::new().no_params().no_return_type())
    {
        return cpp;
    }
    name.to_owned()
}

/// Whether the name is `_ZN...17h`, 16 hex digits and `E`, perhaps with a suffix from LLVM.
fn is_legacy_rust(name: &str) -> bool {
    let path = name.split(".llvm.").next().unwrap_or(name);
    let hash = path
        .strip_prefix("_ZN")
        .and_then(|p| p.strip_suffix('E'))
        .and_then(|p| p.get(p.len().checked_sub(19)?..));
    hash.and_then(|h| h.strip_prefix("17h")).is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::demangle;

    #[test]
    fn only_mangled_names_are_changed() {
        for (name, readable) in [
            ("rd", "rd"),
            ("hz4_mid_sc_lock_acquire", "hz4_mid_sc_lock_acquire"),
            ("_ZN3std6thread4park17h0123456789abcdefE", "std::thread::park"),
            ("_ZN3std6thread4park17h0123456789abcdefE.llvm.12345", "std::thread::park"),
            (
                "_ZN44_$LT$$RF$T$u20$as$u20$core..fmt..Display$GT$3fmt17hfedcba9876543210E",
                "<&T as core::fmt::Display>::fmt",
            ),
            ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"),
            ("_ZN8tcmalloc11ThreadCache8AllocateEmj", "tcmalloc::ThreadCache::Allocate"),
            ("_Zfoo", "_Zfoo"),
            ("_Znwm", "operator new"),
            ("_Rubbish", "_Rubbish"),
            ("", ""),
        ] {
            assert_eq!(demangle(name), readable);
        }
    }
}
