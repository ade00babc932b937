//! The frame of a page: head, navigation, sections.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::piece::said;
use super::words::Html;
use crate::files::pin;
use crate::text::escape;
use crate::text::message::{Lang, Text};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

pub(super) struct Section {
    id: &'static str,
    title: Html,
    body: Markup,
}

/// A page that is being put together.
pub(super) struct Doc {
    lang: Lang,
    /// For the window.
    title: String,
    /// What the page is about, in the bar at the top.
    about: Markup,
    /// The page above this one, relative.
    up: Option<(String, Text)>,
    head: Markup,
    sections: Vec<Section>,
}

impl Doc {
    /// `head`: what stands first: the headline and the most important facts.
    pub(super) fn new(lang: Lang, title: &str, about: Markup, head: Markup) -> Doc {
        let title = format!("{} - hangscope", escape::line(title));
        Doc { lang, title, about, up: None, head, sections: vec![] }
    }

    pub(super) fn up(mut self, link: String, text: Text) -> Doc {
        self.up = Some((link, text));
        self
    }

    /// Adds a section; none: there is nothing to say.
    pub(super) fn section(&mut self, id: &'static str, title: Html, body: Option<Markup>) {
        self.sections.extend(body.map(|body| Section { id, title, body }));
    }

    pub(super) fn finish(self) -> String {
        let body = self.body().into_string();
        // Only what has this number may run. It comes from the page itself, so no name in the page can know it.
        let nonce = pin::sha1_hex(body.as_bytes());
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'"
        );
        let lang = code(self.lang);
        html! {
            (DOCTYPE)
            html lang=(lang) data-lang=(lang) {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="referrer" content="no-referrer";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    style nonce=(nonce) { (PreEscaped(STYLE)) }
                }
                body {
                    (PreEscaped(body))
                    script nonce=(nonce) { (PreEscaped(SCRIPT)) }
                }
            }
        }
        .into_string()
    }

    fn body(&self) -> Markup {
        html! {
            a.skip href="#main" { (said(&Html::Skip {})) }
            header.bar {
                div.place {
                    @if let Some((href, text)) = &self.up { a.up href=(href) { "↑ " (said(text)) } }
                    span.brand { "hangscope" }
                    span.about { (self.about) }
                }
                div.tools hidden {
                    button type="button" id="language" { span lang="en" { "日本語" } span lang="ja" { "English" } }
                    button type="button" id="theme" { (said(&Html::Theme {})) }
                }
            }
            @if !self.sections.is_empty() {
                nav.sections aria-label="sections / 目次" {
                    ul { @for section in &self.sections { li { a href=(format!("#{}", section.id)) { (said(&section.title)) } } } }
                }
            }
            main id="main" tabindex="-1" {
                div.hero { (self.head) }
                @for section in &self.sections {
                    section id=(section.id) aria-labelledby=(format!("{}-title", section.id)) {
                        h2 id=(format!("{}-title", section.id)) { (said(&section.title)) }
                        (section.body)
                    }
                }
            }
            footer { p { (said(&Html::Footer {})) " " (env!("CARGO_PKG_VERSION")) } }
        }
    }
}

fn code(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "en",
        Lang::Ja => "ja",
    }
}
