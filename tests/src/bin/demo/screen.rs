//! What the demo prints.

use std::io::IsTerminal;

/// Columns for a change; what is longer is cut.
const CHANGE_WIDTH: usize = 44;

fn styled(code: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// A line of the story.
pub fn say(text: &str) {
    println!("{text}");
}

/// The title of a chapter.
pub fn heading(text: &str) {
    println!("\n{}", styled("1", text));
}

/// A command that is run.
pub fn command(text: &str) {
    println!("   {}", styled("36", &format!("$ {text}")));
}

/// SQL that an application runs at a node.
pub fn sql(node: &str, statements: &str) {
    for statement in statements.lines() {
        println!(
            "   {}",
            styled("36", &format!("{node:>10}> {}", statement.trim()))
        );
    }
}

/// A fact that was found out.
pub fn step(text: &str) {
    println!("   {} {text}", styled("32", "✓"));
}

/// A row of a table of changes.
pub fn row(columns: [&str; 3]) {
    let [change, target, reason] = columns;
    let change: String = if change.chars().count() > CHANGE_WIDTH {
        change.chars().take(CHANGE_WIDTH - 1).chain(['…']).collect()
    } else {
        change.to_owned()
    };
    println!("     {change:<CHANGE_WIDTH$}  {target:<28} {reason}");
}
