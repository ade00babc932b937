//! `report.html`: the summaries of both languages as one page without anything from outside.

use crate::text::message::Lang;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:90em;padding:0 1em;color:#222}\
    table{border-collapse:collapse;margin:.5em 0;font-variant-numeric:tabular-nums}\
    td,th{border:1px solid #ccc;padding:.25em .6em;text-align:left}th{background:#f2f2f2}\
    tr:hover td{background:#fafae8}code{background:#f2f2f2}\
    @media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}td,th{border-color:#444}\
    th,code{background:#262626}tr:hover td{background:#22221a}}";

/// The page. `name`: that of OUT.
pub(crate) fn page(name: &str, summaries: &[(Lang, String)]) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{}</title>\n<style>{STYLE}</style>\n",
        escaped(name)
    );
    page += "<nav><a href=\"#en\">English</a> <a href=\"#ja\">日本語</a></nav>\n";
    for (lang, text) in summaries {
        let code = if *lang == Lang::Ja { "ja" } else { "en" };
        page += &format!("<main id=\"{code}\" lang=\"{code}\">\n{}</main>\n", body(text));
    }
    page + "</html>\n"
}

/// The Markdown that a summary is written in: headings, lists, tables, bold lines.
fn body(markdown: &str) -> String {
    let (mut html, mut open) = (String::new(), "");
    for line in markdown.lines() {
        let now = match line.as_bytes() {
            [b'-', b' ', ..] => "ul",
            [b'|', ..] => "table",
            _ => "",
        };
        if now != open {
            html += [("ul", "</ul>\n"), ("table", "</table>\n")]
                .iter()
                .find_map(|(of, end)| (*of == open).then_some(*end))
                .unwrap_or_default();
            if !now.is_empty() {
                html += &format!("<{now}>\n");
            }
        }
        let head = now == "table" && open != "table";
        open = now;
        if let Some(heading) = line.strip_prefix("## ") {
            html += &format!("<h2>{}</h2>\n", inline(heading));
        } else if let Some(heading) = line.strip_prefix("# ") {
            html += &format!("<h1>{}</h1>\n", inline(heading));
        } else if let Some(item) = line.strip_prefix("- ") {
            html += &format!("<li>{}</li>\n", inline(item));
        } else if now == "table" {
            html += &row(line, head);
        } else if !line.is_empty() {
            html += &format!("<p>{}</p>\n", inline(line));
        }
    }
    match open {
        "" => html,
        open => html + &format!("</{open}>\n"),
    }
}

fn row(line: &str, head: bool) -> String {
    // A bar in a cell has a backslash before it.
    let line = line.trim().trim_start_matches('|').replace("\\|", "\u{0}");
    if line.chars().all(|c| matches!(c, '-' | '|')) {
        return String::new();
    }
    let cell = if head { "th" } else { "td" };
    let cells = line.strip_suffix('|').unwrap_or(&line).split('|').map(|text| {
        let text = text.replace('\u{0}', "|");
        format!("<{cell}>{}</{cell}>", inline(text.trim()))
    });
    format!("<tr>{}</tr>\n", cells.collect::<String>())
}

/// Text with `code` and **bold**.
fn inline(text: &str) -> String {
    let mut html = String::new();
    let (bold, text) = match text.strip_prefix("**").and_then(|text| text.strip_suffix("**")) {
        Some(text) => (true, text),
        None => (false, text),
    };
    for (at, part) in text.split('`').enumerate() {
        let part = escaped(part);
        html += &if at % 2 == 1 { format!("<code>{part}</code>") } else { part };
    }
    if bold { format!("<strong>{html}</strong>") } else { html }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_a_page() {
        let text = "# M <x>\n\n**1 of 2 & more.**\n\n| a | b |\n|---|---|\n| `x\\|y` | 2 |\n\n- one\n- two\n";
        insta::assert_snapshot!(body(text), @"
        <h1>M &lt;x&gt;</h1>
        <p><strong>1 of 2 &amp; more.</strong></p>
        <table>
        <tr><th>a</th><th>b</th></tr>
        <tr><td><code>x|y</code></td><td>2</td></tr>
        </table>
        <ul>
        <li>one</li>
        <li>two</li>
        </ul>
        ");
        let page = page("a\"b", &[(Lang::En, "# A\n".into()), (Lang::Ja, "# B\n".into())]);
        assert!(
            page.contains("<title>a&quot;b</title>")
                && page.contains("<main id=\"ja\" lang=\"ja\">\n<h1>B</h1>")
        );
        assert!(!page.contains("http"), "nothing comes from outside");
    }
}
