//! What an installed trigger says about itself, in a comment.

use symstream_shared::schema::Tables;

/// What a trigger was made from. Synchronisation compares it with what should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The captures in it.
    pub captures: Vec<CaptureMark>,
    /// A hash of the trigger's whole text.
    pub build: u32,
}

/// One of a trigger's captures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CaptureMark {
    /// The history that its rows name.
    pub hist_id: i64,
    /// A hash of what it captures, and how.
    pub definition: u32,
}

impl Mark {
    /// The comment's text. The prefix tells the triggers of several instances in one database apart.
    pub(crate) fn text(&self, tables: &Tables) -> String {
        let captures: Vec<String> = self
            .captures
            .iter()
            .map(|capture| format!("{}:{:08x}", capture.hist_id, capture.definition))
            .collect();
        format!("{}{} build {:08x}", start(tables), captures.join(","), self.build)
    }

    /// Finds the mark of this instance in an installed trigger. One of an older version of this program, which
    /// nothing is known about, has no captures.
    pub(crate) fn find(source: &str, tables: &Tables) -> Option<Self> {
        let rest = source.split(&start(tables)).nth(1)?;
        Some(Self::read(rest).unwrap_or(Self {
            captures: Vec::new(),
            build: 0,
        }))
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let captures = words.next()?.split(',').map(|capture| {
            let (hist_id, definition) = capture.split_once(':')?;
            Some(CaptureMark {
                hist_id: hist_id.parse().ok()?,
                definition: u32::from_str_radix(definition, 16).ok()?,
            })
        });
        let captures = captures.collect::<Option<_>>()?;
        if words.next()? != "build" {
            return None;
        }
        let build = u32::from_str_radix(words.next()?, 16).ok()?;
        Some(Self { captures, build })
    }

    /// Whether an installed trigger is one of any instance, and so none of the application's.
    pub(crate) fn is_in(source: &str) -> bool {
        source.contains("symstream ") && source.contains(" history ")
    }
}

fn start(tables: &Tables) -> String {
    format!("symstream {} history ", tables.prefix())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_the_text_of_a_trigger() {
        let tables = Tables::default();
        let capture = |hist_id, definition| CaptureMark { hist_id, definition };
        let mark = Mark {
            captures: vec![capture(17, 0x00ab_cdef), capture(18, 1)],
            build: 2,
        };
        let source = format!("begin /* {} */ end", mark.text(&tables));
        assert_eq!(Mark::find(&source, &tables), Some(mark));
        assert!(Mark::is_in(&source));
        assert_eq!(Mark::find(&source, &Tables::new("other").expect("prefix")), None);
        assert_eq!(Mark::find("begin end", &tables), None);
        let older = Mark::find("/* symstream sym history 7 build 00000001 */", &tables);
        assert_eq!(
            older.map(|mark| mark.captures),
            Some(Vec::new()),
            "ours, but unknown"
        );
    }
}
