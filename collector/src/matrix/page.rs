//! `report.html`: the summaries of both languages as one page without anything from outside.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};
use pulldown_cmark_escape::escape_html;

use crate::text::message::Lang;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:90em;padding:0 1em;color:#222}\
    table{border-collapse:collapse;margin:.5em 0;font-variant-numeric:tabular-nums}\
    td,th{border:1px solid #ccc;padding:.25em .6em;text-align:left}th{background:#f2f2f2}\
    tr:hover td{background:#fafae8}code{background:#f2f2f2}\
    @media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}td,th{border-color:#444}\
    th,code{background:#262626}tr:hover td{background:#22221a}}";

/// The page. `name`: that of OUT.
pub(crate) fn page(name: &str, summaries: &[(Lang, String)]) -> String {
    let mut title = String::new();
    let _ = escape_html(&mut title, name);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>{STYLE}</style>\n"
    );
    page += "<nav><a href=\"#en\">English</a> <a href=\"#ja\">日本語</a></nav>\n";
    for (lang, text) in summaries {
        let code = if *lang == Lang::Ja { "ja" } else { "en" };
        page += &format!("<main id=\"{code}\" lang=\"{code}\">\n{}</main>\n", body(text));
    }
    page + "</html>\n"
}

/// A summary as HTML. Tags, links and images in it are text: a program has written some of its lines.
fn body(markdown: &str) -> String {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::Link { .. } | Tag::Image { .. }) | Event::End(TagEnd::Link | TagEnd::Image) => None,
        event => Some(event),
    });
    let mut page = String::new();
    html::push_html(&mut page, events);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_a_page() {
        let text = "# M <x>\n\n**1 of 2 & more.**\n\n| a | b |\n|---|---|\n| `x\\|y` | 2 |\n\n- ![one](http://x)\n- <script>two</script>\n";
        insta::assert_snapshot!(body(text), @"
        <h1>M &lt;x&gt;</h1>
        <p><strong>1 of 2 &amp; more.</strong></p>
        <table><thead><tr><th>a</th><th>b</th></tr></thead><tbody>
        <tr><td><code>x|y</code></td><td>2</td></tr>
        </tbody></table>
        <ul>
        <li>one</li>
        <li>&lt;script&gt;two&lt;/script&gt;
        </li>
        </ul>
        ");
        let page = page("a\"<b>", &[(Lang::En, "# A\n".into()), (Lang::Ja, "# B\n".into())]);
        assert!(page.contains("<title>a&quot;&lt;b&gt;</title>"), "{page}");
        assert!(page.contains("<main id=\"ja\" lang=\"ja\">\n<h1>B</h1>"), "{page}");
        assert!(!page.contains("http"), "nothing comes from outside");
    }
}
