//! Whole conversations with the engine, over any split of the input.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of tests are small")]

use super::Http1;
use crate::engine::{Answer, AnswerError, Phase, ProtocolEngine, Step};
use crate::http1::Head;
use crate::limits::{HEAD_MAX, RECEIVE_CREDIT};
use crate::status::Status;
use proptest::prelude::*;

/// Answers every request at once with its method, path and body (as the head said, chunked if the path asks for it).
#[derive(Default)]
struct Echo {
    engine: Http1,
    head: Head,
    out: Vec<u8>,
    body: Vec<u8>,
    path: String,
    is_over: bool,
    requests: usize,
}

impl Echo {
    fn pump(&mut self) {
        loop {
            match self.engine.poll(&mut self.head, 7, false) {
                Step::Starved | Step::Waiting => return,
                Step::Over => {
                    self.is_over = true;
                    return;
                }
                Step::Truncated => {
                    self.engine.end();
                    self.is_over = true;
                    return;
                }
                Step::Invalid(status) => assert!(self.engine.answer_error(status, true, &mut self.out)),
                Step::Request(stream) => {
                    self.requests += 1;
                    self.path = format!("{} {}", self.head.method.name(), self.head.path);
                    self.body.clear();
                    let has_body = self.head.has_body();
                    self.engine.accept();
                    if self.path.ends_with("/early") {
                        self.engine.answer_error(Status::NotFound, false, &mut self.out);
                        continue;
                    }
                    self.engine.invite_body(&mut self.out);
                    if !has_body {
                        self.answer(stream);
                    }
                }
                Step::Body { stream, data, is_last } => {
                    let len = data.len();
                    self.body.extend_from_slice(data);
                    self.engine.take_body(len, is_last);
                    if is_last {
                        self.answer(stream);
                    }
                }
            }
        }
    }

    fn answer(&mut self, stream: u32) {
        let text = format!("{} {}", self.path, String::from_utf8_lossy(&self.body));
        let length = (!self.path.ends_with("/chunked")).then_some(text.len() as u64);
        let answer = Answer { status: Status::Ok, media_type: "text/plain", length, has_body: true };
        self.engine.answer(stream, &answer, [].into_iter(), &mut self.out).expect("the request is open");
        let (first, second) = text.as_bytes().split_at(text.len() / 2);
        self.engine.answer_body(stream, first, false, &mut self.out).expect("within the length");
        self.engine.answer_body(stream, second, true, &mut self.out).expect("within the length");
    }

    fn run(input: &[u8], cuts: &[usize]) -> (String, bool, usize) {
        let mut echo = Echo::default();
        let mut at = 0;
        for end in cuts.iter().copied().chain([input.len()]) {
            let end = end.clamp(at, input.len());
            echo.engine.receive(&input[at..end]);
            echo.pump();
            at = end;
        }
        echo.engine.peer_finished();
        echo.pump();
        (String::from_utf8_lossy(&echo.out).into_owned(), echo.is_over, echo.requests)
    }
}

fn statuses(output: &str) -> Vec<&str> {
    output.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}

fn every_byte(input: &[u8]) -> Vec<usize> {
    (1..input.len()).collect()
}

#[test]
fn conversation_tables() {
    for (input, expected) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "200"),
        ("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "200 200"),
        ("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("\r", "400"),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "200"),
        ("GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n", "200"),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n", "200 200"),
        ("GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n", "200"),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: h\r\n\r\n", "200 200"),
        (
            "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "404 200",
        ),
        ("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\nhello", "404"),
        (
            "POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "404 200",
        ),
        (
            "POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "404",
        ),
        ("POST /early HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "404"),
        ("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", "100 200"),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nq\r\n", "400"),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel", ""),
        ("GET / HTTP/1.1\r\nHo", "400"),
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\nbroken\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "200 400"),
        (
            "HEAD / HTTP/1.1\r\nHost: h\r\n\r\nHEAD /chunked HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "200 200 200",
        ),
        ("", ""),
    ] {
        let whole = Echo::run(input.as_bytes(), &[]);
        let bytes = Echo::run(input.as_bytes(), &every_byte(input.as_bytes()));
        assert_eq!(whole, bytes, "{input:?}");
        assert!(whole.1, "the connection ends: {input:?}");
        assert_eq!(statuses(&whole.0).join(" "), expected, "{input:?} gave {}", whole.0);
    }
}

#[test]
fn head_answers_have_no_content() {
    let (out, _, _) = Echo::run(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\nHEAD /chunked HTTP/1.1\r\nHost: h\r\n\r\n", &[]);
    assert_eq!(
        out,
        "HTTP/1.1 200 OK\r\nServer: HybridOS\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\n\
         HTTP/1.1 200 OK\r\nServer: HybridOS\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let (out, _, _) = Echo::run(b"HEAD /%00 HTTP/1.1\r\nHost: h\r\n\r\n", &[]);
    assert!(out.starts_with("HTTP/1.1 400 ") && out.ends_with("\r\n\r\n"), "{out}");
}

#[test]
fn chunked_answers_are_framed() {
    let (out, _, _) = Echo::run(b"GET /chunked HTTP/1.1\r\nHost: h\r\n\r\n", &[]);
    assert!(out.ends_with("Transfer-Encoding: chunked\r\n\r\n6\r\nGET /c\r\n7\r\nhunked \r\n0\r\n\r\n"), "{out}");
}

fn open_request(input: &[u8]) -> (Http1, u32) {
    let (mut engine, mut head) = (Http1::default(), Head::default());
    engine.receive(input);
    let Step::Request(stream) = engine.poll(&mut head, 0, false) else { panic!("a request") };
    engine.accept();
    (engine, stream)
}

#[test]
fn answers_out_of_rule_write_nothing() {
    let ok = Answer { status: Status::Ok, media_type: "", length: Some(3), has_body: true };
    let none = || [].into_iter();
    let (mut engine, stream) = open_request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut out = Vec::new();
    assert_eq!(engine.answer_body(stream, b"x", true, &mut out), Err(AnswerError::OutOfOrder));
    assert_eq!(engine.answer(stream + 1, &ok, none(), &mut out), Err(AnswerError::OutOfOrder));
    assert_eq!(engine.answer(stream, &ok, [("a", "b\r\nc: d")].into_iter(), &mut out), Err(AnswerError::BadField));
    let bodiless = Answer { status: Status::NoContent, ..ok };
    assert_eq!(engine.answer(stream, &bodiless, none(), &mut out), Err(AnswerError::TooMuch));
    let empty = Answer { has_body: false, ..ok };
    assert_eq!(engine.answer(stream, &empty, none(), &mut out), Err(AnswerError::TooLittle));
    assert!(out.is_empty());
    engine.answer(stream, &ok, none(), &mut out).expect("good");
    let written = out.len();
    assert_eq!(engine.answer(stream, &ok, none(), &mut out), Err(AnswerError::OutOfOrder));
    assert!(!engine.answer_error(Status::BadGateway, true, &mut out));
    assert_eq!(engine.answer_body(stream, b"abcd", true, &mut out), Err(AnswerError::TooMuch));
    assert_eq!(engine.answer_body(stream, b"ab", true, &mut out), Err(AnswerError::TooLittle));
    assert_eq!(out.len(), written);
    engine.answer_body(stream, b"abc", true, &mut out).expect("good");
    assert_eq!(engine.answer_body(stream, b"", true, &mut out), Err(AnswerError::OutOfOrder));
}

#[test]
fn pipelined_flood_waits_as_bounded_bytes() {
    let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let flood = request.repeat(8192 / request.len());
    let (mut engine, mut head) = (Http1::default(), Head::default());
    engine.receive(&flood);
    let Step::Request(_) = engine.poll(&mut head, 0, false) else { panic!("a request") };
    engine.accept();
    assert_eq!(engine.poll(&mut head, 0, false), Step::Waiting);
    assert_eq!(engine.take_consumed(), request.len() as u32, "the rest is not given back before it is used");
    let mut out = Vec::new();
    assert!(engine.answer_error(Status::NotFound, false, &mut out));
    assert_eq!(engine.poll(&mut head, 0, true), Step::Waiting, "paused by the host");
    assert_eq!(engine.take_consumed(), 0, "paused input is not given back");
    assert!(matches!(engine.poll(&mut head, 0, false), Step::Request(_)));
}

#[test]
fn credit_of_a_long_head_is_given_back_before_its_end_and_once() {
    let mut input = b"GET / HTTP/1.1\r\nHost: h\r\n".to_vec();
    while input.len() < HEAD_MAX - 300 {
        input.extend_from_slice(format!("X: {}\r\n", "y".repeat(200)).as_bytes());
    }
    input.extend_from_slice(b"\r\n");
    let (mut engine, mut head) = (Http1::default(), Head::default());
    let mut given = 0;
    let mut told = false;
    for part in input.chunks(1000) {
        engine.receive(part);
        told |= matches!(engine.poll(&mut head, 0, false), Step::Request(_));
        given += engine.take_consumed();
    }
    assert!(told);
    engine.accept();
    given += engine.take_consumed();
    assert_eq!(given as usize, input.len());
    assert!(engine.take_idle_buffer().is_some() && engine.needs_buffer());
}

#[test]
fn phases_follow_the_conversation() {
    let (mut engine, mut head, mut out) = (Http1::default(), Head::default(), Vec::new());
    assert_eq!(engine.phase(), Phase::Fresh);
    engine.receive(b"POST / HTTP/1.1\r\nHost: h\r\n");
    assert_eq!(engine.poll(&mut head, 1, false), Step::Starved);
    assert_eq!(engine.phase(), Phase::Head);
    engine.receive(b"Content-Length: 1\r\n\r\n");
    assert_eq!(engine.poll(&mut head, 1, false), Step::Request(1));
    assert_eq!(engine.phase(), Phase::Answer);
    engine.accept();
    assert_eq!(engine.phase(), Phase::Body);
    engine.receive(b"x");
    assert_eq!(engine.poll(&mut head, 1, false), Step::Body { stream: 1, data: b"x", is_last: true });
    engine.take_body(1, true);
    assert_eq!(engine.phase(), Phase::Answer);
    assert!(engine.answer_error(Status::NotFound, false, &mut out));
    assert_eq!(engine.poll(&mut head, 1, false), Step::Starved);
    assert_eq!(engine.phase(), Phase::Idle);
    engine.end();
    assert_eq!(engine.phase(), Phase::Over);
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => Just("GET / HTTP/1.1\r\nHost: h\r\n".to_owned()),
        2 => Just("POST /chunked HTTP/1.1\r\nHost: h\r\n".to_owned()),
        1 => Just("HEAD /early HTTP/1.1\r\nHost: h\r\n".to_owned()),
        1 => Just("PUT /x HTTP/1.0\r\nConnection: keep-alive\r\n".to_owned()),
        1 => "[ -~\r\n]{0,20}",
    ];
    let body = prop_oneof![
        3 => Just("\r\n".to_owned()),
        2 => "[a-z]{1,30}".prop_map(|data| format!("Content-Length: {}\r\n\r\n{data}", data.len())),
        2 => "[a-z]{1,30}".prop_map(|data| format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{data}\r\n0\r\n\r\n", data.len())),
        1 => "[a-z]{1,30}".prop_map(|data| format!("Expect: 100-continue\r\nContent-Length: {}\r\n\r\n{data}", data.len())),
        1 => "[0-9a-f\r\n:;, -]{0,20}".prop_map(|text| format!("Transfer-Encoding: chunked\r\n\r\n{text}")),
    ];
    (line, body).prop_map(|(line, body)| (line + &body).into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// INV-H1-2.
    #[test]
    fn output_is_the_same_for_any_split(messages in proptest::collection::vec(message(), 0..5), cuts in proptest::collection::vec(0usize..400, 0..12)) {
        let input = messages.concat();
        let mut cuts = cuts;
        cuts.sort_unstable();
        let whole = Echo::run(&input, &[]);
        prop_assert_eq!(&whole, &Echo::run(&input, &cuts));
        prop_assert_eq!(&whole, &Echo::run(&input, &every_byte(&input)));
        prop_assert!(whole.1);
    }

    #[test]
    fn any_bytes_harm_nobody(input in proptest::collection::vec(any::<u8>(), 0..300), cuts in proptest::collection::vec(0usize..300, 0..5)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let (out, is_over, requests) = Echo::run(&input, &cuts);
        prop_assert!(is_over);
        prop_assert!(out.is_empty() || requests > 0 || out.starts_with("HTTP/1.1 4") || out.starts_with("HTTP/1.1 50"));
    }

    /// Every byte that came in is given back once, and never more than came in.
    #[test]
    fn credit_is_conserved(messages in proptest::collection::vec(message(), 0..5), step in 1usize..64) {
        let input = messages.concat();
        let mut echo = Echo::default();
        let (mut given, mut received) = (0u64, 0u64);
        for part in input.chunks(step) {
            echo.engine.receive(part);
            received += part.len() as u64;
            echo.pump();
            given += u64::from(echo.engine.take_consumed());
            prop_assert!(given <= received);
            prop_assert!(received - given <= u64::from(RECEIVE_CREDIT));
        }
        echo.engine.peer_finished();
        echo.pump();
        echo.engine.end();
        given += u64::from(echo.engine.take_consumed());
        prop_assert_eq!(given, received);
    }
}
