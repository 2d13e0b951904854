//! Delaying TCP proxies for `benches/compare`: what a network with a long way costs each program, in round trips.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Pieces on the way in one direction of a connection; more make their sender wait, as a full link does.
const ON_THE_WAY: usize = 4096;

/// What went through since the last report.
#[derive(Default)]
struct Counts {
    connections: u64,
    up: u64,
    down: u64,
    /// Round trips by the address that was called.
    trips: BTreeMap<SocketAddr, u64>,
}

type Shared = Arc<Mutex<Counts>>;

/// A piece and when it arrives; nothing for the end of the stream.
type Piece = (Instant, Vec<u8>);

fn count(counts: &Shared, change: impl FnOnce(&mut Counts)) {
    change(&mut counts.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Listens on every `FROM=TO` and passes bytes on after half of `round_trip` (milliseconds) in each direction.
///
/// A connection costs one round trip and a half before the other side sees its first byte, as TCP's handshake does. For
/// every line on standard input one line of JSON tells what was counted since the last; the end of it ends the program.
/// A round trip is counted for each connection, and each time that the client speaks after something new reached it.
pub fn run(round_trip: &str, pairs: &[&str]) -> Result<(), String> {
    let milliseconds: u64 = round_trip
        .parse()
        .map_err(|_| format!("{round_trip} is no number of milliseconds"))?;
    let half = Duration::from_micros(milliseconds * 500);
    let counts = Shared::default();
    for pair in pairs {
        let (from, to) = pair
            .split_once('=')
            .ok_or_else(|| format!("{pair} is not FROM=TO"))?;
        let to: SocketAddr = to.parse().map_err(|error| format!("{to}: {error}"))?;
        let listener = TcpListener::bind(from).map_err(|error| format!("{from}: {error}"))?;
        let counts = Arc::clone(&counts);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let counts = Arc::clone(&counts);
                thread::spawn(move || connection(client, to, half, &counts));
            }
        });
    }
    for line in io::stdin().lock().lines() {
        line.map_err(|error| error.to_string())?;
        tell(&counts).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn tell(counts: &Shared) -> io::Result<()> {
    let mut told = Counts::default();
    count(counts, |counts| std::mem::swap(counts, &mut told));
    let most = told.trips.values().max().copied().unwrap_or(0);
    let all: u64 = told.trips.values().sum();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{{\"connections\": {}, \"up\": {}, \"down\": {}, \"trips\": {all}, \"most\": {most}}}",
        told.connections, told.up, told.down
    )?;
    out.flush()
}

/// One connection from its first byte to its last. Errors end it, as a broken link would.
fn connection(client: TcpStream, to: SocketAddr, half: Duration, counts: &Shared) -> Option<()> {
    count(counts, |counts| {
        counts.connections += 1;
        *counts.trips.entry(to).or_default() += 1;
    });
    client.set_nodelay(true).ok()?;
    // Something reached the client that it hasn't answered yet.
    let answered = Arc::new(AtomicBool::new(false));
    let spoke = {
        let (counts, answered) = (Arc::clone(counts), Arc::clone(&answered));
        move |size| {
            let trip = u64::from(answered.swap(false, Ordering::SeqCst));
            count(&counts, |counts| {
                counts.up += size;
                *counts.trips.entry(to).or_default() += trip;
            });
        }
    };
    let heard = {
        let counts = Arc::clone(counts);
        move |size| {
            answered.store(true, Ordering::SeqCst);
            count(&counts, |counts| counts.down += size);
        }
    };
    let upward = read(client.try_clone().ok()?, half, spoke);
    // SYN, its answer, and the acknowledgement with which the server learns of the connection.
    thread::sleep(half * 3);
    let server = TcpStream::connect(to).ok()?;
    server.set_nodelay(true).ok()?;
    let downward = read(server.try_clone().ok()?, half, |_| ());
    let up = thread::spawn(move || write(upward, server, |_| ()));
    write(downward, client, heard);
    drop(up.join());
    Some(())
}

/// Takes what comes and says when it arrives. `note` is told the size of each piece.
fn read(
    mut from: TcpStream,
    half: Duration,
    note: impl Fn(u64) + Send + 'static,
) -> Receiver<Piece> {
    let (sender, pieces) = sync_channel(ON_THE_WAY);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(size) = from.read(&mut buffer) {
            if size > 0 {
                note(size as u64);
            }
            let piece = (Instant::now() + half, buffer[..size].to_vec());
            if sender.send(piece).is_err() || size == 0 {
                break;
            }
        }
    });
    pieces
}

/// Hands each piece over when it is due. `note` is told its size just before: the answer may be there before this
/// thread runs again.
fn write(pieces: Receiver<Piece>, mut to: TcpStream, note: impl Fn(u64)) {
    for (due, bytes) in pieces {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if bytes.is_empty() {
            break;
        }
        note(bytes.len() as u64);
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
}
