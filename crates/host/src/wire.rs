//! Frames: what travels between the controller, the agent and its children.
//!
//! A side starts with [`MAGIC`]; whatever comes before it (a banner of the login shell, a password that sudo didn't
//! read) is skipped. Then frames: kind (1 byte), length of the body (4 bytes, big endian), body. Both sides are always
//! the same build (the agent's path holds its hash), so there is no negotiation of versions.
//!
//! Data is sent on credit: a sender starts with [`WINDOW`] bytes per transfer and gets more by [`Control::More`], so
//! that a slow task never holds up the others which share the channel.

use crate::{Outcome, Task};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// The first bytes of a side.
pub const MAGIC: &[u8] = b"\0kopsrun-frames-1\n";

/// How much may come before [`MAGIC`].
pub const MAX_NOISE: usize = 64 * 1024;

/// The longest body of a frame that is accepted or sent.
pub const MAX_FRAME: usize = 96 * 1024 * 1024;

/// The longest piece of data in one frame.
pub const MAX_DATA: usize = 64 * 1024;

/// How many bytes of data may be under way in one transfer before the receiver asks for more.
pub const WINDOW: u64 = 1024 * 1024;

/// Longer bodies are compressed.
pub const COMPRESS_FROM: usize = 4096;

const HEADER: usize = 5;
const CONTROL: u8 = b'C';
const DATA: u8 = b'D';
/// What becomes of a kind when its body is compressed.
const COMPRESSED: u8 = 0x20;

/// One frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    Control(Control),
    /// A piece of content of the task with this id: to the agent of the blob that it asked for, from the agent of what
    /// it fetches.
    Data(u64, Vec<u8>),
}

/// What the sides say to each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum Control {
    /// Agent: the first frame.
    Hello(Hello),
    /// Controller: run this. Ids are the controller's choice, unique while the channel lives.
    Run { id: u64, task: Box<Task> },
    /// Agent: the task turned out to need this blob. Exactly its size follows as data.
    Need { id: u64, name: String },
    /// Controller: the blob that was asked for can't be had.
    Missing { id: u64, message: String },
    /// Either: so many more bytes of data may be sent for this task.
    More { id: u64, bytes: u64 },
    /// Agent: the task is over.
    Done { id: u64, outcome: Outcome },
    /// Agent: the task never started, because its user's agent couldn't be.
    Refused { id: u64, refusal: Refusal },
    /// Controller: end the task now. `Done` still follows.
    Cancel { id: u64 },
    /// Another agent: nobody listens from here on. The next task may go on after the channel's end, for so many seconds;
    /// its result goes into the file, for the job of this id.
    Alone {
        seconds: u64,
        file: String,
        jid: String,
    },
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub version: String,
    pub pid: u32,
    pub uid: u32,
    /// Name of that user, or the number where it has none.
    pub user: String,
    /// As `uname -m`.
    pub machine: String,
}

/// Why there is no agent for another user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub kind: RefusalKind,
    pub message: String,
}

/// The kinds of refusals, by what the operator has to do about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    UnknownMethod,
    UnknownUser,
    NoSudo,
    SudoPasswordNeeded,
    SudoPasswordWrong,
    SudoNotAllowed,
    SudoNeedsTerminal,
    NoSu,
    SuPasswordNeeded,
    SuPasswordWrong,
    SuNeedsTerminal,
    /// No directory from which the other user can execute the agent.
    NoProgram,
    Timeout,
    /// The child agent ended while it still had tasks.
    Lost,
    Other,
}

/// Why a stream can't be read on.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("a frame of {0} bytes is longer than the {MAX_FRAME} that are allowed")]
    TooLong(u64),
    #[error("a frame of the unknown kind {0:#04x}")]
    UnknownKind(u8),
    #[error("a frame that can't be understood: {0}")]
    Malformed(String),
    #[error("{MAX_NOISE} bytes came and no agent among them; it began with: {0}")]
    NoMagic(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<WireError> for io::Error {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Io(error) => error,
            other => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}

impl Frame {
    /// The bytes of this frame. A body that is too long is refused here, before the other side has to.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        let mut bytes = vec![0; HEADER];
        let kind = match self {
            Self::Control(control) => {
                serde_json::to_writer(&mut bytes, control)
                    .map_err(|error| WireError::Malformed(error.to_string()))?;
                CONTROL
            }
            Self::Data(id, data) => {
                bytes.extend_from_slice(&id.to_be_bytes());
                bytes.extend_from_slice(data);
                DATA
            }
        };
        let length = bytes.len() - HEADER;
        if length > limit(kind) {
            return Err(WireError::TooLong(length as u64));
        }
        bytes[0] = kind;
        if let Some(packed) = pack(&bytes[HEADER..]) {
            bytes.truncate(HEADER);
            bytes.extend_from_slice(&packed);
            bytes[0] |= COMPRESSED;
        }
        let length = (bytes.len() - HEADER) as u32;
        bytes[1..HEADER].copy_from_slice(&length.to_be_bytes());
        Ok(bytes)
    }

    fn decode(kind: u8, body: &[u8]) -> Result<Self, WireError> {
        if kind & COMPRESSED != 0 {
            let kind = kind & !COMPRESSED;
            return Self::decode(kind, &unpack(kind, body)?);
        }
        if kind == CONTROL {
            let mut control = serde_json::from_slice(body)
                .map_err(|error| WireError::Malformed(error.to_string()))?;
            if let Control::Done { outcome, .. } = &mut control {
                outcome.add_lines();
            }
            return Ok(Self::Control(control));
        }
        let (id, data) = body
            .split_first_chunk::<8>()
            .ok_or_else(|| WireError::Malformed("data without an id".to_owned()))?;
        Ok(Self::Data(u64::from_be_bytes(*id), data.to_vec()))
    }
}

/// A body in fewer bytes, when it is long and can be made shorter by at least a sixteenth.
fn pack(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() <= COMPRESS_FROM {
        return None;
    }
    let mut packed = (body.len() as u32).to_be_bytes().to_vec();
    packed.resize(4 + lz4_flex::block::get_maximum_output_size(body.len()), 0);
    let length = lz4_flex::block::compress_into(body, &mut packed[4..]).ok()?;
    packed.truncate(4 + length);
    (packed.len() + body.len() / 16 < body.len()).then_some(packed)
}

/// The body that was packed; never more than a body of this kind may have.
fn unpack(kind: u8, packed: &[u8]) -> Result<Vec<u8>, WireError> {
    let malformed = |reason: &str| WireError::Malformed(format!("compressed badly: {reason}"));
    let (length, packed) = packed
        .split_first_chunk::<4>()
        .ok_or_else(|| malformed("no length"))?;
    let length = u32::from_be_bytes(*length);
    if length as usize > limit(kind) {
        return Err(WireError::TooLong(length.into()));
    }
    // LZ4 makes nothing 256 times shorter: a longer promise is a lie that would cost memory.
    if length as usize / 256 > packed.len() {
        return Err(malformed("its length can't be true"));
    }
    let body = lz4_flex::block::decompress(packed, length as usize)
        .map_err(|error| malformed(&error.to_string()))?;
    if body.len() != length as usize {
        return Err(malformed("it ended early"));
    }
    Ok(body)
}

fn limit(kind: u8) -> usize {
    if kind & !COMPRESSED == DATA {
        MAX_DATA + 8
    } else {
        MAX_FRAME
    }
}

/// Kind and length of the body, checked before anything is allocated for it.
fn header(bytes: [u8; HEADER]) -> Result<(u8, usize), WireError> {
    let [kind, length @ ..] = bytes;
    if ![CONTROL, DATA].contains(&(kind & !COMPRESSED)) {
        return Err(WireError::UnknownKind(kind));
    }
    let length = u32::from_be_bytes(length);
    if length as usize > limit(kind) {
        return Err(WireError::TooLong(length.into()));
    }
    Ok((kind, length as usize))
}

/// Takes bytes as they come and gives whole frames: the reading side where reads are asynchronous.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are dealt with already.
    taken: usize,
    started: bool,
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one. After an error the stream can't be used any more.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, WireError> {
        if !self.started && !self.find_magic()? {
            return Ok(None);
        }
        let rest = &self.buffer[self.taken..];
        let Some((head, rest)) = rest.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let (kind, length) = header(*head)?;
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = Frame::decode(kind, body)?;
        self.taken += HEADER + length;
        Ok(Some(frame))
    }

    /// Whether the magic bytes have been seen.
    pub fn started(&self) -> bool {
        self.started
    }

    /// What came instead of the agent, as text for a person: `sudo: a password is required`.
    pub fn noise(&self) -> String {
        if self.started {
            return String::new();
        }
        String::from_utf8_lossy(&self.buffer).trim().to_owned()
    }

    fn find_magic(&mut self) -> Result<bool, WireError> {
        let found = self
            .buffer
            .windows(MAGIC.len())
            .position(|window| window == MAGIC);
        match found {
            Some(at) if at <= MAX_NOISE => {
                self.taken = at + MAGIC.len();
                self.started = true;
                Ok(true)
            }
            None if self.buffer.len() <= MAX_NOISE + MAGIC.len() => Ok(false),
            _ => Err(WireError::NoMagic(self.noise().chars().take(400).collect())),
        }
    }
}

/// Reads up to and including [`MAGIC`]. `false` at the end of the input.
pub fn read_magic(input: &mut impl Read) -> Result<bool, WireError> {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(MAGIC) {
        if seen.len() > MAX_NOISE + MAGIC.len() {
            let noise = String::from_utf8_lossy(&seen).chars().take(400).collect();
            return Err(WireError::NoMagic(noise));
        }
        match input.read(&mut byte) {
            Ok(0) => return Ok(false),
            Ok(_) => seen.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Reads one frame; `None` at the end of the input between two frames.
pub fn read_frame(input: &mut impl Read) -> Result<Option<Frame>, WireError> {
    let mut head = [0; HEADER];
    let mut filled = 0;
    while filled < HEADER {
        match input.read(&mut head[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (kind, length) = header(head)?;
    // The buffer grows with what really arrives, not with what the header promises.
    let mut body = Vec::with_capacity(length.min(MAX_DATA + 8));
    input.by_ref().take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Frame::decode(kind, &body).map(Some)
}

/// Writes one frame and flushes.
pub fn write_frame(output: &mut impl Write, frame: &Frame) -> Result<(), WireError> {
    output.write_all(&frame.encode()?)?;
    output.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames() -> Vec<Frame> {
        let task = Task {
            module: "copy".to_owned(),
            ..Task::default()
        };
        vec![
            Frame::Control(Control::Run {
                id: 1,
                task: Box::new(task),
            }),
            Frame::Data(1, vec![0, 255, b'C']),
            Frame::Control(Control::Done {
                id: 1,
                outcome: Outcome::changed(true).with("rc", 0),
            }),
            Frame::Control(Control::Refused {
                id: 2,
                refusal: Refusal {
                    kind: RefusalKind::NoSudo,
                    message: "no".to_owned(),
                },
            }),
        ]
    }

    #[test]
    fn frames_come_back_whatever_the_banner_said() {
        let mut bytes = b"Welcome to node3!\n\0kopsrun-\n".to_vec();
        bytes.extend_from_slice(MAGIC);
        for frame in frames() {
            bytes.extend(frame.encode().expect("short"));
        }
        let mut input = &bytes[..];
        assert!(read_magic(&mut input).expect("it is there"));
        for frame in frames() {
            assert_eq!(read_frame(&mut input).expect("sound"), Some(frame));
        }
        assert_eq!(read_frame(&mut input).expect("sound"), None);
        // The same one byte at a time.
        let mut decoder = Decoder::new();
        let mut got = Vec::new();
        for byte in &bytes {
            decoder.push(&[*byte]);
            got.extend(decoder.next_frame().expect("sound"));
        }
        assert_eq!(got, frames());
    }

    #[test]
    fn kinds_of_refusals_have_stable_names() {
        let text = serde_json::to_string(&RefusalKind::SudoPasswordWrong).expect("plain");
        assert_eq!(text, "\"sudo_password_wrong\"");
    }

    #[test]
    fn lines_are_added_where_they_arrive() {
        let outcome = Outcome::ok().with("stdout", "a\nb");
        let sent = Frame::Control(Control::Done { id: 1, outcome })
            .encode()
            .expect("short");
        assert!(!String::from_utf8_lossy(&sent).contains("stdout_lines"));
        let Ok(Some(Frame::Control(Control::Done { outcome, .. }))) = read_frame(&mut &sent[..])
        else {
            panic!("it was sent")
        };
        assert_eq!(outcome.data["stdout_lines"], serde_json::json!(["a", "b"]));
    }

    #[test]
    fn long_frames_are_compressed_when_that_helps() {
        let long = Frame::Data(7, b"line of a text\n".repeat(4000));
        let bytes = long.encode().expect("short");
        assert!(bytes.len() < 2000 && bytes[0] == b'd', "{}", bytes.len());
        assert_eq!(read_frame(&mut &bytes[..]).expect("sound"), Some(long));
        let outcome = Outcome::ok().with("stdout", "x".repeat(1 << 20));
        let control = Frame::Control(Control::Done { id: 1, outcome });
        let bytes = control.encode().expect("short");
        assert!(bytes.len() < 16 << 10, "{}", bytes.len());
        let Ok(Some(Frame::Control(Control::Done { outcome, .. }))) = read_frame(&mut &bytes[..])
        else {
            panic!("it was sent")
        };
        assert_eq!(outcome.data["stdout"].as_str().map(str::len), Some(1 << 20));
        // Noise of a generator: nothing to gain.
        let mut state = 1_u64;
        let noise = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        });
        let noise = Frame::Data(7, noise.take(MAX_DATA).collect());
        assert_eq!(noise.encode().expect("short").len(), HEADER + 8 + MAX_DATA);
    }

    #[test]
    fn a_compressed_frame_that_lies_is_refused() {
        let frame = |kind: u8, length: u32, packed: &[u8]| {
            let mut bytes = vec![kind];
            bytes.extend((packed.len() as u32 + 4).to_be_bytes());
            bytes.extend(length.to_be_bytes());
            bytes.extend(packed);
            read_frame(&mut &bytes[..])
        };
        assert!(matches!(
            frame(b'd', MAX_DATA as u32 + 9, &[0; 999]),
            Err(WireError::TooLong(_))
        ));
        assert!(matches!(
            frame(b'c', MAX_FRAME as u32, &[0; 999]),
            Err(WireError::Malformed(_))
        ));
        assert!(matches!(
            frame(b'd', 6000, &[0xff; 999]),
            Err(WireError::Malformed(_))
        ));
        assert!(matches!(
            frame(b'd', 6000, &[0x10, b'x']),
            Err(WireError::Malformed(_))
        ));
    }

    #[test]
    fn what_is_too_long_is_refused_on_both_sides() {
        assert!(matches!(
            Frame::Data(1, vec![0; MAX_DATA + 1]).encode(),
            Err(WireError::TooLong(_))
        ));
        for (kind, length) in [
            (CONTROL, MAX_FRAME as u32 + 1),
            (DATA, MAX_DATA as u32 + 9),
            (CONTROL, u32::MAX),
        ] {
            let mut bytes = vec![kind];
            bytes.extend(length.to_be_bytes());
            assert!(matches!(
                read_frame(&mut &bytes[..]),
                Err(WireError::TooLong(_))
            ));
        }
        let mut noise = Decoder::new();
        noise.push(&vec![b'x'; MAX_NOISE + 2 * MAGIC.len()]);
        assert!(matches!(noise.next_frame(), Err(WireError::NoMagic(_))));
        assert!(read_magic(&mut io::repeat(b'x')).is_err());
    }

    #[test]
    fn a_long_length_without_its_body_allocates_nothing() {
        let mut bytes = vec![CONTROL];
        bytes.extend((MAX_FRAME as u32).to_be_bytes());
        bytes.extend_from_slice(b"{}");
        assert!(matches!(read_frame(&mut &bytes[..]), Err(WireError::Io(_))));
    }

    proptest! {
        #[test]
        fn data_round_trips(id: u64, data in proptest::collection::vec(any::<u8>(), 0..300), times in 1_usize..100) {
            let frame = Frame::Data(id, data.repeat(times));
            let bytes = frame.encode().expect("short");
            prop_assert_eq!(read_frame(&mut &bytes[..]).expect("sound"), Some(frame));
        }

        #[test]
        fn any_text_round_trips(id: u64, text: String, module: String) {
            let mut task = Task { module, ..Task::default() };
            task.args.insert(text.clone(), text.into());
            let frame = Frame::Control(Control::Run { id, task: Box::new(task) });
            let bytes = frame.encode().expect("short");
            prop_assert_eq!(read_frame(&mut &bytes[..]).expect("sound"), Some(frame));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in prop_oneof![Just(CONTROL), Just(DATA), Just(CONTROL | COMPRESSED), Just(DATA | COMPRESSED), any::<u8>()]) {
            let mut stream = MAGIC.to_vec();
            stream.push(kind);
            stream.extend([0, 0, 0]);
            stream.extend(&bytes);
            let mut input = &stream[..];
            prop_assert!(read_magic(&mut input).expect("there"));
            while let Ok(Some(_)) = read_frame(&mut input) {}
            let mut decoder = Decoder::new();
            decoder.push(&stream);
            while let Ok(Some(_)) = decoder.next_frame() {}
        }

        #[test]
        fn both_readers_agree(bytes in proptest::collection::vec(any::<u8>(), 0..100), cut in 0usize..100) {
            let mut stream = bytes.clone();
            stream.extend(MAGIC);
            stream.extend(Frame::Data(7, bytes).encode().expect("short"));
            let cut = cut.min(stream.len());
            let mut decoder = Decoder::new();
            decoder.push(&stream[..cut]);
            let mut got = decoder.next_frame().expect("sound");
            decoder.push(&stream[cut..]);
            if got.is_none() {
                got = decoder.next_frame().expect("sound");
            }
            let mut input = &stream[..];
            prop_assert!(read_magic(&mut input).expect("there"));
            prop_assert_eq!(read_frame(&mut input).expect("sound"), got);
        }
    }
}
