//! The screen.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph, Row as TableRow, Table, TableState},
};

use super::view::{Row, View};
use crate::report::text::{Advice, bytes};

const KEYS: &str = " ↑↓ choose   Enter detail   d only what is wrong   q quit";

/// Rows that the detail leaves for the rest.
const LIST: u16 = 8;

/// Columns from which on the list has all that it can.
const WIDE: u16 = 130;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View) {
    let detail = view.detail().map(|finding| (wrapped(&finding, frame.area().width), finding));
    let lower = detail.as_ref().map_or(0, |(lines, _)| lines.len().saturating_add(1));
    let most = frame.area().height.saturating_sub(LIST);
    let lower = u16::try_from(lower).unwrap_or(u16::MAX).min(most);
    let [top, list, below, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(lower),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Line::raw(view.summary()), top);
    draw_list(frame, view, list);
    if let Some((lines, finding)) = detail {
        let title = format!(" {} ", finding.title);
        let block = Block::new().borders(Borders::TOP).title(title);
        let block = block.title_style(colour(finding.kind));
        frame.render_widget(Paragraph::new(lines).block(block), below);
    }
    let last = match &view.failure {
        Some(failure) => Line::styled(format!(" {failure}"), Style::new().fg(Color::Red)),
        None => Line::styled(KEYS, Style::new().add_modifier(Modifier::DIM)),
    };
    frame.render_widget(last, keys);
}

fn draw_list(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let header =
        ["SYSTEM", "FLOW", "VERDICT", "CAUSE", "PORT", "PEERS", "BYTES/s", "WORKED", "PACKET"];
    let rows = view.rows();
    let longest = |text: fn(&Row) -> &str| rows.iter().map(|row| text(row).len()).max();
    let length =
        |length: Option<usize>| u16::try_from(length.unwrap_or(0).max(6)).unwrap_or(u16::MAX);
    // The detail has the system, the cause and the last packet too.
    let is_wide = area.width >= WIDE;
    let if_wide = |length: u16| Constraint::Length(if is_wide { length } else { 0 });
    let peers = length(longest(|row| &row.direction));
    let widths = [
        if_wide(length(longest(|row| &row.system))),
        Constraint::Length(length(longest(|row| &row.flow))),
        Constraint::Length(10),
        if_wide(length(longest(|row| row.cause))),
        Constraint::Length(length(longest(|row| &row.port)).min(16)),
        if is_wide { Constraint::Max(peers) } else { Constraint::Fill(1) },
        Constraint::Length(8),
        Constraint::Length(7),
        if_wide(7),
    ];
    let table = Table::new(rows.iter().map(table_row), widths)
        .header(TableRow::new(header).style(bold))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected((!rows.is_empty()).then(|| view.index()));
    frame.render_stateful_widget(table, area, &mut state);
}

fn table_row(row: &Row) -> TableRow<'_> {
    TableRow::new([
        Span::raw(&row.system),
        Span::raw(&row.flow),
        Span::styled(row.verdict, colour(row.verdict)),
        Span::raw(row.cause),
        Span::raw(&row.port),
        Span::raw(&row.direction),
        Span::raw(if row.rate == 0 { String::new() } else { bytes(row.rate) }),
        Span::raw(&row.worked),
        Span::raw(&row.packet),
    ])
}

/// The lines of a finding, broken where the screen ends.
fn wrapped(finding: &Advice, width: u16) -> Vec<Line<'static>> {
    let lines = finding.lines.iter().flat_map(|(name, text)| {
        let name = format!("  {name:<10}");
        let options = textwrap::Options::new(usize::from(width))
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .initial_indent(&name)
            .subsequent_indent("            ");
        let lines = textwrap::wrap(text, options);
        lines.into_iter().map(|line| Line::raw(line.into_owned())).collect::<Vec<_>>()
    });
    lines.collect()
}

fn colour(verdict: &str) -> Style {
    match verdict {
        "blocked" | "refused" | "missing" => Style::new().fg(Color::Red),
        "degraded" | "unexpected" => Style::new().fg(Color::Yellow),
        "ok" => Style::new().fg(Color::Green),
        _ => Style::new().add_modifier(Modifier::DIM),
    }
}
