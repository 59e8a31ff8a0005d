//! `heapwright-ask`: asks a compositor for buffers as a problem file's participants would have them, and prints what it
//! gets, or which of the constraints cannot hold.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use heapwright_alloc::{
    constraints::Size,
    heaps::{Allocation as Memory, DmaHeap, Heap as _, Request, Root},
    solver::problem::Participant,
};
use heapwright_client::{
    Allocation, Answer, Buffers, Changed, Constraints, NegotiationHandler, Negotiator, Outcome, Reason,
    Refused, delegate_negotiation,
};
use serde::Serialize;
use wayland_client::{
    Connection, Dispatch, EventQueue, QueueHandle,
    globals::{GlobalListContents, registry_queue_init},
    protocol::wl_registry::{self, WlRegistry},
};

/// Asks the running compositor for buffers that suit the given participants and its own.
///
/// Exit code: 0 when there are such buffers, 1 when there are none, 2 when the question could not be asked.
#[derive(Debug, Parser)]
#[command(name = "heapwright-ask", version)]
struct Args {
    /// The participants, as the list of that name in a problem file; `-` for standard input.
    participants: PathBuf,
    /// Size of the buffers in pixels.
    #[arg(long, value_name = "WxH", default_value = "640x480", value_parser = size)]
    size: Size,
    /// Buffers at least.
    #[arg(long, default_value_t = 3)]
    count: u32,
    /// Ask so often, one after the other, and tell how long an answer took.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// With --repeat: also allocate as many bytes from this heap's node, and go once to the compositor and back, in turns.
    #[arg(long, value_name = "NODE")]
    beside: Option<PathBuf>,
    /// With --repeat: keep all buffers until the end, so that none is had a second time.
    #[arg(long)]
    fresh: bool,
    /// Where there is no memory now, wait for the compositor to say that there is, and ask again.
    #[arg(long)]
    wait: bool,
    /// Keep the buffers for so many seconds after telling of them.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    hold: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn size(text: &str) -> Result<Size, String> {
    let sides =
        text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let (width, height) = sides.ok_or_else(|| format!("{text:?} is no size: give it as 640x480"))?;
    Ok(Size::new(width, height))
}

#[derive(Default)]
struct Client {
    answer: Option<Answer>,
    changed: bool,
}

impl NegotiationHandler for Client {
    fn answered(&mut self, _: &Allocation, answer: Answer) {
        self.answer = Some(answer);
    }

    fn changed(&mut self, _: &Allocation, _: Changed) {
        self.changed = true;
    }
}

delegate_negotiation!(Client);

impl Dispatch<WlRegistry, GlobalListContents> for Client {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        _: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

#[derive(Serialize)]
struct Conflict {
    participant: String,
    field: String,
    value: String,
}

/// What came of it.
#[derive(Default, Serialize)]
struct Told {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conflict: Vec<Conflict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buffers: Option<Got>,
    /// How often there was no memory.
    waits: u32,
    /// Median time from the question to all buffers in hand, milliseconds.
    median_ms: f64,
    /// Median time of allocating as many bytes from the heap that was named, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    heap_ms: Option<f64>,
    /// Median time of a question that is answered at once, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    socket_ms: Option<f64>,
}

#[derive(Serialize)]
struct Got {
    count: usize,
    format: String,
    modifier: String,
    bytes: u64,
    planes: Vec<(u32, u32)>,
    satisfied: Vec<String>,
    dropped: Vec<String>,
}

impl From<&Buffers> for Got {
    fn from(buffers: &Buffers) -> Self {
        let of = |wanted| {
            let those = buffers.outcomes.iter().filter(move |(_, outcome)| *outcome == wanted);
            those.map(|(name, _)| name.clone()).collect()
        };
        Got {
            count: buffers.fds.len(),
            format: buffers.format.to_string(),
            modifier: buffers.modifier.to_string(),
            bytes: buffers.bytes,
            planes: buffers.planes.clone(),
            satisfied: of(Outcome::Satisfied),
            dropped: of(Outcome::Dropped),
        }
    }
}

impl Told {
    fn of(answer: &Answer) -> Self {
        match answer {
            Ok(buffers) => Told { status: "buffers", buffers: Some(buffers.into()), ..Told::default() },
            Err(Refused { reason, message, conflict }) => Told {
                status: "refused",
                reason: Some(name(*reason)),
                message: message.clone(),
                conflict: conflict
                    .iter()
                    .map(|it| Conflict {
                        participant: it.participant.clone(),
                        field: it.field.clone(),
                        value: it.value.clone(),
                    })
                    .collect(),
                ..Told::default()
            },
        }
    }

    fn text(&self) -> String {
        let mut text = match &self.buffers {
            Some(got) => {
                let mut planes = String::new();
                for (index, (offset, pitch)) in (0..).zip(&got.planes) {
                    planes += &format!("plane {index}     offset {offset}, pitch {pitch}\n");
                }
                let dropped =
                    if got.dropped.is_empty() { "nobody".to_owned() } else { got.dropped.join(", ") };
                format!(
                    "buffers     {} of {} {}, {} bytes each\n{planes}suits       {}\nnot         {dropped}\n",
                    got.count,
                    got.format,
                    got.modifier,
                    got.bytes,
                    got.satisfied.join(", "),
                )
            }
            None => {
                let mut text = format!("no buffers  {}\n", self.message);
                for Conflict { participant, field, value } in &self.conflict {
                    text += &format!("conflict    {participant}: {field} {value}\n");
                }
                text
            }
        };
        text += &format!("took        {:.2} ms\n", self.median_ms);
        if let (Some(heap), Some(socket)) = (self.heap_ms, self.socket_ms) {
            let ratio = self.median_ms / (heap + socket);
            text += &format!(
                "beside      {heap:.2} ms of the heap, {socket:.2} ms of the socket: {ratio:.2} times\n"
            );
        }
        text
    }
}

/// As the protocol calls it.
fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::Unsatisfiable => "unsatisfiable",
        Reason::Underconstrained => "underconstrained",
        Reason::SearchLimit => "search_limit",
        Reason::OutOfMemory => "out_of_memory",
        Reason::Quota => "quota",
        Reason::Invalid => "invalid",
        _ => "unknown",
    }
}

type Failed = Box<dyn std::error::Error>;

fn read(path: &PathBuf) -> Result<Vec<Participant>, Failed> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        io::stdin().read_to_string(&mut text)?;
    } else {
        text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// The next answer.
fn answer(queue: &mut EventQueue<Client>, client: &mut Client) -> Result<Answer, Failed> {
    loop {
        if let Some(answer) = client.answer.take() {
            return Ok(answer);
        }
        queue.blocking_dispatch(client)?;
    }
}

/// As many bytes as the answer has, from a heap of our own.
fn allocate(heap: &DmaHeap, answer: &Answer) -> Result<Vec<Memory>, Failed> {
    let Ok(buffers) = answer else { return Ok(Vec::new()) };
    let one = |_| Ok(heap.allocate(&Request::bytes(buffers.bytes, ""))?);
    (0..buffers.fds.len()).map(one).collect()
}

fn median(mut times: Vec<Duration>) -> Option<f64> {
    times.sort_unstable();
    times.get(times.len() / 2).map(|time| time.as_secs_f64() * 1e3)
}

/// Asks, hands what came of it to `tell`, and keeps the buffers as long as it is asked to.
fn run(args: &Args, tell: impl FnOnce(&Told) -> Result<(), Failed>) -> Result<bool, Failed> {
    let constraints = read(&args.participants)?.into_iter().fold(Constraints::default(), Constraints::with);
    let connection = Connection::connect_to_env()?;
    let (globals, mut queue) = registry_queue_init::<Client>(&connection)?;
    let handle = queue.handle();
    let negotiator = Negotiator::bind(&globals, &handle)?;
    let mut client = Client::default();
    let heap = args.beside.as_deref().map(|path| DmaHeap::open(path, &Root::default())).transpose()?;
    let (mut times, mut heap_times, mut socket_times) = (Vec::new(), Vec::new(), Vec::new());
    let mut kept = Vec::new();
    let mut waits = 0;
    let mut last = None;
    for _ in 0..args.repeat {
        let start = Instant::now();
        let allocation = negotiator.allocate(&handle, &constraints, None, args.size, args.count)?;
        let mut answered = answer(&mut queue, &mut client)?;
        times.push(start.elapsed());
        while args.wait && answered.as_ref().is_err_and(|it| it.reason == Reason::OutOfMemory) {
            waits += 1;
            // Nobody need listen.
            let _ = writeln!(io::stderr().lock(), "no memory: waiting");
            while !std::mem::take(&mut client.changed) {
                queue.blocking_dispatch(&mut client)?;
            }
            allocation.renegotiate();
            answered = answer(&mut queue, &mut client)?;
        }
        allocation.destroy();
        if let Some(heap) = &heap {
            // What was let go of is gone before the clock runs.
            queue.roundtrip(&mut client)?;
            let start = Instant::now();
            queue.roundtrip(&mut client)?;
            socket_times.push(start.elapsed());
            let start = Instant::now();
            let own = allocate(heap, &answered)?;
            heap_times.push(start.elapsed());
            drop(own);
        }
        if let Some(before) = last.replace(answered).filter(|_| args.fresh) {
            kept.push(before);
        }
    }
    queue.flush()?;
    let told = last.as_ref().map(Told::of).unwrap_or_default();
    let (heap_ms, socket_ms) = (median(heap_times), median(socket_times));
    let told = Told { median_ms: median(times).unwrap_or_default(), heap_ms, socket_ms, waits, ..told };
    tell(&told)?;
    std::thread::sleep(Duration::from_secs(args.hold));
    Ok(told.buffers.is_some())
}

fn main() -> ExitCode {
    let args = Args::parse();
    let told = run(&args, |told| {
        let text = if args.json { serde_json::to_string(told)? + "\n" } else { told.text() };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    });
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "heapwright-ask: {error}");
            ExitCode::from(2)
        }
    }
}
