//! Logging: slog drains (terminal or JSON), with the `tracing` events of all crates forwarded into them.
//!
//! Libraries of this workspace and Smithay emit `tracing` events, as crates of this ecosystem do; the program
//! decides here where they go.

use std::fmt::Write as _;

use clap::ValueEnum;
use slog::{Drain, Level, Logger, Record, o};
use tracing::field::{Field, Visit};
use tracing_subscriber::{EnvFilter, Layer, layer::Context, layer::SubscriberExt, util::TryInitError};

/// Form of a log line on standard error.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// Aligned text, coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The filter could not be understood, or logging was set up twice.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `HEAPWRIGHT_LOG` or `--log` has a syntax error.
    #[error("log filter {filter:?}: {source}; use for instance `info` or `heapwright=debug,smithay=warn`")]
    Filter {
        /// The filter as given.
        filter: String,
        /// Where parsing stopped.
        source: tracing_subscriber::filter::ParseError,
    },
    /// A logger is already in place in this process.
    #[error("a logger is already set in this process: {0}")]
    Twice(#[from] TryInitError),
}

/// Sets up logging for the process and returns the root logger.
///
/// `filter` is in the syntax of `tracing_subscriber::EnvFilter`.
///
/// # Errors
/// [`LogError::Filter`] when `filter` does not parse, [`LogError::Twice`] when called a second time.
pub fn start(filter: &str, form: LogForm) -> Result<Logger, LogError> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|source| LogError::Filter { filter: filter.to_owned(), source })?;
    let root = match form {
        LogForm::Text => {
            let decorator = slog_term::TermDecorator::new().stderr().build();
            root(slog_term::FullFormat::new(decorator).build())
        }
        LogForm::Json => root(slog_json::Json::default(std::io::stderr())),
    };
    use tracing_subscriber::util::SubscriberInitExt as _;
    tracing_subscriber::registry().with(Forward { to: root.clone() }.with_filter(parsed)).try_init()?;
    Ok(root)
}

/// A full disk or closed terminal must not end the session: what can't be logged is dropped.
fn root<D>(drain: D) -> Logger
where
    D: Drain<Ok = (), Err = std::io::Error> + Send + 'static,
{
    let drain = std::sync::Mutex::new(drain).ignore_res();
    Logger::root(drain, o!())
}

/// Forwards `tracing` events to slog.
struct Forward {
    to: Logger,
}

impl<S: tracing::Subscriber> Layer<S> for Forward {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let meta = event.metadata();
        let level = match *meta.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        let location = slog::RecordLocation {
            file: "",
            line: meta.line().unwrap_or(0),
            column: 0,
            function: "",
            module: "",
        };
        let fixed = slog::RecordStatic { location: &location, tag: "", level };
        let pairs = (slog::SingleKV("target", meta.target()), Pairs(&text.fields));
        self.to.log(&Record::new(&fixed, &format_args!("{}", text.message), slog::BorrowedKV(&pairs)));
    }
}

/// The fields of one event, as text.
#[derive(Default)]
struct Text {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            // Writing to a String cannot fail.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.fields.push((field.name(), format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.fields.push((field.name(), value.to_owned()));
        }
    }
}

struct Pairs<'a>(&'a [(&'static str, String)]);

impl slog::KV for Pairs<'_> {
    fn serialize(&self, _: &Record<'_>, serializer: &mut dyn slog::Serializer) -> slog::Result {
        self.0.iter().try_for_each(|(key, value)| serializer.emit_str(key, value))
    }
}
