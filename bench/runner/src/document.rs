//! Text between markers: `<!-- bench:NAME:begin -->` … `<!-- bench:NAME:end -->`, each on a line of its own.

/// The document with `content` between the markers of this name; `None` if it has no such markers.
pub(crate) fn replace(document: &str, name: &str, content: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- bench:{name}:begin -->\n"), format!("<!-- bench:{name}:end -->"));
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n\n{end}{after}", content.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let document = "a\n<!-- bench:x:begin -->\nold\n<!-- bench:x:end -->\nb\n";
        let new = "a\n<!-- bench:x:begin -->\n\nnew\n\n<!-- bench:x:end -->\nb\n";
        assert_eq!(replace(document, "x", "new\n").as_deref(), Some(new));
        assert_eq!(replace(new, "x", "new").as_deref(), Some(new));
        assert_eq!(replace(document, "y", "new"), None);
    }
}
