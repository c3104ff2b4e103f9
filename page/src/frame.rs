//! What is around every page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::style::{CHARTS, PAGE};

/// Renders a page: one file of HTML that fetches nothing and runs nothing.
#[must_use]
pub fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) }
                style { (PreEscaped(PAGE)) (PreEscaped(CHARTS)) }
            }
            body { (body) }
        }
    };
    page.into_string() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_nothing_is_fetched() {
        let page = page("a<b> & \"c\"", &html! { p title=("\"><script>") { "<i>" } });
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{page}");
        assert!(page.contains("<title>a&lt;b&gt; &amp; &quot;c&quot;</title>"), "{page}");
        assert!(page.contains("<p title=\"&quot;&gt;&lt;script&gt;\">&lt;i&gt;</p>"), "{page}");
        assert!(!page.contains("<script") && !page.contains("http") && !page.contains("url("), "{page}");
    }
}
