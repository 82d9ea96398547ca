//! `symadmin status --watch`

use super::Status;
use super::loads::Load;
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::print_text;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);

/// Looks again each second until the process is ended.
pub(super) async fn run(context: &EngineContext, json: bool) -> Result<(), Failure> {
    let mut screen = (!json && std::io::stdout().is_terminal()).then(Screen::new);
    let mut lines = Lines::default();
    loop {
        let status = Status::read(context).await?;
        match &mut screen {
            Some(screen) => screen.draw(&status),
            None if json => print_text(&format!("{}\n", status.json())),
            None => lines.print(&status),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// A terminal: the status, and a bar for each load under it.
struct Screen {
    all: MultiProgress,
    text: ProgressBar,
    bars: HashMap<String, ProgressBar>,
}

impl Screen {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let text = all.add(ProgressBar::new(1).with_style(style("{msg}")));
        Self {
            all,
            text,
            bars: HashMap::new(),
        }
    }

    fn draw(&mut self, status: &Status) {
        self.text.set_message(status.text());
        self.bars.retain(|node, bar| {
            let stays = status.loads.iter().any(|load| load.node == *node);
            if !stays {
                bar.finish_and_clear();
            }
            stays
        });
        for load in &status.loads {
            let bar = self.bars.entry(load.node.clone()).or_insert_with(|| {
                let bar =
                    ProgressBar::new(1).with_style(style("{prefix:20!} [{bar:30}] {pos}/{len} rows {msg}"));
                self.all.add(bar).with_prefix(load.node.clone())
            });
            bar.set_length(u64::try_from(load.rows()).unwrap_or(0));
            bar.set_position(u64::try_from(load.rows_sent).unwrap_or(0));
            bar.set_message(pace(load));
        }
    }
}

/// A template that is not valid shows as the plain bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn pace(load: &Load) -> String {
    let mut words = vec![
        load.state().to_owned(),
        format!("{} of {} tables", load.tables_sent, load.tables),
    ];
    words.extend(load.rows_per_second.map(|rate| format!("{rate} rows/s")));
    words.extend(load.seconds_left.map(|seconds| format!("{seconds} s left")));
    words.join(", ")
}

/// No terminal: a line for each load when something about it has changed, and one when nodes need a reload.
#[derive(Default)]
struct Lines {
    told: HashMap<String, String>,
}

impl Lines {
    fn print(&mut self, status: &Status) {
        for load in &status.loads {
            let line = format!(
                "node {}: load {} {}, {} of {} rows",
                load.node,
                load.load_id,
                pace(load),
                load.rows_sent,
                load.rows(),
            );
            self.tell(&format!("load {}", load.node), line);
        }
        let needs = match &status.needs {
            needs if needs.is_empty() => "no node needs a reload".to_owned(),
            needs => format!("need a reload: {}", needs.json()),
        };
        self.tell("needs", needs);
        for (title, listing) in [("captured", &status.captured), ("outgoing", &status.outgoing)] {
            self.tell(title, format!("{title}: {}", listing.json()));
        }
    }

    fn tell(&mut self, about: &str, line: String) {
        if self.told.get(about) != Some(&line) {
            print_text(&format!("{line}\n"));
            self.told.insert(about.to_owned(), line);
        }
    }
}
